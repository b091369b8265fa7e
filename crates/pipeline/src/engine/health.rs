//! The node's own health as findings: sources that fall silent, losses, parsers that stop to
//! understand, a log that fills, events that cannot be written, a disk that runs full.
//!
//! Each trouble is one group per subject: it begins with one finding and has an end. What is wrong
//! is looked at every five seconds; nothing here touches the events themselves.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use covigil_model::{EntityRef, Finding, RuleRef, Severity, Time, entity::EntityKind, health::SourceState};
use covigil_store::{events::EventStore, wal::Wal};
use tokio_util::sync::CancellationToken;

use super::port::{FindingSink, HealthChange};
use crate::sources::Sources;

/// Ids of the health rules.
pub mod rule_ids {
    /// A source that sent regularly has stopped.
    pub const SILENT: &str = "covigil.source-silent";
    /// Records were lost before they could be stored.
    pub const LOSS: &str = "covigil.source-loss";
    /// Much of what a source sends is not understood.
    pub const PARSE: &str = "covigil.parse-failures";
    /// The write-ahead log is full or cannot be written.
    pub const LOG: &str = "covigil.log-full";
    /// Events or sidecars cannot be written.
    pub const STORE: &str = "covigil.store-failing";
    /// The disk is nearly full.
    pub const DISK: &str = "covigil.disk-nearly-full";
}

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(5);
/// A loss is over when nothing was lost for this long, in seconds.
const LOSS_OVER: i64 = 600;

/// When health becomes a finding.
#[derive(Debug, Clone)]
pub struct HealthPolicy {
    /// A silence is never noticed sooner than this.
    pub silence_least: Duration,
    /// A source is silent when this many times its usual gap has passed.
    pub silence_factor: f64,
    /// Arrivals that a source must have shown before its silence means something.
    pub silence_arrivals: u64,
    /// Time over which it must have shown them.
    pub silence_span: Duration,
    /// Share of records, of at least 50 in a minute, that are not understood.
    pub parse_share: f64,
    /// Free share of the disk below which it is nearly full.
    pub disk_free: f64,
    /// A directory on the disk to watch.
    pub disk: Option<PathBuf>,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            silence_least: Duration::from_secs(300),
            silence_factor: 10.0,
            silence_arrivals: 20,
            silence_span: Duration::from_secs(600),
            parse_share: 0.5,
            disk_free: 0.05,
            disk: None,
        }
    }
}

/// One trouble as it is now.
struct Trouble {
    level: Severity,
    title: &'static str,
    /// What it is, for people, with the mend.
    summary: String,
    /// When it began; part of the finding's id, so that the next one is another.
    since: Time,
}

/// What is remembered of a source between looks.
#[derive(Default)]
struct Seen {
    lost: u64,
    lost_at: Option<Time>,
    /// Time and counts of processed records and failures, about a minute ago.
    parse: (Option<Time>, u64, u64),
    failing: bool,
}

pub(super) struct Watch {
    policy: HealthPolicy,
    sources: Arc<Sources>,
    wal: Wal,
    store: EventStore,
    sink: Arc<dyn FindingSink>,
    /// What is wrong and told, by rule and subject.
    active: BTreeMap<(&'static str, String), Time>,
    seen: BTreeMap<Arc<str>, Seen>,
}

impl Watch {
    pub(super) fn new(
        policy: HealthPolicy,
        sources: Arc<Sources>,
        wal: Wal,
        store: EventStore,
        sink: Arc<dyn FindingSink>,
    ) -> Self {
        Self { policy, sources, wal, store, sink, active: BTreeMap::new(), seen: BTreeMap::new() }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
            let now = Time::now();
            self.sources.tick(now);
            let mut troubles = self.source_troubles(now);
            self.node_troubles(now, &mut troubles);
            for change in changes(&mut self.active, troubles, now) {
                if let Err(error) = self.sink.health(&change).await {
                    tracing::error!(%error, "a change of health cannot be kept");
                }
            }
        }
    }

