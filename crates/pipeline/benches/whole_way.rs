//! The whole way: syslog over TCP, the log with its syncs, parsing, all rules, correlation, and the
//! store with its flushes, in one process.
//!
//! `cargo bench -p covigil-pipeline --bench whole_way -- [--events N] [--workers N] [--rules DIR]
//! [--input FILE]` prints events per second from the first byte sent to the last event searchable,
//! CPU time per event, and the peak of memory. Without an input file it sends lines of sshd, sudo
//! and cron; with one it sends its lines again and again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that cannot run says so by failing")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use covigil_model::{Finding, TenantId};
use covigil_pipeline::{
    engine::{Engine, EngineConfig, EngineParts, FindingSink, HealthChange, PortError, StateStore},
    intake::{Delivery, TcpSyslog, tcp_syslog},
    parse::Parsers,
    sources::Sources,
};
use covigil_rules::{Options, RuleSet, RuleText};
use covigil_store::{
    events::{EventStore, EventStoreConfig},
    wal::{Position, Wal, WalConfig},
};
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Counted(AtomicU64);

#[async_trait]
impl FindingSink for Counted {
    async fn findings(&self, findings: &[Finding]) -> Result<(), PortError> {
        self.0.fetch_add(findings.len() as u64, Ordering::Relaxed);
        Ok(())
    }
    async fn health(&self, _: &HealthChange) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl StateStore for Counted {
    async fn load(&self) -> Result<Option<(Position, Vec<u8>)>, PortError> {
        Ok(None)
    }
    async fn save(&self, _: Position, _: &[u8]) -> Result<(), PortError> {
        Ok(())
    }
}

struct Args {
    events: u64,
    workers: usize,
    rules: Option<PathBuf>,
    input: Option<PathBuf>,
}

fn args() -> Args {
    let mut args = Args { events: 2_000_000, workers: 2, rules: None, input: None };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--events" => args.events = value.parse().unwrap(),
            "--workers" => args.workers = value.parse().unwrap(),
            "--rules" => args.rules = Some(value.into()),
            "--input" => args.input = Some(value.into()),
            other => panic!("{other} is not an argument"),
        }
    }
    args
}

fn rules(dir: &Path, out: &mut Vec<RuleText>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rules(&path, out);
        } else if path.extension().is_some_and(|e| e == "yml") {
            out.push(RuleText { path: path.display().to_string(), text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// Lines as a server's syslog has them, each a little different.
fn lines() -> Vec<String> {
    (0..10_000u32)
        .map(|n| {
            let (host, pid, low) = (n % 40, 1_000 + n % 30_000, n % 250);
            let head = format!("<38>Nov 24 16:{:02}:{:02} web{host:02}", n / 60 % 60, n % 60);
            match n % 5 {
                0 => format!("{head} sshd[{pid}]: Accepted publickey for deploy from 10.1.2.{low} port {} ssh2", 30_000 + n),
                1 => format!("{head} sshd[{pid}]: Received disconnect from 10.1.3.{low} port 51000:11: disconnected by user"),
                2 => format!("{head} sudo: app{host} : TTY=pts/0 ; PWD=/srv ; USER=root ; COMMAND=/usr/bin/systemctl status app{low}"),
                3 => format!("{head} CRON[{pid}]: (root) CMD (test -x /usr/sbin/anacron || run-parts /etc/cron.hourly)"),
                _ => format!("{head} app[{pid}]: request id={n:08x} path=/api/v1/items/{low} status=200 bytes={} ms={}", n * 7 % 9_000, n % 90),
            }
        })
        .collect()
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("");
    line.split_ascii_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1_024
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let args = args();
    let dir = tempfile::tempdir_in(".").unwrap();
    let mut texts = Vec::new();
    if let Some(dir) = &args.rules {
        rules(dir, &mut texts);
    }
    let rules = Arc::new(RuleSet::compile(&texts, &Options::default()));
    drop(texts);
    println!("{} rules", rules.report().loaded);
    let (wal, recovery) = Wal::open(WalConfig::new(dir.path().join("wal"))).unwrap();
    let tenant = TenantId::derived(&[b"bench"]);
    let (store, committed) =
        EventStore::open(EventStoreConfig::new(dir.path().join("events"), tenant)).await.unwrap();
    let (sources, stop) = (Sources::new(), CancellationToken::new());
    let delivery = Delivery::new(wal.clone(), recovery.checkpoints, sources.clone(), stop.clone());
    let counted = Arc::new(Counted::default());
    let mut config = EngineConfig::new("bench");
    config.workers = args.workers;
    let flushing = {
        let (store, stop) = (store.clone(), stop.clone());
        tokio::spawn(async move { store.run(stop.cancelled()).await })
    };
    let engine = Engine::start(EngineParts {
        wal: wal.clone(),
        store: store.clone(),
        committed,
        parsers: Parsers::new(covigil_siem::SOLUTION.parsers.iter().copied()),
        rules,
        sink: counted.clone(),
        state: counted.clone(),
        sources: sources.clone(),
        config,
        stop: stop.clone(),
    })
    .await
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let serving = tokio::spawn(tcp_syslog(listener, TcpSyslog::default(), delivery));

    let lines = match &args.input {
        Some(path) => fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect(),
        None => lines(),
    };
    let blocks: Vec<(u64, String)> = lines
        .chunks(256)
        .map(|chunk| {
            let mut block = String::new();
            chunk.iter().for_each(|line| writeln!(block, "{line}").unwrap());
            (chunk.len() as u64, block)
        })
        .collect();
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let mut stream = TcpStream::connect(at).await.unwrap();
    let (mut sent, mut bytes) = (0, 0);
    for (count, block) in blocks.iter().cycle() {
        if sent >= args.events {
            break;
        }
        stream.write_all(block.as_bytes()).await.unwrap();
        sent += count;
        bytes += block.len();
    }
    drop(stream);
    let mut appended = engine.appended();
    tokio::time::timeout(Duration::from_secs(3_600), appended.wait_for(|p| p.0 >= sent))
        .await
        .unwrap()
        .unwrap();
    let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "{sent} events of {} bytes in {wall:.1} s: {:.0} events/s; {:.2} µs CPU per event; {} syncs; {} findings; \
         peak {} MiB",
        bytes as u64 / sent,
        sent as f64 / wall,
        cpu * 1e6 / sent as f64,
        wal.stats().syncs,
        counted.0.load(Ordering::Relaxed),
        peak_mib(),
    );
    stop.cancel();
    let _ = serving.await;
    engine.ended().await;
    let _ = flushing.await;
}
