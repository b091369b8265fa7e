//! The queue, in memory.

use std::collections::HashMap;

use async_trait::async_trait;
use covigil_console::backend::{
    AlertChange, AlertDetail, AlertFacet, AlertField, AlertFilter, AlertPage, AlertQuery, AlertSort,
    AlertTarget, Alerts, Assigned, BackendError, Changed, Criticality, EntityChange, EntityContext,
    FacetCount, HistoryEntry, Live, Note,
};
use covigil_model::{Alert, AlertId, AlertState, EntityRef, NoteId, OpContext, Severity};

use super::{Memory, State, detail_of};

fn any<T: PartialEq>(wanted: &[T], have: &T) -> bool {
    wanted.is_empty() || wanted.contains(have)
}

fn admits(filter: &AlertFilter, alert: &Alert) -> bool {
    let text = |needle: &String| {
        let needle = needle.to_lowercase();
        alert.rule.title.to_lowercase().contains(&needle)
            || alert.summary.as_ref().is_some_and(|s| s.to_lowercase().contains(&needle))
            || alert.entities.iter().any(|e| e.name.to_lowercase().contains(&needle))
    };
    any(&filter.states, &alert.state)
        && any(&filter.severities, &alert.severity)
        && any(&filter.rules, &alert.rule.id)
        && any(&filter.solutions, &alert.solution)
        && (filter.dispositions.is_empty()
            || alert.disposition.is_some_and(|d| filter.dispositions.contains(&d)))
        && any(&filter.assigned, &alert.assignee.map_or(Assigned::Nobody, Assigned::To))
        && (filter.techniques.is_empty()
            || alert.rule.techniques.iter().any(|t| filter.techniques.contains(t)))
        && (filter.entities.is_empty() || alert.entities.iter().any(|e| filter.entities.contains(e)))
        && filter.text.as_ref().is_none_or(text)
        && filter.since.is_none_or(|since| alert.raised >= since)
        && filter.until.is_none_or(|until| alert.raised <= until)
}

fn sort(alerts: &mut [Alert], order: AlertSort) {
    alerts.sort_by(|a, b| {
        let newest = b.raised.cmp(&a.raised);
        let by = match order {
            AlertSort::Newest => newest,
            AlertSort::Oldest => newest.reverse(),
            AlertSort::Severity => b.severity.cmp(&a.severity).then(newest),
            AlertSort::Risk => b.risk.cmp(&a.risk).then(newest),
            AlertSort::LastSeen => b.last_seen.cmp(&a.last_seen),
            AlertSort::Count => b.count.cmp(&a.count).then(newest),
        };
        by.then(a.id.cmp(&b.id))
    });
}

/// What is known of an entity.
pub(super) fn context_of(state: &State, entity: &EntityRef) -> EntityContext {
    let about: Vec<&Alert> = state.alerts.iter().filter(|alert| alert.entities.contains(entity)).collect();
    let known = state.entities.get(entity);
    EntityContext {
        entity: entity.clone(),
        criticality: known.map_or(Criticality::Normal, |k| k.criticality),
        remark: known.map_or_else(String::new, |k| k.remark.clone()),
        edited: known.and_then(|k| k.edited.clone()),
        open_alerts: about.iter().filter(|a| a.state != AlertState::Closed).count() as u64,
        alerts: about.len() as u64,
        first_seen: about.iter().map(|a| a.first_seen).min(),
        last_seen: about.iter().map(|a| a.last_seen).max(),
    }
}

fn values_of(field: AlertField, alert: &Alert) -> Vec<(String, String)> {
    let same = |text: &str| (text.to_owned(), text.to_owned());
    match field {
        AlertField::State => vec![same(alert.state.as_str())],
        AlertField::Severity => vec![same(alert.severity.as_str())],
        AlertField::Assignee => {
            let id = alert.assignee.map(|id| id.to_string()).unwrap_or_default();
            vec![(id, alert.assignee_name.clone().unwrap_or_default())]
        }
        AlertField::Rule => vec![(alert.rule.id.clone(), alert.rule.title.clone())],
        AlertField::Entity => alert
            .entities
            .iter()
            .map(|e| (format!("{}:{}", e.kind.as_str(), e.name), e.name.clone()))
            .collect(),
        AlertField::Technique => alert.rule.techniques.iter().map(|t| same(t)).collect(),
    }
}

fn without(filter: &AlertFilter, field: AlertField) -> AlertFilter {
    let mut filter = filter.clone();
    match field {
        AlertField::State => filter.states.clear(),
        AlertField::Severity => filter.severities.clear(),
        AlertField::Assignee => filter.assigned.clear(),
        AlertField::Rule => filter.rules.clear(),
        AlertField::Entity => filter.entities.clear(),
        AlertField::Technique => filter.techniques.clear(),
    }
    filter
}

#[async_trait]
impl Alerts for Memory {
    async fn alerts(&self, ctx: &OpContext, query: &AlertQuery) -> Result<AlertPage, BackendError> {
        self.check(ctx);
        let mut found: Vec<Alert> =
            self.lock().alerts.iter().filter(|a| admits(&query.filter, a)).cloned().collect();
        sort(&mut found, query.sort);
        let total = found.len() as u64;
        if let Some(after) = &query.after {
            let id: AlertId =
                after.parse().map_err(|_| BackendError::Refused("There is no such page.".to_owned()))?;
            let at = found.iter().position(|a| a.id == id).map_or(0, |at| at + 1);
            found.drain(..at);
        }
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let next = found.last().filter(|_| more).map(|last| last.id.to_string());
        Ok(AlertPage { alerts: found, next, total })
    }

