//! Folding findings into alerts, exactly once.

use std::collections::{HashMap, HashSet};

use covigil_model::{Alert, AlertId, AlertState, EntityRef, Finding, OpContext, RuleRef, Time, id::Id};
use sqlx::AnyConnection;

use super::{
    State, StateError,
    alerts::{FindingBody, SELECT_ALERT, alert_of},
    entities::{Criticality, criticality_of, risk},
    sql::{Columns as _, Sql},
};

/// A finding joins the open alert of its group while it lies within this many seconds of the
/// alert's first or last finding, by event time.
pub const GROUP_WINDOW: i64 = 24 * 3_600;

/// Findings of one alert that are kept in full; of later ones only the count and the id.
pub const FINDINGS_KEPT: u64 = 1_000;

/// Entities listed on one alert at most.
const ENTITIES: usize = 64;

/// What became of an alert by recording findings.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldedAlert {
    /// The alert as it is now.
    pub alert: Alert,
    /// It was raised just now.
    pub new: bool,
    /// Findings that joined it just now.
    pub added: u64,
}

enum RuleKind {}

/// An alert while findings are folded into it.
struct Folding {
    alert: Alert,
    digest: String,
    new: bool,
    added: u64,
    /// Entities that it did not have before.
    fresh: Vec<EntityRef>,
    criticality: Criticality,
}

