//! What the console's pages ask, answered by the node: state, search, rules, health.

mod alerts;
mod configuration;
mod content;
mod convert;
mod identity;
mod searches;
pub use searches::FieldCache;
mod vitals;

use std::sync::Arc;

use covigil_console::{
    Backend, BackendError,
    backend::{Live, Seat},
};
use covigil_model::{OpContext, Time};
use covigil_pipeline::{parse::Parsers, sources::Sources};
use covigil_store::{
    events::EventStore,
    search::{SearchError, Searcher},
    state::{State, StateError},
    wal::{Position, Wal},
};
use tokio::sync::{broadcast, watch};

use crate::{
    dispatch::Dispatcher,
    intake_auth::TokenCache,
    rules::live::LiveRules,
    seal::{SealError, Sealer},
};

/// The node behind its console.
pub struct NodeBackend {
    pub(crate) seat: Seat,
    pub(crate) state: State,
    pub(crate) store: EventStore,
    pub(crate) wal: Wal,
    pub(crate) quarantined: u64,
    pub(crate) searcher: Arc<Searcher>,
    pub(crate) parsers: Parsers,
    pub(crate) sources: Arc<Sources>,
    pub(crate) rules: Arc<LiveRules>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) tokens: Arc<TokenCache>,
    pub(crate) live: broadcast::Sender<Live>,
    pub(crate) appended: watch::Receiver<Position>,
    pub(crate) data: std::path::PathBuf,
    pub(crate) started: Time,
    pub(crate) fields: searches::FieldCache,
}

impl NodeBackend {
    /// Refuses what is not this node's tenant's. Every part asks first.
    fn own(&self, ctx: &OpContext) -> Result<(), BackendError> {
        if ctx.tenant() == self.seat.tenant {
            return Ok(());
        }
        Err(BackendError::NotFound("that organisation".to_owned()))
    }

    fn say(&self, live: Live) {
        // Nobody listening is fine.
        let _ = self.live.send(live);
    }
}

impl Backend for NodeBackend {
    fn seat(&self) -> Seat {
        self.seat.clone()
    }
}

/// A failure of the state, for the person at the screen.
fn state_error(error: StateError) -> BackendError {
    match error {
        StateError::NotFound(what) => BackendError::NotFound(what.to_owned()),
        StateError::Conflict(message) | StateError::Invalid(message) => BackendError::Refused(message),
        other => BackendError::unavailable("the node's state", other),
    }
}

/// A failure of a search, for the person at the screen.
fn search_error(error: SearchError) -> BackendError {
    match error {
        SearchError::Query(query) => BackendError::Query { position: query.at, message: query.to_string() },
        SearchError::Sql { message } => BackendError::Query { position: 0, message },
        busy @ (SearchError::Busy { .. } | SearchError::Time { .. } | SearchError::Memory { .. }) => {
            BackendError::Refused(busy.to_string())
        }
        other => BackendError::unavailable("the search", other),
    }
}

fn seal_error(error: SealError) -> BackendError {
    BackendError::Unavailable { message: error.to_string(), cause: error.to_string() }
}
