//! Which tokens may send events.
//!
//! The intake asks for every request; the answer is remembered for half a minute, so that a token that was
//! revoked elsewhere is out within a minute. One that is revoked in the console is out at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use covigil_console::backend::TokenHash;
use covigil_model::{OpContext, TenantId, Time};
use covigil_pipeline::intake::{Denied, Grant, IntakeAuth, SourceScope};
use covigil_store::state::{State, TokenHash as KeptHash};

/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(30);
/// Answers remembered at most, refusals included.
const MOST: usize = 1_000;
/// Records per second that one token may send on average.
const RATE: u32 = 200_000;
/// The name of the token that the command line of this machine uses.
pub const OWN_TOOLS: &str = "command-line-intake";

type Remembered = HashMap<[u8; 32], (Instant, Option<Grant>)>;

/// Answers that are remembered.
#[derive(Default)]
pub struct TokenCache(Mutex<Remembered>);

impl TokenCache {
    /// Forgets all answers: a token was revoked.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Asks the state for tokens.
pub struct StateTokens {
    state: State,
    tenant: TenantId,
    cache: Arc<TokenCache>,
}

impl StateTokens {
    /// The tokens of a tenant.
    pub const fn new(state: State, tenant: TenantId, cache: Arc<TokenCache>) -> Self {
        Self { state, tenant, cache }
    }

    fn look_up(&self, hash: [u8; 32]) -> Option<Grant> {
        let ctx = OpContext::system(self.tenant, "intake", Time::now());
        let found = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(self.state.api_token(&ctx, KeptHash(hash)))
        });
        let token = match found {
            Ok(token) => token.filter(|token| token.scope == "intake")?,
            Err(error) => {
                tracing::error!(%error, "a token could not be looked up; the request is refused");
                return None;
            }
        };
        let scope = if token.name == OWN_TOOLS { SourceScope::Any } else { SourceScope::Own };
        Some(Grant { name: name_of(&token.name).into(), scope, rate: RATE })
    }
}

impl IntakeAuth for StateTokens {
    fn authorise(&self, token: &str) -> Result<Grant, Denied> {
        let hash = TokenHash::of(token).0;
        let remembered = self.cache.0.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some((at, grant)) = remembered
            && at.elapsed() < REMEMBERED
        {
            return grant.ok_or(Denied);
        }
        let grant = self.look_up(hash);
        let mut cache = self.cache.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MOST {
            cache.clear();
        }
        cache.insert(hash, (Instant::now(), grant.clone()));
        grant.ok_or(Denied)
    }
}

/// A token's name as a source's name: letters, digits and `.-_`.
fn name_of(name: &str) -> String {
    let kept: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' })
        .take(64)
        .collect();
    if kept.is_empty() { "token".to_owned() } else { kept }
}
