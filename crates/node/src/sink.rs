//! Where the engine's findings go: into alerts, to the open pages, and to the outputs.

use std::sync::Arc;

use async_trait::async_trait;
use covigil_console::backend::Live;
use covigil_model::{AlertState, Disposition, Finding, OpContext, TenantId, Time};
use covigil_pipeline::engine::{FindingSink, HealthChange, PortError, StateStore};
use covigil_store::{
    state::{AlertChange, AlertFilter, AlertQuery, AlertTarget, State, StateError},
    wal::Position,
};
use tokio::sync::broadcast;

use crate::{dispatch::Dispatcher, rules::live::LiveRules};

/// The name under which the correlations' state is kept.
const CORRELATIONS: &str = "correlations";

/// Keeps findings and the engine's state.
pub struct Sink {
    /// The state.
    pub state: State,
    /// Whose findings they are.
    pub tenant: TenantId,
    /// To the open pages.
    pub live: broadcast::Sender<Live>,
    /// To the outputs.
    pub dispatcher: Arc<Dispatcher>,
    /// Counts findings per rule.
    pub rules: Arc<LiveRules>,
}

fn port(error: StateError) -> PortError {
    PortError(error.to_string())
}

impl Sink {
    fn context(&self) -> OpContext {
        OpContext::system(self.tenant, "pipeline", Time::now())
    }

    async fn keep(&self, findings: &[Finding]) -> Result<(), PortError> {
        let ctx = self.context();
        let folded = self.state.record_findings(&ctx, findings).await.map_err(port)?;
        self.rules.count(findings);
        let raised: Vec<_> = folded.iter().filter(|f| f.new).map(|f| &f.alert).collect();
        self.dispatcher.enqueue(&ctx, &raised).await.map_err(port)?;
        for folded in folded {
            let alert = Box::new(folded.alert);
            // Nobody looking is fine.
            let _ = self.live.send(if folded.new { Live::Raised(alert) } else { Live::Changed(alert) });
        }
        Ok(())
    }

    /// Closes the open alerts of a group whose trouble is over, unless a person has taken them.
    async fn end(&self, group: &str, at: Time) -> Result<(), PortError> {
        let ctx = self.context();
        let rule = group.split('|').next().unwrap_or(group).to_owned();
        let filter =
            AlertFilter { rules: vec![rule], states: vec![AlertState::New], ..AlertFilter::default() };
        let page = self
            .state
            .alerts(&ctx, &AlertQuery { filter, limit: 500, ..AlertQuery::default() })
            .await
            .map_err(port)?;
        for alert in page.alerts.into_iter().filter(|alert| alert.group == group) {
            let change = AlertChange {
                state: Some(AlertState::Closed),
                disposition: Some(Disposition::Benign),
                note: Some(format!("It was over at {at}.")),
                ..AlertChange::default()
            };
            self.state.change_alerts(&ctx, &AlertTarget::Ids(vec![alert.id]), &change).await.map_err(port)?;
        }
        Ok(())
    }
}

#[async_trait]
impl FindingSink for Sink {
    async fn findings(&self, findings: &[Finding]) -> Result<(), PortError> {
        self.keep(findings).await
    }

    async fn health(&self, change: &HealthChange) -> Result<(), PortError> {
        match change {
            HealthChange::Began(finding) => self.keep(std::slice::from_ref(finding)).await?,
            HealthChange::Ended { group, at } => self.end(group, *at).await?,
        }
        let _ = self.live.send(Live::Health);
        Ok(())
    }
}

#[async_trait]
impl StateStore for Sink {
    async fn load(&self) -> Result<Option<(Position, Vec<u8>)>, PortError> {
        let Some(kept) = self.state.kept(&self.context(), CORRELATIONS).await.map_err(port)? else {
            return Ok(None);
        };
        let Some((position, state)) = kept.split_first_chunk::<8>() else { return Ok(None) };
        Ok(Some((Position(u64::from_le_bytes(*position)), state.to_vec())))
    }

    async fn save(&self, position: Position, state: &[u8]) -> Result<(), PortError> {
        let mut kept = position.0.to_le_bytes().to_vec();
        kept.extend_from_slice(state);
        self.state.keep(&self.context(), CORRELATIONS, Some(kept)).await.map_err(port)
    }
}
