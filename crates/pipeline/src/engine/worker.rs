//! One thread that parses records and matches events, with everything it needs for itself.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
};

use covigil_model::{Event, Time};
use covigil_rules::{Matcher, RuleIndex, RuleSet};
use covigil_solution::ParseContext;
use covigil_store::wal::Position;
use jiff::{Timestamp, tz::TimeZone};
use tokio::sync::mpsc;

use super::Job;
use crate::parse::Parsers;

/// What one source had in one batch.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub records: u64,
    pub failures: u64,
    /// Time of the last event.
    pub last: Time,
}

/// A batch that a worker is done with.
pub(super) struct Done {
    pub events: Vec<Event>,
    /// Position of each event.
    pub positions: Vec<Position>,
    /// The rules that events match, and where those of each event end.
    pub matched: Vec<RuleIndex>,
    pub ends: Vec<usize>,
    pub rules: Arc<RuleSet>,
    pub tallies: HashMap<Arc<str>, Tally>,
}

/// Hands events back to their worker.
pub(super) type GiveBack = SyncSender<Vec<Event>>;

pub(super) struct Worker {
    parsers: Parsers,
    matcher: Matcher,
    rules: Arc<RuleSet>,
    context: ParseContext,
    zone: TimeZone,
    spare: Receiver<Vec<Event>>,
}

impl Worker {
    pub(super) fn new(
        parsers: Parsers,
        hostname: Arc<str>,
        rules: Arc<RuleSet>,
        spare: Receiver<Vec<Event>>,
    ) -> Self {
        Self {
            parsers,
            matcher: Matcher::new(Arc::clone(&rules)),
            rules,
            context: ParseContext { received: Time::default(), utc_offset: 0, peer: None, hostname },
            zone: TimeZone::system(),
            spare,
        }
    }

    pub(super) fn run(mut self, todo: &Receiver<Job>, done: &mpsc::Sender<Done>) {
        while let Ok(job) = todo.recv() {
            let result = self.work(job);
            if done.blocking_send(result).is_err() {
                return;
            }
        }
    }

    fn work(&mut self, job: Job) -> Done {
        if !Arc::ptr_eq(&self.rules, &job.rules) {
            self.matcher = Matcher::new(Arc::clone(&job.rules));
            self.rules = Arc::clone(&job.rules);
        }
        let count = job.records.len();
        let mut events = self.spare.try_recv().unwrap_or_default();
        events.resize_with(count, Event::new);
        let mut out = Done {
            events,
            positions: Vec::with_capacity(count),
            matched: Vec::new(),
            ends: Vec::with_capacity(count),
            rules: job.rules,
            tallies: HashMap::new(),
        };
        if let Some((_, first)) = job.records.first() {
            self.context.utc_offset = offset(&self.zone, first.received);
        }
        for ((position, record), event) in job.records.into_iter().zip(&mut out.events) {
            self.context.received = record.received;
            self.context.peer = record.peer;
            self.parsers.parse(&record.parser, &self.context, &record.data, event);
            event.id = record.id;
            let matched = out.matched.len();
            let matching = catch_unwind(AssertUnwindSafe(|| self.matcher.matches(event, &mut out.matched)));
            if matching.is_err() {
                tracing::error!(event = %event.id, "matching broke on an event; please report this");
                out.matched.truncate(matched);
                self.matcher = Matcher::new(Arc::clone(&self.rules));
            }
            out.ends.push(out.matched.len());
            out.positions.push(position);
            let tally = match out.tallies.get_mut(&event.id.source) {
                Some(tally) => tally,
                None => out.tallies.entry(Arc::clone(&event.id.source)).or_default(),
            };
            tally.records += 1;
            tally.failures += u64::from(event.failure.is_some());
            tally.last = event.time;
        }
        out
    }
}

/// Seconds east of UTC that this machine's clock showed at a time.
fn offset(zone: &TimeZone, at: Time) -> i32 {
    Timestamp::from_nanosecond(i128::from(at.nanos())).map_or(0, |at| zone.to_offset(at).seconds())
}