    fn source_troubles(&mut self, now: Time) -> BTreeMap<(&'static str, String), Trouble> {
        let mut troubles = BTreeMap::new();
        for row in self.sources.all() {
            let name = row.name().to_string();
            if let Some(habits) = row.habits() {
                let quiet = now.since(habits.span.1) as f64 / 1e9;
                if is_silent(&self.policy, &habits, quiet) {
                    let summary = format!(
                        "{} ({}) has sent nothing for {}; it usually sends every {}. Check that it runs, and \
                         the way from it to here.",
                        name,
                        habits.description,
                        duration(quiet),
                        duration(habits.usual_gap),
                    );
                    row.set_state(SourceState::Silent, summary.clone());
                    let trouble = Trouble {
                        level: Severity::Medium,
                        title: "A source has fallen silent",
                        summary,
                        since: habits.span.1,
                    };
                    troubles.insert((rule_ids::SILENT, name.clone()), trouble);
                }
            }
            let seen = self.seen.entry(Arc::clone(row.name())).or_default();
            let lost = row.losses();
            if lost > seen.lost {
                seen.lost = lost;
                seen.lost_at = Some(now);
            }
            if let Some(at) = seen.lost_at
                && now.since(at) < LOSS_OVER * 1_000_000_000
            {
                let summary = format!(
                    "{lost} records of {name} were lost before they could be stored: too long, or more than \
                     was read in time. Send over TCP or HTTP, or raise the receive buffer."
                );
                let trouble = Trouble {
                    level: Severity::Medium,
                    title: "Records of a source are lost",
                    summary,
                    since: at,
                };
                troubles.insert((rule_ids::LOSS, name.clone()), trouble);
            }
            let (records, failures) = row.parse_counts();
            let (since, records_then, failures_then) = seen.parse;
            if since.is_none_or(|since| now.since(since) >= 60_000_000_000) {
                let (records_since, failures_since) = (records - records_then, failures - failures_then);
                seen.failing = since.is_some()
                    && records_since >= 50
                    && failures_since as f64 >= self.policy.parse_share * records_since as f64;
                seen.parse = (Some(now), records, failures);
            }
            if seen.failing {
                let summary = format!(
                    "Much of what {name} sends is not understood ({failures} of {records} records). The \
                     originals are stored. Check the source's parser and whether its format has changed."
                );
                let trouble = Trouble {
                    level: Severity::Medium,
                    title: "A source is no longer understood",
                    summary,
                    since: now,
                };
                troubles.insert((rule_ids::PARSE, name), trouble);
            }
        }
        troubles
    }

