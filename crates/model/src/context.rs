//! The operation context: who does something, for which tenant, and why.
//!
//! Every function that reads or changes a tenant's data takes an [`OpContext`]. There is no way
//! to make one without naming a tenant and an actor.

use serde::{Deserialize, Serialize};

use crate::{
    id::{TenantId, UserId},
    time::Time,
};

/// One of the two parties to an engagement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// The organisation whose data it is.
    Customer,
    /// The managed security service provider.
    Provider,
}

/// What a user may do, least first; a role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything of the tenant, changes nothing.
    Viewer,
    /// Works alerts and searches.
    Analyst,
    /// Also changes configuration, rules and users.
    Admin,
}

impl Role {
    /// The role's lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
        }
    }

    /// The role a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "viewer" => Self::Viewer,
            "analyst" => Self::Analyst,
            "admin" => Self::Admin,
            _ => return None,
        })
    }
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Actor {
    /// A person who signed in.
    User {
        /// The person.
        id: UserId,
        /// The name shown to others.
        name: String,
        /// Whose person it is.
        party: Party,
        /// What the person may do.
        role: Role,
    },
    /// The program itself, in the named duty (`pipeline`, `retention`, `cli`, …).
    System {
        /// The duty.
        duty: String,
    },
}

impl Actor {
    /// The name to show and to record.
    pub fn name(&self) -> &str {
        match self {
            Self::User { name, .. } => name,
            Self::System { duty } => duty,
        }
    }
}

/// Who does something, for which tenant, why, and when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpContext {
    tenant: TenantId,
    actor: Actor,
    reason: Option<String>,
    at: Time,
}

impl OpContext {
    /// A context for `actor` working on `tenant`'s data, begun `at`.
    pub const fn new(tenant: TenantId, actor: Actor, at: Time) -> Self {
        Self { tenant, actor, reason: None, at }
    }

    /// A context for one of the program's own duties.
    pub fn system(tenant: TenantId, duty: &str, at: Time) -> Self {
        Self::new(tenant, Actor::System { duty: duty.to_owned() }, at)
    }

    /// The same context with the reason the person gave.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Whose data may be touched.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Who acts.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Why, where the person said so.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// When the operation began.
    pub const fn at(&self) -> Time {
        self.at
    }

    /// Whether the actor has at least this role. The program's own duties have every role.
    pub fn may(&self, role: Role) -> bool {
        match &self.actor {
            Actor::User { role: have, .. } => *have >= role,
            Actor::System { .. } => true,
        }
    }
}
