//! A backend in memory: for tests, and for the `demo` example. It keeps what the port asks and
//! nothing more, and forgets all of it at the end.

mod alerts;
mod identity;
mod sample;

mod searches;
mod settings;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use covigil_console::backend::{
    AlertDetail, ApiToken, AuditRecord, Backend, EntityContext, EventView, HistoryEntry, Live, Note, Output,
    PasskeyRecord, PasswordRecord, RuleDetail, Seat, Session, SignInLink, TokenHash, User,
};
use covigil_model::{
    Alert, AlertId, EntityRef, Finding, OpContext, Party, Role, TenantId, Time, UserId, health::SourceHealth,
};
use tokio::sync::broadcast;

pub use sample::HOSTILE;

/// All of it.
pub struct Memory {
    state: Mutex<State>,
    live: broadcast::Sender<Live>,
    fresh: broadcast::Sender<EventView>,
    seat: Seat,
    started: Time,
}

#[derive(Default)]
struct State {
    users: Vec<User>,
    links: HashMap<[u8; 32], SignInLink>,
    passkeys: Vec<PasskeyRecord>,
    passwords: HashMap<UserId, PasswordRecord>,
    sessions: Vec<Session>,
    tokens: Vec<(TokenHash, ApiToken)>,
    audit: Vec<AuditRecord>,
    alerts: Vec<Alert>,
    findings: HashMap<AlertId, Vec<Finding>>,
    notes: HashMap<AlertId, Vec<Note>>,
    history: HashMap<AlertId, Vec<HistoryEntry>>,
    entities: HashMap<EntityRef, EntityContext>,
    events: Vec<EventView>,
    rules: Vec<RuleDetail>,
    sources: Vec<SourceHealth>,
    outputs: Vec<Output>,
    made: u64,
}

impl Memory {
    /// An empty backend with the three roles' users: `ana` (admin), `ben` (analyst), `vera` (viewer).
    pub fn empty() -> Arc<Self> {
        let now = Time::now();
        let mut state = State::default();
        for (name, role) in [("ana", Role::Admin), ("ben", Role::Analyst), ("vera", Role::Viewer)] {
            state.users.push(User {
                id: UserId::derived(&[name.as_bytes()]),
                name: name.to_owned(),
                role,
                party: Party::Customer,
                disabled: false,
                created: now.plus_secs(-86_400),
                last_sign_in: None,
                read_until: None,
            });
        }
        Arc::new(Self {
            state: Mutex::new(state),
            live: broadcast::channel(64).0,
            fresh: broadcast::channel(64).0,
            seat: Seat {
                tenant: TenantId::derived(&[b"nordlicht"]),
                tenant_name: "Nordlicht Logistik".to_owned(),
                party: Party::Customer,
                node_name: "edge-01".to_owned(),
                version: "0.1.0".to_owned(),
            },
            started: now,
        })
    }

    /// With rules, sources, events and alerts, some of them hostile.
    pub fn sampled() -> Arc<Self> {
        let memory = Self::empty();
        sample::fill(&memory);
        memory
    }

    /// Raises one more alert, as a rule would.
    pub fn raise(&self) -> AlertId {
        sample::raise(self)
    }

    /// Stores one more event.
    pub fn hear(&self) {
        sample::hear(self);
    }

    /// The audit records, oldest first.
    pub fn audited(&self) -> Vec<AuditRecord> {
        self.lock().audit.clone()
    }

    /// The context of the program itself.
    pub fn ctx(&self) -> OpContext {
        OpContext::system(self.seat.tenant, "test", Time::now())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn check(&self, ctx: &OpContext) {
        assert_eq!(ctx.tenant(), self.seat.tenant, "a request reached for another tenant");
    }
}

impl Backend for Memory {
    fn seat(&self) -> Seat {
        self.seat.clone()
    }
}

fn detail_of(state: &State, alert: &Alert) -> AlertDetail {
    let findings = state.findings.get(&alert.id).cloned().unwrap_or_default();
    let wanted = findings.first().map(|f| f.events.clone()).unwrap_or_default();
    let related = state
        .alerts
        .iter()
        .filter(|other| other.id != alert.id && other.entities.iter().any(|e| alert.entities.contains(e)))
        .take(20)
        .cloned()
        .collect();
    AlertDetail {
        events: wanted.iter().filter_map(|id| state.events.iter().find(|e| &e.id == id)).cloned().collect(),
        findings,
        rule: state.rules.iter().find(|rule| rule.rule.id == alert.rule.id).cloned(),
        entities: alert.entities.iter().map(|entity| alerts::context_of(state, entity)).collect(),
        related,
        notes: state.notes.get(&alert.id).cloned().unwrap_or_default(),
        history: state.history.get(&alert.id).cloned().unwrap_or_default(),
        alert: alert.clone(),
    }
}
