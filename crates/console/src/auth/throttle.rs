//! Slows guessing: after a few failures for one name or from one address, the next attempt must
//! wait, longer each time. In memory and bounded; a restart forgets.

use std::{collections::HashMap, sync::Mutex};

use covigil_model::Time;

/// Failures of one name before its next attempt must wait.
const FREE: u32 = 5;
/// The same for an address, which many people may share.
const FREE_PER_PEER: u32 = 30;
const FIRST_SECS: i64 = 15;
const LONGEST_SECS: i64 = 900;
const FORGET_SECS: i64 = 3_600;
const MOST_KEYS: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Time,
}

impl Failures {
    fn next_allowed(&self, key: &str) -> Time {
        let free = if key.starts_with("peer:") { FREE_PER_PEER } else { FREE };
        if self.count < free {
            return Time::MIN;
        }
        self.last.plus_secs((FIRST_SECS << (self.count - free).min(10)).min(LONGEST_SECS))
    }
}

/// Failures per name and per address.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<String, Failures>>);

impl Throttle {
    /// Whether an attempt under these keys may be made; otherwise the seconds to wait.
    pub(crate) fn check(&self, keys: &[String], at: Time) -> Result<(), i64> {
        let Ok(map) = self.0.lock() else { return Err(LONGEST_SECS) };
        let allowed =
            keys.iter().filter_map(|key| map.get(key).map(|failures| failures.next_allowed(key))).max();
        match allowed {
            Some(allowed) if allowed > at => Err(allowed.since(at).div_euclid(1_000_000_000) + 1),
            _ => Ok(()),
        }
    }

    /// Notes a failed attempt.
    pub(crate) fn failed(&self, keys: &[String], at: Time) {
        let Ok(mut map) = self.0.lock() else { return };
        if map.len() >= MOST_KEYS {
            map.retain(|_, failures| at.since(failures.last) < FORGET_SECS * 1_000_000_000);
        }
        if map.len() >= MOST_KEYS
            && let Some(oldest) =
                map.iter().min_by_key(|(_, f)| (f.count, f.last)).map(|(key, _)| key.clone())
        {
            map.remove(&oldest);
        }
        for key in keys {
            let entry = map.entry(key.clone()).or_insert(Failures { count: 0, last: at });
            if at.since(entry.last) > FORGET_SECS * 1_000_000_000 {
                entry.count = 0;
            }
            entry.count = entry.count.saturating_add(1);
            entry.last = at;
        }
    }

    /// Forgets a name's failures after it signed in. An address's failures stay: one success does
    /// not buy guesses at others.
    pub(crate) fn succeeded(&self, name_key: &str) {
        if let Ok(mut map) = self.0.lock() {
            map.remove(name_key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_names_recover() {
        let throttle = Throttle::default();
        let keys = ["name:ana".to_owned()];
        let mut now = Time::from_secs(1_000);
        for _ in 0..FREE {
            assert_eq!(throttle.check(&keys, now), Ok(()));
            throttle.failed(&keys, now);
        }
        assert!(throttle.check(&keys, now).is_err());
        now = now.plus_secs(FIRST_SECS);
        assert_eq!(throttle.check(&keys, now), Ok(()));
        for _ in 0..20 {
            throttle.failed(&keys, now);
        }
        assert!(throttle.check(&keys, now.plus_secs(600)).is_err());
        assert_eq!(throttle.check(&keys, now.plus_secs(LONGEST_SECS + 1)), Ok(()));
        throttle.succeeded(&keys[0]);
        assert_eq!(throttle.check(&keys, now), Ok(()));
    }

    #[test]
    fn memory_stays_bounded() {
        let throttle = Throttle::default();
        for i in 0..MOST_KEYS + 100 {
            throttle.failed(&[format!("peer:{i}")], Time::from_secs(1));
        }
        assert!(throttle.0.lock().unwrap().len() <= MOST_KEYS);
    }
}
