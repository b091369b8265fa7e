//! The queue.

use async_trait::async_trait;
use covigil_console::{
    BackendError,
    backend::{
        AlertChange, AlertDetail, AlertFacet, AlertFilter, AlertPage, AlertQuery, AlertTarget, Alerts,
        Changed, Content as _, EntityChange, EntityContext, HistoryEntry, Live, Note,
    },
};
use covigil_model::{AlertId, EntityRef, OpContext};
use covigil_store::state as kept;

use super::{NodeBackend, convert, state_error};

/// Findings and related alerts that a flyout shows.
const FINDINGS: usize = 100;
const RELATED: usize = 20;
/// Events of the newest finding that a flyout shows.
const EVENTS: usize = 50;

#[async_trait]
impl Alerts for NodeBackend {
    async fn alerts(&self, ctx: &OpContext, query: &AlertQuery) -> Result<AlertPage, BackendError> {
        let page = self.state.alerts(ctx, &convert::query(query)).await.map_err(state_error)?;
        Ok(AlertPage { alerts: page.alerts, next: page.next, total: page.total })
    }

    async fn count_alerts(&self, ctx: &OpContext, filter: &AlertFilter) -> Result<u64, BackendError> {
        self.state.count_alerts(ctx, &convert::filter(filter)).await.map_err(state_error)
    }

    async fn alert_facets(
        &self,
        ctx: &OpContext,
        filter: &AlertFilter,
    ) -> Result<Vec<AlertFacet>, BackendError> {
        let found = self
            .state
            .alert_facets(ctx, &convert::filter(filter), &convert::FACETS)
            .await
            .map_err(state_error)?;
        Ok(convert::facets(found))
    }

    async fn alert(&self, ctx: &OpContext, id: AlertId) -> Result<Option<AlertDetail>, BackendError> {
        let Some(alert) = self.state.alert(ctx, id).await.map_err(state_error)? else { return Ok(None) };
        let findings = self.state.findings(ctx, id, FINDINGS).await.map_err(state_error)?;
        let mut events = Vec::new();
        if let Some(newest) = findings.first() {
            let skipped = newest.events.len().saturating_sub(EVENTS);
            for event in newest.events.iter().skip(skipped) {
                events.extend(self.event_near(ctx, event, Some(newest.time)).await?);
            }
        }
        let mut entities = Vec::new();
        for entity in alert.entities.iter().take(8) {
            entities.push(self.entity(ctx, entity).await?);
        }
        let related = self.state.related_alerts(ctx, id, RELATED).await.map_err(state_error)?;
        let notes = self.state.notes(ctx, id).await.map_err(state_error)?;
        let history = self.state.history(ctx, id).await.map_err(state_error)?;
        Ok(Some(AlertDetail {
            rule: self.rule(ctx, &alert.rule.id).await?,
            findings,
            events,
            entities,
            related,
            notes: notes
                .into_iter()
                .map(|n| Note { id: n.id, author: n.author, time: n.time, text: n.text })
                .collect(),
            history: history
                .into_iter()
                .map(|h| HistoryEntry { time: h.time, actor: h.actor, what: h.what })
                .collect(),
            alert,
        }))
    }

    async fn change_alerts(
        &self,
        ctx: &OpContext,
        target: &AlertTarget,
        change: &AlertChange,
    ) -> Result<Changed, BackendError> {
        if let AlertTarget::Query { filter, expected } = target {
            let now = self.count_alerts(ctx, filter).await?;
            if now != *expected {
                return Err(BackendError::CountChanged { expected: *expected, now });
            }
        }
        let done = self.state.change_alerts(ctx, &convert::target(target), &convert::change(change)).await;
        let done = done.map_err(state_error)?;
        if let AlertTarget::Ids(ids) = target {
            for id in ids.iter().take(100) {
                if let Some(alert) = self.state.alert(ctx, *id).await.map_err(state_error)? {
                    self.say(Live::Changed(Box::new(alert)));
                }
            }
        }
        Ok(Changed { matched: done.matched, changed: done.changed })
    }

    async fn entity(&self, ctx: &OpContext, entity: &EntityRef) -> Result<EntityContext, BackendError> {
        self.state.entity(ctx, entity).await.map(convert::entity).map_err(state_error)
    }

    async fn change_entity(
        &self,
        ctx: &OpContext,
        entity: &EntityRef,
        change: &EntityChange,
    ) -> Result<(), BackendError> {
        let before = self.state.entity(ctx, entity).await.map_err(state_error)?;
        let change = kept::EntityChange {
            criticality: convert::criticality_kept(change.criticality),
            owner: before.owner,
            remark: change.remark.clone(),
            tags: before.tags,
        };
        self.state.change_entity(ctx, entity, &change).await.map_err(state_error)
    }
}
