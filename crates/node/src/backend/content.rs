//! The rules that run, and those that do not.

use async_trait::async_trait;
use covigil_console::{
    BackendError,
    backend::{Content, RuleDetail, RulePage, RuleQuery, RuleState, RuleSummary},
};
use covigil_model::{OpContext, Severity};

use super::NodeBackend;

#[async_trait]
impl Content for NodeBackend {
    async fn rules(&self, ctx: &OpContext, query: &RuleQuery) -> Result<RulePage, BackendError> {
        self.own(ctx)?;
        let loaded = self.rules.current();
        let text = query.text.to_lowercase();
        let mut rules: Vec<RuleSummary> = Vec::new();
        if !query.failed_only {
            for rule in loaded.rules() {
                let source = rule.log_source.to_string();
                let found = [rule.title.as_str(), &rule.id, &source]
                    .into_iter()
                    .chain(rule.techniques.iter().map(String::as_str))
                    .any(|part| part.to_lowercase().contains(&text));
                if found && query.level.is_none_or(|level| level == rule.level) {
                    rules.push(RuleSummary {
                        id: rule.id.clone(),
                        title: rule.title.clone(),
                        level: rule.level,
                        kind: if rule.is_correlation { "correlation" } else { "detection" }.to_owned(),
                        log_source: source,
                        state: RuleState::On,
                        findings: self.rules.findings_of(&rule.id).0,
                    });
                }
            }
        }
        for failure in &loaded.report().failed {
            let title = failure.title.clone().unwrap_or_else(|| failure.path.clone());
            let found = title.to_lowercase().contains(&text) || failure.path.to_lowercase().contains(&text);
            if found && query.level.is_none() {
                rules.push(RuleSummary {
                    id: failure.id.clone().unwrap_or_else(|| failure.path.clone()),
                    title,
                    level: Severity::Informational,
                    kind: "detection".to_owned(),
                    log_source: String::new(),
                    state: RuleState::Failed(format!(
                        "{}:{}: {}",
                        failure.path, failure.line, failure.reason
                    )),
                    findings: 0,
                });
            }
        }
        rules.sort_by(|a, b| a.title.cmp(&b.title));
        let total = rules.len() as u64;
        let rules = rules.into_iter().skip(query.offset).take(query.limit).collect();
        Ok(RulePage { rules, total })
    }

    async fn rule(&self, ctx: &OpContext, id: &str) -> Result<Option<RuleDetail>, BackendError> {
        self.own(ctx)?;
        let loaded = self.rules.current();
        let Some(rule) = loaded.resolve(id).and_then(|index| loaded.rule(index)) else { return Ok(None) };
        let (findings, last_finding) = self.rules.findings_of(&rule.id);
        Ok(Some(RuleDetail {
            rule: rule.reference(),
            text: rule.source.to_string(),
            path: rule.path.to_string(),
            log_source: rule.log_source.to_string(),
            author: rule.author.clone().unwrap_or_default(),
            state: RuleState::On,
            findings,
            last_finding,
        }))
    }
}
