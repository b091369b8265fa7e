//! Health, rules and outputs, in memory.

use async_trait::async_trait;
use covigil_console::backend::{
    BackendError, Configuration, Content, DiskHealth, Live, Output, OutputHealth, RuleDetail, RuleFailure,
    RulePage, RuleQuery, RuleState, RuleSummary, RulesHealth, StoreHealth, SystemHealth, Vitals, WalHealth,
};
use covigil_model::{OpContext, health::SourceHealth};
use futures::{StreamExt as _, stream::BoxStream};

use super::Memory;

#[async_trait]
impl Vitals for Memory {
    async fn sources(&self, ctx: &OpContext) -> Result<Vec<SourceHealth>, BackendError> {
        self.check(ctx);
        Ok(self.lock().sources.clone())
    }

    async fn system(&self, ctx: &OpContext) -> Result<SystemHealth, BackendError> {
        self.check(ctx);
        let state = self.lock();
        let failed = state.rules.iter().filter_map(|rule| match &rule.state {
            RuleState::Failed(reason) => Some(RuleFailure {
                title: rule.rule.title.clone(),
                path: rule.path.clone(),
                line: 14,
                reason: reason.clone(),
            }),
            _ => None,
        });
        let failed: Vec<_> = failed.collect();
        Ok(SystemHealth {
            started: self.started,
            rate: state.sources.iter().map(|s| s.rate).sum(),
            memory: 312_000_000,
            store: StoreHealth {
                events: state.events.len() as u64 + 48_210_377,
                bytes: 4_870_000_000,
                files: 214,
                unflushed: 12_904,
                oldest: Some(self.started.plus_secs(-29 * 86_400)),
                newest: state.events.iter().map(|e| e.time).max(),
                last_commit: Some(self.started.plus_secs(-21)),
                detail: String::new(),
            },
            wal: WalHealth {
                bytes: 184_000_000,
                segments: 3,
                pending: 12,
                quarantined: 0,
                detail: String::new(),
            },
            rules: RulesHealth {
                loaded: (state.rules.len() - failed.len()) as u64,
                failed,
                loaded_at: Some(self.started),
            },
            disks: vec![DiskHealth {
                path: "/var/lib/covigil".to_owned(),
                total: 512_000_000_000,
                free: 71_000_000_000,
                detail: "At today's rate the disk is full in 19 days. Lower the retention or add space."
                    .to_owned(),
            }],
            outputs: state
                .outputs
                .iter()
                .map(|output| OutputHealth {
                    name: output.name.clone(),
                    kind: output.kind.as_str().to_owned(),
                    queued: 0,
                    last_sent: Some(self.started.plus_secs(-340)),
                    detail: String::new(),
                })
                .collect(),
        })
    }

    fn live(&self, ctx: &OpContext) -> BoxStream<'static, Live> {
        self.check(ctx);
        let heard = tokio_stream::wrappers::BroadcastStream::new(self.live.subscribe());
        heard.filter_map(|item| async { item.ok() }).boxed()
    }
}

#[async_trait]
impl Content for Memory {
    async fn rules(&self, ctx: &OpContext, query: &RuleQuery) -> Result<RulePage, BackendError> {
        self.check(ctx);
        let text = query.text.to_lowercase();
        let state = self.lock();
        let mut found: Vec<&RuleDetail> = state
            .rules
            .iter()
            .filter(|r| query.level.is_none_or(|level| r.rule.level == level))
            .filter(|r| !query.failed_only || matches!(r.state, RuleState::Failed(_)))
            .filter(|r| {
                text.is_empty()
                    || r.rule.title.to_lowercase().contains(&text)
                    || r.log_source.contains(&text)
                    || r.rule.techniques.iter().any(|t| t.to_lowercase() == text)
            })
            .collect();
        found.sort_by(|a, b| a.rule.title.cmp(&b.rule.title));
        let summary = |rule: &&RuleDetail| RuleSummary {
            id: rule.rule.id.clone(),
            title: rule.rule.title.clone(),
            level: rule.rule.level,
            kind: if rule.text.contains("correlation:") { "correlation" } else { "detection" }.to_owned(),
            log_source: rule.log_source.clone(),
            state: rule.state.clone(),
            findings: rule.findings,
        };
        Ok(RulePage {
            rules: found.iter().skip(query.offset).take(query.limit).map(summary).collect(),
            total: found.len() as u64,
        })
    }

    async fn rule(&self, ctx: &OpContext, id: &str) -> Result<Option<RuleDetail>, BackendError> {
        self.check(ctx);
        Ok(self.lock().rules.iter().find(|rule| rule.rule.id == id).cloned())
    }
}

#[async_trait]
impl Configuration for Memory {
    async fn outputs(&self, ctx: &OpContext) -> Result<Vec<Output>, BackendError> {
        self.check(ctx);
        Ok(self.lock().outputs.clone())
    }

    async fn put_output(&self, ctx: &OpContext, output: Output) -> Result<(), BackendError> {
        self.check(ctx);
        let mut state = self.lock();
        state.outputs.retain(|have| have.name != output.name);
        state.outputs.push(output);
        Ok(())
    }

    async fn remove_output(&self, ctx: &OpContext, name: &str) -> Result<(), BackendError> {
        self.check(ctx);
        self.lock().outputs.retain(|have| have.name != name);
        Ok(())
    }

    async fn test_output(&self, ctx: &OpContext, name: &str) -> Result<String, BackendError> {
        self.check(ctx);
        if self.lock().outputs.iter().any(|have| have.name == name) {
            return Ok("Sent; the other side answered 200.".to_owned());
        }
        Err(BackendError::NotFound(format!("The output {name}")))
    }
}
