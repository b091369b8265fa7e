//! Correlation as an analyst meets it, against brute force, and through restarts.

use std::collections::BTreeSet;

use covigil_model::EventId;
use covigil_rules::correlation::{
    CorrelationError, CorrelationHit, CorrelationRule, Correlator, Limits, SnapshotError,
};
use covigil_testkit::{
    correlation::{Fired, Seen, run},
    event::PlainEvent,
    generate::correlations::{DETECTIONS, arrivals, monotone_rule, rules},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const SECOND: i64 = 1_000_000_000;

fn limits() -> Limits {
    Limits { events_per_hit: 1_000, ..Limits::default() }
}

/// Bounds that every test runs into.
fn scarce_limits() -> Limits {
    Limits { lateness: SECOND, groups: 3, events: 10, events_per_window: 9, events_per_hit: 4 }
}

/// Ranges of time that one group keeps apart.
const MOST_LANES: usize = 4;

fn try_correlator(documents: &[Value], limits: Limits) -> (Correlator, Vec<(usize, CorrelationError)>) {
    let rules = documents.iter().map(|d| CorrelationRule::parse(d).unwrap()).collect();
    let resolve = |name: &str| -> Vec<u32> {
        DETECTIONS.iter().position(|d| *d == name).map(|n| n as u32).into_iter().collect()
    };
    Correlator::new(rules, &resolve, limits)
}

fn correlator(documents: &[Value], limits: Limits) -> Correlator {
    let (correlator, errors) = try_correlator(documents, limits);
    assert_eq!(errors, []);
    correlator
}

fn show(correlator: &mut Correlator, seen: &Seen) -> Vec<CorrelationHit> {
    let mut hits = Vec::new();
    let matched: Vec<u32> = seen
        .matched
        .iter()
        .filter_map(|m| DETECTIONS.iter().position(|d| d == m))
        .map(|n| n as u32)
        .collect();
    correlator.observe(&seen.event.to_event(), &matched, &mut hits);
    hits
}

fn rule(correlation: Value) -> Value {
    json!({"title": "the rule", "name": "one", "correlation": correlation})
}

/// Events that match `a`, at these times in seconds.
fn failures(seconds: &[f64]) -> Vec<Seen> {
    steps(&seconds.iter().map(|s| (*s, "a")).collect::<Vec<_>>())
}

fn steps(steps: &[(f64, &str)]) -> Vec<Seen> {
    let seen = steps.iter().enumerate().map(|(n, (seconds, matched))| {
        let mut event = PlainEvent::of((seconds * 1e9) as i64, &[("User", "bob")]);
        event.sequence = n as u64 + 1;
        Seen { event, matched: BTreeSet::from([(*matched).to_owned()]) }
    });
    seen.collect()
}

fn hits(documents: &[Value], seen: &[Seen]) -> Vec<CorrelationHit> {
    let mut correlator = correlator(documents, limits());
    seen.iter().flat_map(|s| show(&mut correlator, s)).collect()
}

fn brute_force(su: Value) -> Value {
    rule(
        json!({"type": "event_count", "rules": ["a"], "group-by": ["User"], "timespan": "60s", "condition": su}),
    )
}

#[test]
fn five_failures_are_one_hit_and_a_burst_is_one_per_timespan() {
    let documents = [brute_force(json!({"gte": 5}))];
    let times: Vec<f64> = (0..9).map(f64::from).collect();
    let found = hits(&documents, &failures(&times));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].summary, "5 events in 60 s");
    assert_eq!(found[0].group, [("User".to_owned(), "bob".to_owned())]);
    assert_eq!(found[0].events.last().unwrap().sequence, 5);
    assert_eq!(found[0].count, 5);

    // Ten minutes of one failure a second: one hit in each 61 s, all with one key.
    let times: Vec<f64> = (0..600).map(f64::from).collect();
    let found = hits(&documents, &failures(&times));
    assert_eq!(found.len(), 10);
    assert!(found.iter().all(|hit| hit.key == found[0].key));
}

#[test]
fn a_window_includes_both_ends_and_sees_fractions_of_seconds() {
    let documents = [brute_force(json!({"gte": 2}))];
    assert_eq!(hits(&documents, &failures(&[0.0, 60.0])).len(), 1);
    assert_eq!(hits(&documents, &failures(&[0.0, 60.000_001])).len(), 0);
}

