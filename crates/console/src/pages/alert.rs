//! One alert: as a flyout beside the queue, and as a page of its own.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::IntoResponse,
};
use covigil_model::{Alert, AlertId, EntityKind, Finding, Role, UserId};

use super::{
    event::{self, EventBody},
    queue::safe_back,
};
use crate::{
    app::Shared,
    backend::{
        AlertChange, AlertDetail, AlertTarget, Criticality, EntityContext, HistoryEntry, Note, RuleDetail,
        User,
    },
    html,
    page::{PageError, PageResult, Visitor, redirect, with_toast},
    params::{FormParams, Params},
};

/// One finding on the timeline.
struct TimelineEntry {
    finding: Finding,
    /// Addresses of its events, at most a few.
    events: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "alert.html")]
struct AlertBody {
    csrf: String,
    analyst: bool,
    me: UserId,
    tenant: String,
    alert: Alert,
    what: String,
    findings: Vec<TimelineEntry>,
    matched: Vec<covigil_model::Matched>,
    /// Rendered events, and so escaped.
    events: Vec<String>,
    rule: Option<RuleDetail>,
    entities: Vec<EntityContext>,
    related: Vec<Alert>,
    notes: Vec<Note>,
    history: Vec<HistoryEntry>,
    steps: Vec<&'static str>,
    users: Vec<User>,
    criticalities: [Criticality; 4],
    here: String,
    back: String,
    whole_page: bool,
}

impl AlertBody {
    fn is_mine(&self) -> bool {
        self.alert.assignee == Some(self.me)
    }

    fn is_closed(&self) -> bool {
        self.alert.state == covigil_model::AlertState::Closed
    }
}

fn id_of(text: &str) -> Result<AlertId, PageError> {
    text.parse().map_err(|_| PageError::not_found("No alert has this id."))
}

/// What was found, where, by whom and from where, in a sentence.
fn what(alert: &Alert) -> String {
    let mut text = match &alert.summary {
        Some(summary) => summary.clone(),
        None => html::counted(&alert.count, "finding", "findings"),
    };
    for (kind, word) in [
        (EntityKind::Host, "on"),
        (EntityKind::User, "by"),
        (EntityKind::Address, "from"),
        (EntityKind::Domain, "with"),
        (EntityKind::File, "concerning"),
    ] {
        if let Some(entity) = alert.entities.iter().find(|entity| entity.kind == kind) {
            text.push_str(&format!(", {word} {}", html::cut(&entity.name, 80)));
        }
    }
    if alert.summary.is_some() && alert.count > 1 {
        text.push_str(&format!("; {} so far", html::counted(&alert.count, "finding", "findings")));
    }
    text
}

/// What to do first, by what the attacker wants (ATT&CK tactic).
fn next_steps(alert: &Alert) -> Vec<&'static str> {
    let mut steps = Vec::new();
    for tactic in &alert.rule.tactics {
        let step = match tactic.as_str() {
            "reconnaissance" | "discovery" => {
                "See what else the same host or address asked for in the hour around it."
            }
            "initial-access" => {
                "Find the first event of this user or address, and whether anything ran right after it."
            }
            "execution" => {
                "Look at the parent process and at what the process started, connected to and wrote."
            }
            "persistence" => {
                "List what was added to start by itself, and since when; keep a copy before removing it."
            }
            "privilege-escalation" => {
                "Check whether the account was allowed to do this, and what it did with the new rights."
            }
            "defense-evasion" => {
                "Check which logs or protections were off since then: other detections may be blind."
            }
            "credential-access" => {
                "Check whether a sign-in succeeded afterwards with the same account or from the same address; if so, reset its credentials."
            }
            "lateral-movement" => "Search the account and the address on all other hosts.",
            "collection" | "exfiltration" => {
                "Estimate what left: destination, volume, and which data the account could read."
            }
            "command-and-control" => "Search the destination on all hosts; consider blocking it.",
            "impact" => {
                "Isolate the host first, then find how it began; check that backups are out of reach."
            }
            _ => continue,
        };
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    if steps.is_empty() {
        steps.push("Look at the events around it, and at what the entities did before and after.");
    }
    if !alert.rule.false_positives.is_empty() {
        steps.push("Compare with the known reasons for false positives below before you escalate.");
    }
    steps.push("Write down what you found as a note, then close with a disposition: the next person starts from there.");
    steps
}

fn timeline(findings: Vec<Finding>) -> Vec<TimelineEntry> {
    findings
        .into_iter()
        .map(|finding| {
            let events =
                finding.events.iter().rev().take(5).map(|id| (event::address(id), id.to_string())).collect();
            TimelineEntry { events, finding }
        })
        .collect()
}

pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    params: Params,
) -> PageResult {
    let id = id_of(&id)?;
    let detail = app.backend.alert(&visitor.ctx, id).await?;
    let AlertDetail { alert, findings, events, rule, entities, related, notes, history } =
        detail.ok_or_else(|| PageError::not_found("There is no such alert (any more)."))?;
    let matched = findings.first().map(|f| f.matched.clone()).unwrap_or_default();
    // The completing event comes first: it is the one that the matched fields are of.
    let rendered: Result<Vec<String>, askama::Error> =
        events.into_iter().rev().take(10).map(|event| EventBody::new(event, &matched).render()).collect();
    let query = params.encode();
    let title = alert.rule.title.clone();
    let users = if visitor.may(Role::Analyst) {
        app.backend
            .users(&visitor.ctx)
            .await?
            .into_iter()
            .filter(|u| !u.disabled && u.role >= Role::Analyst)
            .collect()
    } else {
        Vec::new()
    };
    let body = AlertBody {
        csrf: visitor.csrf.clone(),
        analyst: visitor.may(Role::Analyst),
        me: visitor.user.id,
        tenant: app.backend.seat().tenant_name,
        what: what(&alert),
        steps: next_steps(&alert),
        findings: timeline(findings),
        matched,
        events: rendered?,
        rule,
        entities,
        related,
        notes,
        history,
        users,
        criticalities: Criticality::ALL,
        here: if query.is_empty() { format!("/alerts/{id}") } else { format!("/alerts/{id}?{query}") },
        back: if query.is_empty() { "/queue".to_owned() } else { format!("/queue?{query}") },
        whole_page: !visitor.request.fragment,
        alert,
    };
    if visitor.request.fragment {
        return crate::page::render(&body);
    }
    visitor.frame(&app, &title, "queue").around(&body, &["search"])
}

pub(crate) async fn add_note(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    FormParams(form): FormParams,
) -> PageResult {
    let id = id_of(&id)?;
    let text = html::cut(form.need("note", "The note's text")?, 10_000);
    let change = AlertChange { note: Some(text), ..AlertChange::default() };
    let changed = app.backend.change_alerts(&visitor.ctx, &AlertTarget::Ids(vec![id]), &change).await?;
    if changed.matched == 0 {
        return Err(PageError::not_found("There is no such alert (any more)."));
    }
    visitor.note(id.to_string(), "");
    let response = if visitor.request.fragment {
        axum::http::StatusCode::NO_CONTENT.into_response()
    } else {
        redirect(&safe_back(&form))
    };
    Ok(with_toast(response, "Note added."))
}
