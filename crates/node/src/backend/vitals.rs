//! How the node and its parts fare, and what happens right now.

use async_trait::async_trait;
use covigil_console::{
    BackendError,
    backend::{
        DiskHealth, Live, OutputHealth, RuleFailure, RulesHealth, StoreHealth, SystemHealth, Vitals,
        WalHealth,
    },
};
use covigil_model::{OpContext, Time, health::SourceHealth};
use futures::{StreamExt as _, stream::BoxStream};
use tokio_stream::wrappers::BroadcastStream;

use super::NodeBackend;

/// Share of a disk below which its free space is worth a word.
const LOW: f64 = 0.1;

#[async_trait]
impl Vitals for NodeBackend {
    async fn sources(&self, ctx: &OpContext) -> Result<Vec<SourceHealth>, BackendError> {
        self.own(ctx)?;
        Ok(self.sources.health(Time::now()))
    }

    async fn system(&self, ctx: &OpContext) -> Result<SystemHealth, BackendError> {
        self.own(ctx)?;
        let store = self.store.stats();
        let wal = self.wal.stats();
        let rules = self.rules.current();
        let sources = self.sources.health(Time::now());
        Ok(SystemHealth {
            started: self.started,
            rate: sources.iter().map(|source| source.rate).sum(),
            memory: resident_bytes(),
            store: StoreHealth {
                events: store.rows,
                bytes: store.bytes,
                files: store.files as u64,
                unflushed: store.memory_rows as u64,
                oldest: store.oldest,
                newest: sources.iter().filter_map(|source| source.last_seen).max(),
                last_commit: None,
                detail: store.last_error.map(|(_, error)| error).unwrap_or_default(),
            },
            wal: WalHealth {
                bytes: wal.bytes,
                segments: 0,
                pending: wal.newest.0.saturating_sub(store.appended.0),
                quarantined: self.quarantined,
                detail: wal.trouble.map(|error| error.to_string()).unwrap_or_default(),
            },
            rules: RulesHealth {
                loaded: rules.report().loaded as u64,
                failed: rules
                    .report()
                    .failed
                    .iter()
                    .map(|failure| RuleFailure {
                        title: failure.title.clone().unwrap_or_default(),
                        path: failure.path.clone(),
                        line: failure.line,
                        reason: failure.reason.clone(),
                    })
                    .collect(),
                loaded_at: Some(self.rules.loaded_at()),
            },
            disks: disk_of(&self.data).into_iter().collect(),
            outputs: self.output_health(ctx).await?,
        })
    }

    fn live(&self, ctx: &OpContext) -> BoxStream<'static, Live> {
        if self.own(ctx).is_err() {
            return futures::stream::empty().boxed();
        }
        // A page that lags misses items and catches up at its next look.
        BroadcastStream::new(self.live.subscribe()).filter_map(|item| async { item.ok() }).boxed()
    }
}

impl NodeBackend {
    async fn output_health(&self, ctx: &OpContext) -> Result<Vec<OutputHealth>, BackendError> {
        let outputs = self.dispatcher.outputs(ctx).await.map_err(super::state_error)?;
        let waiting = self.state.deliveries_waiting(ctx).await.map_err(super::state_error)?;
        Ok(outputs
            .into_iter()
            .map(|output| {
                let (last_sent, detail) = self.dispatcher.last(&output.name);
                OutputHealth {
                    queued: waiting
                        .iter()
                        .find(|(name, _)| *name == output.name)
                        .map_or(0, |(_, count)| *count),
                    kind: output.kind.as_str().to_owned(),
                    last_sent,
                    detail,
                    name: output.name,
                }
            })
            .collect())
    }
}

/// Resident memory of this process, from `/proc`; 0 where that cannot be read.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kibibytes.unwrap_or(0) * 1_024
}

fn disk_of(path: &std::path::Path) -> Option<DiskHealth> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let (total, free) = (stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize);
    let detail = if (free as f64) < total as f64 * LOW {
        "Little space is left. Intake waits when it is used up; free some, or keep events for a shorter time."
    } else {
        ""
    };
    Some(DiskHealth { path: path.display().to_string(), total, free, detail: detail.to_owned() })
}
