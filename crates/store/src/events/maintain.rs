//! Background work on the table: compaction, retention, checkpoints, deletion.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use covigil_model::Time;

use super::{
    compact,
    error::EventsError,
    snapshot::FileRef,
    store::{EventStore, Shared},
    table::Change,
};

/// What a round of background work did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Files that were joined into others.
    pub compacted: usize,
    /// Files that retention dropped.
    pub dropped: usize,
    /// Whether a checkpoint was written.
    pub checkpoint: bool,
    /// Files deleted from the disk.
    pub deleted: usize,
}

impl EventStore {
    /// One round of background work. [`run`](Self::run) calls it; tests and tools may.
    pub async fn maintain(&self) -> Result<Maintained, EventsError> {
        let shared = self.shared.clone();
        let store = self.clone();
        // A task of its own: a caller that goes away must not leave a commit half told of.
        let round = tokio::spawn(async move {
            let _one = shared.maintaining.lock().await;
            {
                let mut table = shared.table.lock().await;
                shared.recover(&mut table).await?;
            }
            let mut done = Maintained { dropped: shared.retain().await?, ..Maintained::default() };
            while let Some(files) = shared.compact().await? {
                done.compacted += files;
            }
            fail::fail_point!("events::before_checkpoint", |_| Err(EventsError::Closed));
            let every = shared.config.checkpoint_commits;
            done.checkpoint = shared.table.lock().await.checkpoint(every).await?;
            fail::fail_point!("events::before_vacuum", |_| Err(EventsError::Closed));
            done.deleted = tokio::task::spawn_blocking(move || store.vacuum()).await.unwrap_or(0);
            Ok(done)
        });
        let result = round.await.unwrap_or(Err(EventsError::Closed));
        if let Err(error) = &result {
            self.shared.state().last_error = Some((Time::now(), error.to_string()));
        }
        result
    }
}

impl Shared {
    /// Joins one group of files; how many, or `None` where there was nothing to join.
    async fn compact(self: &Arc<Self>) -> Result<Option<usize>, EventsError> {
        let files = self.state().files.clone();
        let today = Time::now().date_text();
        let Some(inputs) = compact::choose(&files, &today, &self.config) else { return Ok(None) };
        drop(files);
        let shared = self.clone();
        let (inputs, outputs) = tokio::task::spawn_blocking(move || {
            let outputs = compact::merge(&shared.root, &inputs, &shared.config);
            outputs.map(|outputs| (inputs, outputs))
        })
        .await
        .unwrap_or(Err(EventsError::Closed))?;
        fail::fail_point!("events::before_compaction_commit", |_| Err(EventsError::Closed));
        let change = Change { add: &outputs, remove: &inputs, ..Change::default() };
        self.replace(change).await?;
        Ok(Some(inputs.len()))
    }

    /// Drops what retention says; how many files.
    async fn retain(self: &Arc<Self>) -> Result<usize, EventsError> {
        let files = self.state().files.clone();
        let old = expired(&files, Time::now(), self.config.keep_days, self.config.keep_bytes);
        drop(files);
        if !old.is_empty() {
            tracing::info!(files = old.len(), "retention drops files");
            self.replace(Change { remove: &old, drops_rows: true, ..Change::default() }).await?;
        }
        Ok(old.len())
    }

    /// Commits a change of files and makes it visible.
    async fn replace(&self, change: Change<'_>) -> Result<(), EventsError> {
        let (add, remove) = (change.add, change.remove);
        let mut table = self.table.lock().await;
        self.commit(&mut table, change).await?;
        let mut state = self.state();
        state.files.retain(|f| !remove.iter().any(|r| r.path == f.path));
        state.files.extend(add.iter().cloned());
        let now = Instant::now();
        state.doomed.extend(remove.iter().map(|f| (f.clone(), now)));
        Ok(())
    }
}

/// The files that retention drops: those of days before the kept ones, and, where they take too many
/// bytes, the oldest until they do not. The newest file always stays.
fn expired(
    files: &[Arc<FileRef>],
    now: Time,
    keep_days: Option<u32>,
    keep_bytes: Option<u64>,
) -> Vec<Arc<FileRef>> {
    let first_kept = keep_days.map(|days| now.plus_secs(-86_400 * i64::from(days)).date_text());
    let mut by_age: BTreeMap<(&str, Time, &str), &Arc<FileRef>> =
        files.iter().map(|f| ((&*f.day, f.max_time, &*f.path), f)).collect();
    let mut bytes: u64 = files.iter().map(|f| f.bytes + f.sidecar_bytes).sum();
    let mut old = Vec::new();
    while let Some(entry) = by_age.first_entry() {
        let file = *entry.get();
        let aged = first_kept.as_deref().is_some_and(|first| &*file.day < first);
        let over = keep_bytes.is_some_and(|keep| bytes > keep) && old.len() + 1 < files.len();
        if !aged && !over {
            break;
        }
        bytes -= file.bytes + file.sidecar_bytes;
        old.push(file.clone());
        entry.remove();
    }
    old
}
