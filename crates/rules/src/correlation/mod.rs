//! Correlation: rules over several events, as the Sigma correlation rules specification has them.
//!
//! What lives here is pure and has no clock of its own: [`CorrelationRule::parse`] reads a rule,
//! [`Correlator`] holds the windows of all rules and is shown one event after the other together
//! with the detection rules that matched it. Loading files, matching single events and making
//! findings belong elsewhere.
//!
//! # Meaning
//!
//! **Window.** Windows slide; there are no fixed buckets. A window ends at an event that takes part
//! and reaches back by `timespan`, both ends included: events exactly `timespan` apart are within
//! it. Events are ordered by their own time in nanoseconds, and where times are equal by arrival,
//! which is the source's order.
//!
//! **Group.** Events with equal values in all `group-by` fields share windows; values are compared
//! exactly as written. An event that lacks a `group-by` field, or has null there, does not take
//! part in that rule. Of a field that occurs several times the first value counts. Without
//! `group-by` all events share one group. An alias that names no field for one of the rules stands
//! for the field of its own name there.
//!
//! **Value.** `value_*` rules need `field`. An event without it, or for the numeric ones with a
//! value that is not a finite decimal number, does not take part and is counted. Several fields
//! count distinct combinations. A percentile is the continuous one of SQL's `percentile_cont`:
//! with the values sorted and numbered from 0, the value at place `(n - 1) × p / 100`, linear
//! between neighbours; `p` is `condition.percentile`, 50 where it is not given. The median is the
//! percentile 50.
//!
//! **Sequence.** `temporal` counts how many of its rules occur in the window. `temporal_ordered`
//! counts how many of its rules, from the first of the list on, occur one after the other in the
//! list's order, each at a different event. Both want all rules unless a condition is given. A
//! boolean condition over rule names is met when one of its alternatives is: every rule it asks
//! for occurs (in the list's order for `temporal_ordered`), and none that it negates does.
//!
//! **Firing.** The condition is looked at whenever an event enters a window. A group that fires
//! does so once per `timespan`: it does not fire for a window that ends within `timespan` of one it
//! fired for. So five failed logins are one hit, and a burst that lasts is one hit per `timespan`,
//! all with the same [`CorrelationHit::key`], which makes them one alert. There is no hit per
//! further event of the burst: the events are found by the group's values, and an attacker must not
//! be able to choose the rate of findings. This rule depends on times alone, not on how the
//! condition flickers in between, so it holds for averages as for counts.
//!
//! **Late events.** An event older than the newest of its group by no more than
//! [`Limits::lateness`] is put where it belongs, and all windows that contain it are looked at again.
//! An older one is treated likewise with what is still kept, and counted. Where more than 256 events
//! of the group are newer, only the newest window is looked at again, and that is counted too. What
//! has been raised is never taken back. Lateness is measured within the group, so that a machine with a wrong clock
//! does not make the events of others late, and an event with a time far from the rest of its group
//! opens a window of its own instead of pushing the others out.
//!
//! **Chains.** A hit of a correlation is an event for the correlations that refer to it. Its time is
//! that of the window's last event; its fields are its group's, and else those of the event that
//! was being looked at.
//!
//! **Output.** Rules that a correlation refers to raise nothing themselves, unless a correlation
//! that refers to them says `generate: true`; [`Correlator::is_silenced`] tells.
//!
//! # Cost
//!
//! Per event that takes part: counting and sequences take a binary search, distinct values and
//! percentiles two updates of ordered maps, sums and averages two updates of an exact accumulator.
//! A late event costs this once per newer event of its group, up to a bound. Memory is bounded by
//! [`Limits`]; what falls out is counted in [`Counters`].

mod condition;
mod definition;
mod engine;
mod exact_sum;
mod plan;
mod rank;
mod snapshot;
mod window;

pub use condition::{Bounds, Comparison, Condition, Expression};
pub use definition::{Alias, CorrelationError, CorrelationKind, CorrelationRule, Timespan};
pub use engine::{CorrelationHit, Correlator, Counters, Limits};
pub use plan::Resolve;
pub use snapshot::{Restored, SnapshotError};

/// 128 bits of SHA-256 over length-prefixed parts: equal parts have equal digests, and nobody can
/// make different ones that have.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u128 {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let full = hash.finalize();
    let mut bits = [0u8; 16];
    bits.copy_from_slice(&full[..16]);
    u128::from_be_bytes(bits)
}
