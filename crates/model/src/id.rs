//! Ids are types: an alert's id cannot be passed where a user's is wanted.
//!
//! An id is 128 bits, written as 32 lower-case hexadecimal digits. Most are derived from what they
//! name ([`Id::derived`]), so that the same input processed twice yields the same id; that is how a
//! replay after a crash stores and alerts once.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A 128-bit id of the kind `K`.
pub struct Id<K>(u128, PhantomData<fn() -> K>);

/// The kinds of [`Id`], as marker types.
pub mod kind {
    /// Marks an alert's id.
    #[derive(Debug, Clone, Copy)]
    pub enum Alert {}
    /// Marks a finding's id.
    #[derive(Debug, Clone, Copy)]
    pub enum Finding {}
    /// Marks a note's id.
    #[derive(Debug, Clone, Copy)]
    pub enum Note {}
    /// Marks the id of a signed-in session.
    #[derive(Debug, Clone, Copy)]
    pub enum Session {}
    /// Marks a tenant's id.
    #[derive(Debug, Clone, Copy)]
    pub enum Tenant {}
    /// Marks a user's id.
    #[derive(Debug, Clone, Copy)]
    pub enum User {}
}

/// Id of an [`Alert`](crate::Alert).
pub type AlertId = Id<kind::Alert>;
/// Id of a [`Finding`](crate::Finding).
pub type FindingId = Id<kind::Finding>;
/// Id of a note on an alert.
pub type NoteId = Id<kind::Note>;
/// Id of a signed-in session; never the session's secret.
pub type SessionId = Id<kind::Session>;
/// Id of a tenant: one customer of a provider, or the node's own organisation.
pub type TenantId = Id<kind::Tenant>;
/// Id of a person who can sign in.
pub type UserId = Id<kind::User>;

impl<K> Id<K> {
    /// An id from its 128 bits.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits, PhantomData)
    }

    /// The id's 128 bits.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// The id that the given parts always yield. Parts are length-prefixed before hashing, so
    /// `["ab", "c"]` and `["a", "bc"]` differ.
    pub fn derived(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut bits = [0u8; 16];
        bits.copy_from_slice(&digest[..16]);
        Self::from_bits(u128::from_be_bytes(bits))
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 hexadecimal digits; this is not one")]
pub struct InvalidId;

impl<K> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidId);
        }
        u128::from_str_radix(text, 16).map(Self::from_bits).map_err(|_| InvalidId)
    }
}
impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_stable_and_part_boundaries_count() {
        let a = AlertId::derived(&[b"ab", b"c"]);
        assert_eq!(a, AlertId::derived(&[b"ab", b"c"]));
        assert_ne!(a, AlertId::derived(&[b"a", b"bc"]));
    }

    #[test]
    fn text_form_round_trips_and_rejects_other_text() {
        let id = UserId::derived(&[b"x"]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "1", "+0000000000000000000000000000001", "g0000000000000000000000000000000"] {
            assert_eq!(bad.parse::<UserId>(), Err(InvalidId), "{bad}");
        }
    }
}