impl State {
    /// Records findings and folds them into alerts, in one transaction. A finding that is recorded
    /// already, by its id, changes nothing. The answer has each alert that changed, in the order of
    /// its first finding here.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`]: none of the findings is recorded; try again.
    pub async fn record_findings(
        &self,
        ctx: &OpContext,
        findings: &[Finding],
    ) -> Result<Vec<FoldedAlert>, StateError> {
        if findings.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.change().await?;
        let mut digests: HashSet<String> = HashSet::new();
        let mut folded: Vec<Folding> = Vec::new();
        let mut by_group: HashMap<&str, Vec<usize>> = HashMap::new();
        for finding in findings {
            let (digest, body) = digest_of(&finding.rule)?;
            if digests.insert(digest.clone()) {
                let sql = Sql::new(
                    ctx,
                    "INSERT INTO rules (tenant, digest, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                );
                sql.with(digest.as_str()).with(body).run(&mut tx).await?;
            }
            let known = by_group.entry(&finding.group).or_default();
            let place = known.iter().copied().find(|&at| joins(&folded[at].alert, finding.time));
            let place = match place {
                Some(at) => at,
                None => {
                    folded.push(open_alert(ctx, &mut tx, finding, &digest).await?);
                    known.push(folded.len() - 1);
                    folded.len() - 1
                }
            };
            let into = &mut folded[place];
            if insert_finding(ctx, &mut tx, finding, &digest, into).await? {
                fold(ctx, &mut tx, into, finding, digest).await?;
            }
        }
        let mut changes = Vec::new();
        for folding in folded {
            if folding.added > 0 {
                store(ctx, &mut tx, &folding).await?;
                changes.push(FoldedAlert { alert: folding.alert, new: folding.new, added: folding.added });
            }
        }
        tx.commit().await?;
        Ok(changes)
    }
}

fn digest_of(rule: &RuleRef) -> Result<(String, String), StateError> {
    let body =
        serde_json::to_string(rule).map_err(|_| StateError::Invalid("a rule has no JSON form".into()))?;
    Ok((Id::<RuleKind>::derived(&[body.as_bytes()]).to_string(), body))
}

fn joins(alert: &Alert, time: Time) -> bool {
    time >= alert.first_seen.plus_secs(-GROUP_WINDOW) && time <= alert.last_seen.plus_secs(GROUP_WINDOW)
}

/// The open alert that the finding joins, or a new one that is not stored yet.
async fn open_alert(
    ctx: &OpContext,
    on: &mut AnyConnection,
    finding: &Finding,
    digest: &str,
) -> Result<Folding, StateError> {
    let mut sql = Sql::new(ctx, SELECT_ALERT);
    sql.push(" AND a.open = 1 AND a.group_key = ").bind(finding.group.as_str());
    sql.push(" AND a.last_seen >= ").bind(finding.time.plus_secs(-GROUP_WINDOW));
    sql.push(" AND a.first_seen <= ").bind(finding.time.plus_secs(GROUP_WINDOW));
    sql.push(" ORDER BY a.last_seen DESC, a.id LIMIT 1");
    if let Some(row) = sql.first(on).await? {
        let alert = alert_of(ctx, &row)?;
        let criticality = criticality_of(ctx, on, &alert.entities).await?;
        let digest = row.text("rule_digest")?;
        return Ok(Folding { alert, digest, new: false, added: 0, fresh: Vec::new(), criticality });
    }
    let tenant = ctx.tenant().to_string();
    let id =
        AlertId::derived(&[tenant.as_bytes(), finding.group.as_bytes(), &finding.id.bits().to_be_bytes()]);
    let alert = Alert {
        id,
        tenant: ctx.tenant(),
        rule: finding.rule.clone(),
        solution: finding.solution.clone(),
        severity: finding.rule.level,
        risk: 0,
        group: finding.group.clone(),
        summary: None,
        entities: Vec::new(),
        count: 0,
        first_seen: finding.time,
        last_seen: finding.time,
        raised: ctx.at(),
        state: AlertState::New,
        disposition: None,
        assignee: None,
        assignee_name: None,
        changed: ctx.at(),
    };
    Ok(Folding {
        alert,
        digest: digest.to_owned(),
        new: true,
        added: 0,
        fresh: Vec::new(),
        criticality: Criticality::Low,
    })
}

/// Whether the finding is new; then it is stored.
async fn insert_finding(
    ctx: &OpContext,
    on: &mut AnyConnection,
    finding: &Finding,
    digest: &str,
    into: &Folding,
) -> Result<bool, StateError> {
    let body = if into.alert.count < FINDINGS_KEPT {
        let body = FindingBody {
            events: finding.events.clone(),
            matched: finding.matched.clone(),
            entities: finding.entities.clone(),
            summary: finding.summary.clone(),
        };
        let text = serde_json::to_string(&body);
        Some(text.map_err(|_| StateError::Invalid("a finding has no JSON form".into()))?)
    } else {
        None
    };
    let sql = Sql::new(
        ctx,
        "INSERT INTO findings (tenant, id, alert, time, rule_digest, body) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT DO NOTHING",
    );
    let sql = sql.with(finding.id).with(into.alert.id).with(finding.time).with(digest).with(body);
    Ok(sql.run(on).await? == 1)
}

async fn fold(
    ctx: &OpContext,
    on: &mut AnyConnection,
    into: &mut Folding,
    finding: &Finding,
    digest: String,
) -> Result<(), StateError> {
    let alert = &mut into.alert;
    let mut fresh = Vec::new();
    for entity in &finding.entities {
        if alert.entities.len() >= ENTITIES {
            break;
        }
        if !alert.entities.contains(entity) {
            alert.entities.push(entity.clone());
            fresh.push(entity.clone());
        }
    }
    if !fresh.is_empty() || into.added == 0 && into.new {
        into.criticality = into.criticality.max(criticality_of(ctx, on, &fresh).await?);
    }
    into.fresh.append(&mut fresh);
    alert.severity = alert.severity.max(finding.rule.level);
    alert.first_seen = alert.first_seen.min(finding.time);
    if finding.time >= alert.last_seen {
        // The newest finding tells the count and carries the rule as it is now.
        alert.last_seen = finding.time;
        alert.summary.clone_from(&finding.summary);
        alert.rule.clone_from(&finding.rule);
        into.digest = digest;
    }
    alert.count += 1;
    alert.changed = ctx.at();
    into.added += 1;
    alert.risk = risk(alert.severity, into.criticality);
    Ok(())
}

async fn store(ctx: &OpContext, on: &mut AnyConnection, folding: &Folding) -> Result<(), StateError> {
    let alert = &folding.alert;
    let entities = serde_json::to_string(&alert.entities)
        .map_err(|_| StateError::Invalid("an entity has no JSON form".into()))?;
    let sql = Sql::new(
        ctx,
        "INSERT INTO alerts (tenant, id, rule_digest, rule_id, rule_title, solution, severity, risk, group_key, \
         summary, entities, search, count, first_seen, last_seen, raised, state, open, disposition, assignee, \
         changed, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'new', \
         1, NULL, NULL, $17, 1) ON CONFLICT (tenant, id) DO UPDATE SET rule_digest = $3, rule_title = $5, \
         severity = $7, risk = $8, summary = $10, entities = $11, search = $12, count = $13, first_seen = $14, \
         last_seen = $15, changed = $17",
    )
    .with(alert.id)
    .with(folding.digest.as_str())
    .with(alert.rule.id.as_str())
    .with(alert.rule.title.as_str())
    .with(alert.solution.as_str())
    .with(i64::from(alert.severity.ocsf_id()))
    .with(i64::from(alert.risk))
    .with(alert.group.as_str())
    .with(alert.summary.clone())
    .with(entities)
    .with(search_text(alert))
    .with(i64::try_from(alert.count).unwrap_or(i64::MAX))
    .with(alert.first_seen)
    .with(alert.last_seen)
    .with(alert.raised)
    .with(alert.changed);
    sql.run(on).await?;
    let mut values: Vec<(&str, &str)> =
        folding.fresh.iter().map(|entity| (entity.kind.as_str(), entity.name.as_str())).collect();
    values.extend(alert.rule.techniques.iter().map(|technique| ("technique", technique.as_str())));
    values.extend(alert.rule.tactics.iter().map(|tactic| ("tactic", tactic.as_str())));
    for (kind, value) in values {
        let sql = Sql::new(
            ctx,
            "INSERT INTO alert_values (tenant, kind, value, alert, open) VALUES ($1, $2, $3, $4, 1) \
             ON CONFLICT DO NOTHING",
        );
        sql.with(kind).with(value).with(alert.id).run(on).await?;
    }
    if folding.new {
        let sql = Sql::new(
            ctx,
            "INSERT INTO alert_history (tenant, alert, time, actor, what) VALUES ($1, $2, $3, $4, 'raised')",
        );
        sql.with(alert.id).with(alert.raised).with(ctx.actor().name()).run(on).await?;
    }
    Ok(())
}

/// What a search for text looks at, in lower case.
fn search_text(alert: &Alert) -> String {
    let mut text = alert.rule.title.to_lowercase();
    let others =
        alert.summary.iter().map(String::as_str).chain(alert.entities.iter().map(|e| e.name.as_str()));
    for part in others {
        text.push('\n');
        text.push_str(&part.to_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use covigil_model::Severity;

    use super::*;

    #[test]
    fn risk_follows_severity_and_criticality() {
        assert!(risk(Severity::High, Criticality::Normal) > risk(Severity::Medium, Criticality::Normal));
        assert!(risk(Severity::Medium, Criticality::Critical) > risk(Severity::Medium, Criticality::High));
        assert!(risk(Severity::Medium, Criticality::Low) < risk(Severity::Medium, Criticality::Normal));
        assert_eq!(risk(Severity::Critical, Criticality::Critical), 100);
    }
}