    async fn count_alerts(&self, ctx: &OpContext, filter: &AlertFilter) -> Result<u64, BackendError> {
        self.check(ctx);
        Ok(self.lock().alerts.iter().filter(|a| admits(filter, a)).count() as u64)
    }

    async fn alert_facets(
        &self,
        ctx: &OpContext,
        filter: &AlertFilter,
    ) -> Result<Vec<AlertFacet>, BackendError> {
        self.check(ctx);
        let state = self.lock();
        let facets = AlertField::ALL.map(|field| {
            let filter = without(filter, field);
            let mut counts: HashMap<(String, String), u64> = HashMap::new();
            for alert in state.alerts.iter().filter(|a| admits(&filter, a)) {
                for value in values_of(field, alert) {
                    *counts.entry(value).or_default() += 1;
                }
            }
            let mut values: Vec<FacetCount> = counts
                .into_iter()
                .map(|((value, label), count)| FacetCount { value, label, count })
                .collect();
            values.sort_by(|a, b| b.count.cmp(&a.count).then(a.value.cmp(&b.value)));
            if field == AlertField::Severity {
                values.sort_by_key(|v| std::cmp::Reverse(Severity::from_word(&v.value)));
            }
            values.truncate(12);
            AlertFacet { field, values }
        });
        Ok(facets.into())
    }

    async fn alert(&self, ctx: &OpContext, id: AlertId) -> Result<Option<AlertDetail>, BackendError> {
        self.check(ctx);
        let state = self.lock();
        Ok(state.alerts.iter().find(|alert| alert.id == id).map(|alert| detail_of(&state, alert)))
    }

    async fn change_alerts(
        &self,
        ctx: &OpContext,
        target: &AlertTarget,
        change: &AlertChange,
    ) -> Result<Changed, BackendError> {
        self.check(ctx);
        let mut state = self.lock();
        let ids: Vec<AlertId> = match target {
            AlertTarget::Ids(ids) => {
                ids.iter().filter(|id| state.alerts.iter().any(|a| a.id == **id)).copied().collect()
            }
            AlertTarget::Query { filter, expected } => {
                let ids: Vec<_> = state.alerts.iter().filter(|a| admits(filter, a)).map(|a| a.id).collect();
                if ids.len() as u64 != *expected {
                    return Err(BackendError::CountChanged { expected: *expected, now: ids.len() as u64 });
                }
                ids
            }
        };
        let me = match ctx.actor() {
            covigil_model::Actor::User { id, .. } => Some(*id),
            covigil_model::Actor::System { .. } => None,
        };
        let mut changed = 0;
        for id in &ids {
            let names: HashMap<_, _> = state.users.iter().map(|u| (u.id, u.name.clone())).collect();
            let Some(alert) = state.alerts.iter_mut().find(|a| a.id == *id) else { continue };
            let before = alert.clone();
            let acts = change.state.is_some() || change.disposition.is_some();
            match change.assignee {
                Some(assignee) => alert.assignee = assignee,
                None if acts && alert.assignee.is_none() => alert.assignee = me,
                None => {}
            }
            alert.assignee_name = alert.assignee.and_then(|id| names.get(&id).cloned());
            if let Some(to) = change.state {
                alert.state = to;
                alert.disposition = change.disposition;
            } else if alert.state == AlertState::New && alert.assignee.is_some() {
                alert.state = AlertState::InProgress;
            }
            let mut what = Vec::new();
            if alert.state != before.state || alert.disposition != before.disposition {
                what.push(match alert.disposition {
                    Some(how) => format!("closed as {}", how.as_str().replace('_', " ")),
                    None => format!("set to {}", alert.state.as_str().replace('_', " ")),
                });
            }
            if alert.assignee != before.assignee {
                what.push(format!("assigned to {}", alert.assignee_name.as_deref().unwrap_or("nobody")));
            }
            if *alert != before || change.note.is_some() {
                changed += 1;
                alert.changed = ctx.at();
            }
            let live = Live::Changed(Box::new(alert.clone()));
            let actor = ctx.actor().name().to_owned();
            for what in what {
                let entry = HistoryEntry { time: ctx.at(), actor: actor.clone(), what };
                state.history.entry(*id).or_default().push(entry);
            }
            if let Some(text) = &change.note {
                let number = state.notes.entry(*id).or_default().len() as u64;
                let note = Note {
                    id: NoteId::derived(&[&id.bits().to_le_bytes(), &number.to_le_bytes()]),
                    author: actor,
                    time: ctx.at(),
                    text: text.clone(),
                };
                state.notes.entry(*id).or_default().push(note);
            }
            let _ = self.live.send(live);
        }
        Ok(Changed { matched: ids.len() as u64, changed })
    }

    async fn entity(&self, ctx: &OpContext, entity: &EntityRef) -> Result<EntityContext, BackendError> {
        self.check(ctx);
        Ok(context_of(&self.lock(), entity))
    }

    async fn change_entity(
        &self,
        ctx: &OpContext,
        entity: &EntityRef,
        change: &EntityChange,
    ) -> Result<(), BackendError> {
        self.check(ctx);
        let mut state = self.lock();
        let mut context = context_of(&state, entity);
        context.criticality = change.criticality;
        context.remark.clone_from(&change.remark);
        context.edited = Some((ctx.actor().name().to_owned(), ctx.at()));
        state.entities.insert(entity.clone(), context);
        Ok(())
    }
}
