//! The state, on a real database file.

mod alerts;
mod people;
mod queue_speed;
mod rest;

use covigil_model::{
    Actor, EntityKind, EntityRef, EventId, Finding, OpContext, Party, Role, RuleRef, Severity, TenantId,
    Time, UserId,
};
use covigil_store::state::State;

pub fn tenant() -> TenantId {
    TenantId::derived(&[b"tenant"])
}

/// Seconds after a fixed day.
pub fn at(secs: i64) -> Time {
    Time::from_secs(1_700_000_000 + secs)
}

pub fn system(secs: i64) -> OpContext {
    OpContext::system(tenant(), "pipeline", at(secs))
}

pub fn person(id: UserId, name: &str, secs: i64) -> OpContext {
    let actor = Actor::User { id, name: name.into(), party: Party::Customer, role: Role::Analyst };
    OpContext::new(tenant(), actor, at(secs))
}

pub async fn open() -> (tempfile::TempDir, State) {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(&dir.path().join("state #1.db")).await.unwrap();
    (dir, state)
}

pub fn entity(kind: EntityKind, name: &str) -> EntityRef {
    EntityRef { kind, name: name.into() }
}

pub fn rule(id: &str, level: Severity) -> RuleRef {
    RuleRef {
        id: id.into(),
        title: format!("Rule {id}"),
        level,
        techniques: vec!["T1110.001".into()],
        tactics: vec!["credential-access".into()],
        description: "Looks for it".into(),
        false_positives: vec!["None".into()],
        references: vec![],
    }
}

/// The finding of `rule` in event number `n`, about a host.
pub fn finding(rule_id: &str, level: Severity, n: u64, host: &str, secs: i64) -> Finding {
    let events = vec![EventId { source: "test".into(), sequence: n }];
    let group = format!("{rule_id}|{host}");
    Finding {
        id: Finding::derive_id(rule_id, &events, &group),
        solution: "siem".into(),
        rule: rule(rule_id, level),
        time: at(secs),
        events,
        matched: vec![],
        entities: vec![entity(EntityKind::Host, host), entity(EntityKind::User, "ana")],
        group,
        summary: Some(format!("{n} events")),
    }
}