#[test]
fn order_within_a_second_counts() {
    let documents = [rule(json!({"type": "temporal_ordered", "rules": ["a", "b"], "timespan": "5m"}))];
    assert_eq!(hits(&documents, &steps(&[(1.2, "a"), (1.7, "b")])).len(), 1);
    assert_eq!(hits(&documents, &steps(&[(1.2, "b"), (1.7, "a")])).len(), 0);
    // The same with the first of them late.
    assert_eq!(hits(&documents, &steps(&[(1.7, "b"), (1.2, "a")])).len(), 1);
}

#[test]
fn many_failures_then_success_is_a_chain() {
    let many = json!({"title": "many", "name": "many", "correlation": {"type": "event_count", "rules": ["a"],
        "group-by": ["User"], "timespan": "60s", "condition": {"gte": 3}}});
    let chain = |generate: bool| {
        json!({"title": "broken in", "name": "in", "correlation": {"type": "temporal_ordered",
            "rules": ["many", "b"], "group-by": "User", "timespan": "1h", "generate": generate}})
    };
    let seen = steps(&[(0.0, "a"), (1.0, "a"), (2.0, "a"), (100.0, "b")]);
    let found = hits(&[many.clone(), chain(false)], &seen);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].rule, 1);
    let sequences: Vec<u64> = found[0].events.iter().map(|e| e.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4], "the events behind the first step are shown too");
    let found = hits(&[chain(true), many], &seen);
    assert_eq!(found.iter().map(|hit| hit.rule).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn rules_that_are_referred_to_are_silent_unless_generated() {
    let document = |generate: bool| {
        rule(json!({"type": "temporal", "rules": ["a", "b"], "timespan": "5m", "generate": generate}))
    };
    let silent = correlator(&[document(false)], limits());
    assert!(silent.is_silenced(0) && silent.is_silenced(1) && !silent.is_silenced(2));
    assert!(!correlator(&[document(true)], limits()).is_silenced(0));
    assert!(!correlator(&[document(false), document(true)], limits()).is_silenced(0));
}

#[test]
fn a_clock_that_is_wrong_by_a_year_does_not_blind_the_rule() {
    let documents = [brute_force(json!({"gte": 3}))];
    let year = 31_556_952.0;
    let seen = failures(&[0.0, year, 1.0, 2.0 * year, -year, 2.0]);
    let found = hits(&documents, &seen);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].time.nanos(), 2 * SECOND);
}

#[test]
fn late_events_are_counted_and_too_late_ones_too() {
    let documents = [brute_force(json!({"gte": 2}))];
    let mut correlator = correlator(&documents, limits());
    for seen in failures(&[100.0, 50.0, 30.0]) {
        show(&mut correlator, &seen);
    }
    let counters = correlator.counters();
    assert_eq!((counters.late, counters.too_late, counters.hits), (2, 1, 1));
}

/// Whoever sends times backwards in a burst costs a bounded amount per event, and the burst is found.
#[test]
fn a_burst_that_arrives_backwards_is_found_and_bounded() {
    let documents = [brute_force(json!({"gte": 1_000}))];
    let mut correlator = correlator(&documents, limits());
    let times: Vec<f64> = (0..2_000).rev().map(|n| f64::from(n) / 100.0).collect();
    let hits: usize = failures(&times).iter().map(|seen| show(&mut correlator, seen).len()).sum();
    assert_eq!(hits, 1);
    assert_eq!(correlator.counters().windows_skipped, 2_000 - 1 - 256);
}

#[test]
fn memory_is_bounded_and_what_falls_out_is_counted() {
    let documents = [brute_force(json!({"gte": 8}))];
    let small = Limits { groups: 10, events: 30, events_per_window: 8, ..Limits::default() };
    let mut correlator = correlator(&documents, small);
    for n in 0..1_000u64 {
        let mut event = PlainEvent::of(n as i64, &[("User", &format!("user {}", n % 100))]);
        event.sequence = n;
        show(&mut correlator, &Seen { event, matched: BTreeSet::from(["a".to_owned()]) });
        assert!(correlator.counters().groups <= 10 && correlator.counters().events <= 30);
    }
    let counters = correlator.counters().clone();
    assert_eq!(counters.groups_evicted, 1_000 - counters.groups);
    assert_eq!(counters.events_evicted, 1_000 - counters.events);
    for seen in failures(&[0.0; 20]) {
        show(&mut correlator, &seen);
    }
    assert_eq!(correlator.counters().hits, 1);
    let counters = correlator.counters();
    assert_eq!(counters.events_evicted, 1_020 - counters.events);
}

