//! What events and findings are about.

use serde::{Deserialize, Serialize};

use crate::{event::Event, ocsf::Attr};

/// The kinds of entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// A machine by its name.
    Host,
    /// An account by its name.
    User,
    /// An IP address.
    Address,
    /// A file by its path.
    File,
    /// A DNS name.
    Domain,
}

impl EntityKind {
    /// The kind's lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::User => "user",
            Self::Address => "address",
            Self::File => "file",
            Self::Domain => "domain",
        }
    }

    /// The kind a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "host" => Self::Host,
            "user" => Self::User,
            "address" => Self::Address,
            "file" => Self::File,
            "domain" => Self::Domain,
            _ => return None,
        })
    }
}

/// Names one entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntityRef {
    /// What it is.
    pub kind: EntityKind,
    /// Its name as the source wrote it.
    pub name: String,
}

impl EntityRef {
    /// The entities that an event names in its OCSF columns, without repeats, in a fixed order.
    pub fn of_event(event: &Event) -> Vec<Self> {
        const NAMED: [(Attr, EntityKind); 8] = [
            (Attr::DeviceHostname, EntityKind::Host),
            (Attr::UserName, EntityKind::User),
            (Attr::ActorUserName, EntityKind::User),
            (Attr::SrcIp, EntityKind::Address),
            (Attr::DstIp, EntityKind::Address),
            (Attr::FilePath, EntityKind::File),
            (Attr::ProcessPath, EntityKind::File),
            (Attr::QueryHostname, EntityKind::Domain),
        ];
        let mut found = Vec::new();
        for (attr, kind) in NAMED {
            let Some(name) = event.attr(attr) else { continue };
            if name.is_empty() || name == "-" {
                continue;
            }
            let entity = Self { kind, name: name.to_owned() };
            if !found.contains(&entity) {
                found.push(entity);
            }
        }
        found
    }
}
