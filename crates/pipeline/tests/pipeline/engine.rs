//! From the wire to events at rest and findings, and over restarts.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use covigil_model::{Event, Finding, Kind, OpContext, TenantId, Time, event::EventId};
use covigil_pipeline::{
    engine::{Engine, EngineConfig, EngineParts, FindingSink, HealthChange, PortError, StateStore},
    intake::{TcpSyslog, tcp_syslog},
    parse::Parsers,
};
use covigil_rules::{Options, RuleSet, RuleText};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};
use covigil_store::{
    events::{EventStore, EventStoreConfig, Rows},
    wal::{Batch, NewRecord, Position},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, until};

/// Reads `key=value` words; refuses a text without any, and breaks on `panic`.
struct Words;

impl Parser for Words {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn sniff(&self, _: &str) -> Confidence {
        Confidence::Weak
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        event.log_source.set("linux", &["auth"], &[]);
        let words: Vec<(String, String)> = event
            .original()
            .split([' ', '>'])
            .filter_map(|word| word.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, value) in &words {
            assert!(name != "panic", "as told");
            event.add_field(name, value, Kind::Text);
        }
        if words.is_empty() { Err(ParseFailure("no words".into())) } else { Ok(()) }
    }
}

const RULES: &str = r"
title: A failed login
id: 00000000-0000-4000-8000-000000000001
name: failed
logsource: {product: linux, service: auth}
detection: {s: {action: failed}, condition: s}
level: low
---
title: Many failed logins
id: 00000000-0000-4000-8000-000000000002
correlation: {type: event_count, rules: [failed], group-by: [user], timespan: 1h, condition: {gte: 5}}
level: high
---
title: Root logs in
id: 00000000-0000-4000-8000-000000000003
logsource: {product: linux, service: auth}
detection: {s: {action: login, user: root}, condition: s}
level: medium
";

fn rules(text: &str) -> Arc<RuleSet> {
    let texts = [RuleText { path: "test.yml".into(), text: text.to_owned() }];
    let set = RuleSet::compile(&texts, &Options::default());
    assert_eq!(set.report().failed, []);
    Arc::new(set)
}

/// What a program would keep: lives on over restarts of the engine.
#[derive(Default)]
struct Kept {
    findings: Mutex<Vec<Finding>>,
    state: Mutex<Option<(Position, Vec<u8>)>>,
    refuse: AtomicBool,
    refused: AtomicU32,
    /// Whether state is kept; a program that is killed early never came to it.
    forgetful: AtomicBool,
}

#[async_trait]
impl FindingSink for Kept {
    async fn findings(&self, findings: &[Finding]) -> Result<(), PortError> {
        if self.refuse.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(PortError("the state database is locked".into()));
        }
        self.findings.lock().unwrap().extend_from_slice(findings);
        Ok(())
    }

    async fn health(&self, _: &HealthChange) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl StateStore for Kept {
    async fn load(&self) -> Result<Option<(Position, Vec<u8>)>, PortError> {
        Ok(self.state.lock().unwrap().clone())
    }

    async fn save(&self, position: Position, state: &[u8]) -> Result<(), PortError> {
        if !self.forgetful.load(Ordering::SeqCst) {
            *self.state.lock().unwrap() = Some((position, state.to_vec()));
        }
        Ok(())
    }
}

impl Kept {
    /// Findings of a rule by its last digit: how many were handed over, and how many ids they have.
    fn count(&self, rule: char) -> (usize, usize) {
        let findings = self.findings.lock().unwrap();
        let ids: Vec<_> = findings.iter().filter(|f| f.rule.id.ends_with(rule)).map(|f| f.id).collect();
        (ids.len(), ids.iter().collect::<BTreeSet<_>>().len())
    }
}

fn tenant() -> TenantId {
    TenantId::derived(&[b"test"])
}

/// A running engine on a directory.
struct Run {
    bench: Bench,
    store: EventStore,
    engine: Engine,
    stop: CancellationToken,
}