    fn node_troubles(&self, now: Time, troubles: &mut BTreeMap<(&'static str, String), Trouble>) {
        let mut add = |rule, level, title, summary: String| {
            troubles.insert((rule, "node".to_owned()), Trouble { level, title, summary, since: now });
        };
        let wal = self.wal.stats();
        if let Some(trouble) = wal.trouble {
            add(rule_ids::LOG, Severity::Critical, "Events cannot be taken in", trouble.to_string());
        } else if wal.bytes as f64 > wal.max_bytes as f64 * 0.9 {
            let summary = format!(
                "The write-ahead log is nearly full ({} of {} MiB): events arrive faster than they are stored. \
                 Sources will be held back. Give the node more processors, or the log more room.",
                wal.bytes >> 20,
                wal.max_bytes >> 20
            );
            add(rule_ids::LOG, Severity::High, "The write-ahead log is nearly full", summary);
        }
        if let Some((_, error)) = self.store.stats().last_error {
            let summary = format!("Events cannot be written: {error}. They stay in the write-ahead log.");
            add(rule_ids::STORE, Severity::Critical, "Events cannot be written", summary);
        }
        if let Some(dir) = &self.policy.disk
            && let Ok(disk) = rustix::fs::statvfs(dir)
            && disk.f_blocks > 0
        {
            let free = disk.f_bavail as f64 / disk.f_blocks as f64;
            if free < self.policy.disk_free {
                let summary = format!(
                    "The disk of {} has {:.1}% free. Free some space, or keep events for a shorter time; a full \
                     disk holds sources back.",
                    dir.display(),
                    free * 100.0
                );
                add(rule_ids::DISK, Severity::High, "The disk is nearly full", summary);
            }
        }
    }
}

fn is_silent(policy: &HealthPolicy, habits: &crate::sources::Habits, quiet: f64) -> bool {
    let shown = habits.span.1.since(habits.span.0) as f64 / 1e9;
    habits.arrivals >= policy.silence_arrivals
        && shown >= policy.silence_span.as_secs_f64()
        && quiet > policy.silence_least.as_secs_f64().max(policy.silence_factor * habits.usual_gap)
}

/// What has begun and what has ended against what was told before.
fn changes(
    active: &mut BTreeMap<(&'static str, String), Time>,
    troubles: BTreeMap<(&'static str, String), Trouble>,
    now: Time,
) -> Vec<HealthChange> {
    let mut changes = Vec::new();
    active.retain(|(rule, subject), _| {
        let still = troubles.contains_key(&(*rule, subject.clone()));
        if !still {
            changes.push(HealthChange::Ended { group: group(rule, subject), at: now });
        }
        still
    });
    for ((rule, subject), trouble) in troubles {
        if active.contains_key(&(rule, subject.clone())) {
            continue;
        }
        changes.push(HealthChange::Began(finding(rule, &subject, &trouble, now)));
        active.insert((rule, subject), trouble.since);
    }
    changes
}

fn group(rule: &str, subject: &str) -> String {
    format!("{rule}|{subject}")
}

fn finding(rule: &'static str, subject: &str, trouble: &Trouble, now: Time) -> Finding {
    let group = group(rule, subject);
    Finding {
        id: Finding::derive_id(rule, &[], &format!("{group}@{}", trouble.since)),
        solution: "health".into(),
        rule: RuleRef {
            id: rule.into(),
            title: trouble.title.into(),
            level: trouble.level,
            techniques: Vec::new(),
            tactics: Vec::new(),
            description: "The node watches its own sources, log, store and disk.".into(),
            false_positives: Vec::new(),
            references: Vec::new(),
        },
        time: now,
        events: Vec::new(),
        matched: Vec::new(),
        entities: vec![EntityRef { kind: EntityKind::Host, name: subject.to_owned() }],
        group,
        summary: Some(trouble.summary.clone()),
    }
}

/// A length of time for people.
fn duration(secs: f64) -> String {
    match secs {
        s if s < 1.0 => "second or less".into(),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Time {
        Time::from_secs(1_700_000_000 + secs)
    }

    #[test]
    fn a_silence_begins_once_and_ends() {
        let sources = Sources::new();
        let row = sources.of("web");
        for n in 0..100 {
            row.received(1, 1, at(n * 60));
        }
        let policy = HealthPolicy::default();
        let habits = row.habits().unwrap();
        assert!(!is_silent(&policy, &habits, 599.0));
        assert!(is_silent(&policy, &habits, 601.0));
        let quick = sources.of("quick");
        for n in 0..1_000 {
            quick.received(1, 1, at(n));
        }
        assert!(!is_silent(&policy, &quick.habits().unwrap(), 299.0), "five minutes at least");
        let young = sources.of("young");
        for n in 0..100 {
            young.received(1, 1, at(n));
        }
        assert!(!is_silent(&policy, &young.habits().unwrap(), 10_000.0), "too little is known of it");

        let mut active = BTreeMap::new();
        let trouble = || {
            let trouble =
                Trouble { level: Severity::Medium, title: "t", summary: "s".into(), since: at(6_000) };
            BTreeMap::from([((rule_ids::SILENT, "web".to_owned()), trouble)])
        };
        let began = changes(&mut active, trouble(), at(7_000));
        let [HealthChange::Began(finding)] = began.as_slice() else { panic!("{began:?}") };
        assert_eq!(finding.group, "covigil.source-silent|web");
        assert!(changes(&mut active, trouble(), at(7_005)).is_empty());
        let ended = changes(&mut active, BTreeMap::new(), at(7_010));
        assert_eq!(ended, [HealthChange::Ended { group: finding.group.clone(), at: at(7_010) }]);
    }
}