#[test]
fn rules_that_cannot_run_say_why_and_the_others_run() {
    let to = |name: &str, target: &str| {
        json!({"title": name, "name": name, "correlation": {"type": "event_count", "rules": [target],
            "timespan": "1m", "condition": {"gte": 1}}})
    };
    let (correlator, errors) = try_correlator(
        &[to("ok", "a"), to("x", "y"), to("y", "x"), to("lost", "nothing"), to("above", "lost")],
        limits(),
    );
    assert_eq!(correlator.len(), 1);
    let reasons: Vec<(usize, String)> = errors.into_iter().map(|(n, e)| (n, e.to_string())).collect();
    assert_eq!(reasons.len(), 4);
    assert!(reasons[0].1.contains("itself by way of “y”"), "{reasons:?}");
    assert!(reasons[2].1.contains("“nothing”"), "{reasons:?}");
    assert!(reasons[3].1.contains("“lost”, which cannot run"), "{reasons:?}");
    let (_, errors) = try_correlator(&[brute_force(json!({"gte": 1_000_000}))], limits());
    assert!(matches!(errors[0].1, CorrelationError::OutOfReach { .. }));
}

#[test]
fn state_of_unchanged_rules_survives_a_change_of_rules() {
    let kept = brute_force(json!({"gte": 3}));
    let changed = |n: u32| {
        json!({"title": "other", "id": "other", "correlation": {"type": "event_count", "rules": ["a"],
            "timespan": "60s", "condition": {"gte": n}}})
    };
    let seen = failures(&[0.0, 1.0, 2.0]);
    let mut before = correlator(&[kept.clone(), changed(3)], limits());
    show(&mut before, &seen[0]);
    show(&mut before, &seen[1]);
    let mut after = correlator(&[changed(2), kept], limits());
    let restored = after.restore(&before.snapshot()).unwrap();
    assert_eq!((restored.groups, restored.events), (1, 2));
    assert_eq!(restored.dropped, ["other"]);
    let found = show(&mut after, &seen[2]);
    assert_eq!(found.len(), 1, "the kept rule goes on, the changed one began anew");
    assert_eq!(found[0].rule, 1);
}

#[test]
fn damaged_snapshots_are_refused_whole() {
    let documents = [brute_force(json!({"gte": 3}))];
    let mut before = correlator(&documents, limits());
    for seen in failures(&[0.0, 1.0]) {
        show(&mut before, &seen);
    }
    let good = before.snapshot();
    let mut after = correlator(&documents, limits());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        assert!(after.restore(&bad).is_err(), "a flipped bit at {at} went unnoticed");
        assert!(after.restore(&good[..at]).is_err());
    }
    assert_eq!(after.restore(b"something else"), Err(SnapshotError::Foreign));
    assert_eq!(after.counters().events, 0);
    assert!(after.restore(&good).is_ok());
}

/// What both evaluators say of one hit, in one form.
type Said = (usize, i64, Vec<EventId>, Vec<String>);

fn said_by_engine(hits: &[CorrelationHit]) -> Vec<Said> {
    let one = |hit: &CorrelationHit| {
        let group = hit.group.iter().map(|(_, value)| value.clone()).collect();
        let mut events = hit.events.clone();
        events.sort();
        (hit.rule as usize, hit.time.nanos(), events, group)
    };
    hits.iter().map(one).collect()
}

fn said_by_reference(fired: &[Fired]) -> Vec<Said> {
    let one = |fired: &Fired| {
        let mut window = fired.window.clone();
        window.sort();
        window.dedup();
        (fired.rule, fired.time, window, fired.group.clone())
    };
    fired.iter().map(one).collect()
}