impl Run {
    async fn start(dir: &Path, kept: &Arc<Kept>, set: &Arc<RuleSet>) -> Self {
        let bench = Bench::with(dir, |config| config.segment_bytes = 64 << 10);
        let (store, committed) =
            EventStore::open(EventStoreConfig::new(dir.join("events"), tenant())).await.unwrap();
        let stop = CancellationToken::new();
        let mut config = EngineConfig::new("testhost");
        config.workers = 2;
        config.snapshot_every = Duration::from_millis(50);
        let engine = Engine::start(EngineParts {
            wal: bench.wal.clone(),
            store: store.clone(),
            committed,
            parsers: Parsers::new([&Words as &'static dyn Parser]),
            rules: set.clone(),
            sink: kept.clone(),
            state: kept.clone(),
            sources: bench.sources.clone(),
            config,
            stop: stop.clone(),
        })
        .await
        .unwrap();
        Self { bench, store, engine, stop }
    }

    async fn append(&self, texts: impl IntoIterator<Item = String>) {
        let now = Time::now();
        let record = |text: String| NewRecord {
            source: "src".into(),
            received: now,
            parser: "auto".into(),
            peer: None,
            data: Bytes::from(text),
        };
        self.bench.delivery.offer(Batch::of(texts.into_iter().map(record).collect())).await.unwrap();
    }

    /// Waits until everything in the log is searchable.
    async fn settle(&self) {
        let newest = self.bench.wal.stats().newest;
        let mut appended = self.engine.appended();
        tokio::time::timeout(Duration::from_secs(60), appended.wait_for(|p| *p >= newest))
            .await
            .unwrap()
            .unwrap();
    }

    /// Number of events in the store, and the ids of those in memory.
    fn stored(&self) -> (u64, Vec<EventId>) {
        let snapshot = self.store.snapshot(&OpContext::system(tenant(), "test", Time::now())).unwrap();
        let mut ids = Vec::new();
        for batch in &snapshot.memory {
            let rows = Rows::new(batch).unwrap();
            ids.extend((0..batch.num_rows()).map(|row| rows.id(row)));
        }
        (snapshot.rows(), ids)
    }

    async fn end(self) {
        self.stop.cancel();
        self.engine.ended().await;
    }
}

fn failed(user: &str) -> String {
    format!("action=failed user={user}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_over_tcp_is_searchable_and_found_once() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Arc::new(Kept::default());
    let run = Run::start(dir.path(), &kept, &rules(RULES)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(tcp_syslog(listener, TcpSyslog::default(), run.bench.delivery.clone()));
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream
        .write_all(b"<13>action=login user=root\n<13>nonsense\n<13>panic=1\n<13>\xff=\xfe\n")
        .await
        .unwrap();
    run.bench.wait_for(4).await;
    run.settle().await;
    let (rows, ids) = run.stored();
    assert_eq!(rows, 4);
    assert_eq!(ids[0].to_string(), "syslog:127.0.0.1#1");
    assert_eq!(kept.count('3'), (1, 1));
    let finding = kept.findings.lock().unwrap()[0].clone();
    assert_eq!(finding.events, ids[..1]);
    assert!(finding.matched.iter().any(|m| m.field == "user" && m.value == "root"));
    let health = run.bench.sources.of("syslog:127.0.0.1").health(Time::now());
    assert_eq!((health.records, health.parse_failures), (4, 2));
    run.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn correlation_goes_on_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Arc::new(Kept::default());
    let run = Run::start(dir.path(), &kept, &rules(RULES)).await;
    run.append((0..3).map(|_| failed("bob"))).await;
    run.settle().await;
    assert_eq!(kept.count('2'), (0, 0));
    run.end().await;
    let run = Run::start(dir.path(), &kept, &rules(RULES)).await;
    run.append((0..2).map(|_| failed("bob"))).await;
    run.settle().await;
    assert_eq!(kept.count('2'), (1, 1));
    assert_eq!(run.stored().0, 5);
    let findings = kept.findings.lock().unwrap().clone();
    let many = findings.iter().find(|f| f.rule.id.ends_with('2')).unwrap();
    let sequences: Vec<u64> = many.events.iter().map(|e| e.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    run.end().await;
}

/// A crash at any relation between the two positions: nothing stored twice or missing, and each
/// finding keeps its id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_everything_is_there_exactly_once() {
    for (flushed, state_kept) in [(false, false), (true, false), (false, true), (true, true)] {
        let dir = tempfile::tempdir().unwrap();
        let kept = Arc::new(Kept::default());
        kept.forgetful.store(!state_kept, Ordering::SeqCst);
        let run = Run::start(dir.path(), &kept, &rules(RULES)).await;
        run.append((0..3_000).map(|n| format!("n={n}"))).await;
        run.append((0..4).map(|_| failed("bob"))).await;
        run.settle().await;
        if flushed {
            run.store.flush().await.unwrap();
        }
        if state_kept {
            until(|| kept.state.lock().unwrap().as_ref().is_some_and(|(p, _)| p.0 == 3_004)).await;
        }
        run.append((0..4).map(|_| failed("eve"))).await;
        run.append(["action=login user=root".to_owned()]).await;
        run.settle().await;
        // The crash: what is in memory is gone, nothing is flushed or saved any more.
        kept.forgetful.store(true, Ordering::SeqCst);
        run.end().await;
        kept.forgetful.store(false, Ordering::SeqCst);

        let run = Run::start(dir.path(), &kept, &rules(RULES)).await;
        run.append([failed("bob"), failed("eve")]).await;
        run.settle().await;
        let case = format!("flushed: {flushed}, state kept: {state_kept}");
        let (rows, ids) = run.stored();
        assert_eq!(rows, 3_011, "{case}");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{case}");
        until(|| run.store.stats().appended.0 == 3_011).await;
        assert_eq!(kept.count('2').1, 2, "one for bob and one for eve; {case}");
        assert_eq!(kept.count('3').1, 1, "{case}");
        run.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_exchanged_without_losing_events_or_correlation_state() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Arc::new(Kept::default());
    let run = Run::start(dir.path(), &kept, &rules(RULES)).await;
    run.append((0..4).map(|_| failed("bob"))).await;
    run.settle().await;
    let more = format!(
        "{RULES}---\ntitle: New\nid: 00000000-0000-4000-8000-000000000004\n\
         logsource: {{product: linux}}\ndetection: {{s: {{n: '7'}}, condition: s}}\nlevel: low\n"
    );
    run.append(["n=7".to_owned()]).await;
    run.settle().await;
    assert_eq!(kept.count('4'), (0, 0));
    run.engine.reload(rules(&more));
    for n in 0..100 {
        run.append([format!("n={n}")]).await;
    }
    run.append([failed("bob")]).await;
    run.settle().await;
    assert_eq!(kept.count('4'), (1, 1));
    assert_eq!(kept.count('2'), (1, 1));
    assert_eq!(run.stored().0, 106);
    run.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_that_cannot_be_kept_hold_the_engine_back() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Arc::new(Kept::default());
    let run = Run::start(dir.path(), &kept, &rules(RULES)).await;
    kept.refuse.store(true, Ordering::SeqCst);
    run.append(["action=login user=root".to_owned()]).await;
    until(|| kept.refused.load(Ordering::SeqCst) >= 2).await;
    assert_eq!(run.stored().0, 0, "no event is stored before its finding");
    kept.refuse.store(false, Ordering::SeqCst);
    run.settle().await;
    assert_eq!((run.stored().0, kept.count('3')), (1, (1, 1)));
    run.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_keeps_what_is_not_safe_elsewhere_and_lets_go_of_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Arc::new(Kept::default());
    let run = Run::start(dir.path(), &kept, &rules(RULES)).await;
    for part in 0..10 {
        run.append((0..1_000).map(|n| format!("n={n} part={part} {}", "x".repeat(100)))).await;
    }
    run.settle().await;
    // Correlation has seen all of it and its state is kept; still the events are in memory alone.
    until(|| kept.state.lock().unwrap().as_ref().is_some_and(|(p, _)| p.0 == 10_000)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(run.bench.wal.stats().oldest, Position(1));
    run.store.flush().await.unwrap();
    until(|| run.bench.wal.stats().oldest > Position(5_000)).await;
    run.end().await;
}