/// Hits of rules over other correlations also show the events behind those; the rest must agree to
/// the event.
fn without_chained_events(rules: &[Value], mut said: Vec<Said>) -> Vec<Said> {
    for one in &mut said {
        if rules.len() == 3 && one.0 > 0 {
            one.2.clear();
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::cases(1_500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_brute_force(
        (documents, seen) in (rules(), prop_oneof![arrivals(0), arrivals(4 * SECOND), arrivals(60 * SECOND)]),
    ) {
        let engine = said_by_engine(&hits(&documents, &seen));
        let reference = said_by_reference(&run(&documents, &seen));
        prop_assert_eq!(
            without_chained_events(&documents, engine),
            without_chained_events(&documents, reference)
        );
    }

    /// Also where groups and events are forgotten all the time.
    #[test]
    fn a_restart_at_any_point_changes_nothing(
        (documents, seen, at, scarce) in
            (rules(), arrivals(10 * SECOND), any::<prop::sample::Index>(), any::<bool>()),
    ) {
        let at = at.index(seen.len() + 1);
        let limits = || if scarce { scarce_limits() } else { limits() };
        let mut correlator = correlator(&documents, limits());
        let mut found: Vec<CorrelationHit> = Vec::new();
        for one in &seen[..at] {
            found.extend(show(&mut correlator, one));
        }
        let snapshot = correlator.snapshot();
        let mut again = self::correlator(&documents, limits());
        prop_assert_eq!(again.restore(&snapshot).unwrap().dropped.len(), 0);
        prop_assert_eq!(again.snapshot(), snapshot);
        for one in &seen[at..] {
            found.extend(show(&mut again, one));
        }
        let mut whole = self::correlator(&documents, limits());
        let expected: Vec<CorrelationHit> = seen.iter().flat_map(|s| show(&mut whole, s)).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(again.snapshot(), whole.snapshot());
    }

    /// Whatever the times: no panic, bounds hold, and what is counted as held is what is held.
    #[test]
    fn any_times_are_taken_within_bounds(
        (documents, seen, times) in
            (rules(), arrivals(0), proptest::collection::vec(any::<i64>(), 40)),
    ) {
        let limits = scarce_limits();
        let mut correlator = correlator(&documents, limits.clone());
        for (mut one, time) in seen.into_iter().zip(times) {
            // Some at the ends of time, some near each other, some anywhere.
            one.event.time = match time % 5 {
                0 => i64::MAX - time.rem_euclid(3) * SECOND,
                1 => i64::MIN + time.rem_euclid(3) * SECOND,
                2 => time,
                _ => time % (100 * SECOND),
            };
            show(&mut correlator, &one);
            let counters = correlator.counters();
            let most = limits.events.max(MOST_LANES * limits.events_per_window);
            prop_assert!(counters.groups <= limits.groups as u64 && counters.events <= most as u64);
        }
        let mut again = self::correlator(&documents, limits);
        let restored = again.restore(&correlator.snapshot()).unwrap();
        prop_assert_eq!(restored.events as u64, correlator.counters().events);
        prop_assert_eq!(restored.groups as u64, correlator.counters().groups);
    }

    /// Arrival order decides when a rule fires, but not whether: each window that meets a condition
    /// which more events cannot undo is within a timespan of a hit, and each hit is such a window.
    #[test]
    fn shuffled_arrival_raises_the_same_groups(
        (document, seen) in (monotone_rule(), arrivals(30 * SECOND)),
    ) {
        let documents = [document];
        let mut sorted = seen.clone();
        sorted.sort_by_key(|s| s.event.time);
        let of = |found: &[CorrelationHit]| -> BTreeSet<String> { found.iter().map(|h| h.key.clone()).collect() };
        let shuffled = hits(&documents, &seen);
        let ordered = hits(&documents, &sorted);
        prop_assert_eq!(of(&shuffled), of(&ordered));
        let span = CorrelationRule::parse(&documents[0]).unwrap().timespan.nanos;
        for (one, others) in [(&ordered, &shuffled), (&shuffled, &ordered)] {
            for hit in one {
                let near = others.iter().any(|other| {
                    other.key == hit.key && (other.time.nanos() - hit.time.nanos()).abs() <= span
                });
                prop_assert!(near, "{hit:?} has no counterpart");
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_restored(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut correlator = correlator(&[brute_force(json!({"gte": 3}))], limits());
        let _ = correlator.restore(&bytes);
    }
}
