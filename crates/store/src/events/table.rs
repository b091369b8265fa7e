//! The Delta log: what is part of the table.
//!
//! This program is the only writer. A commit is durable before anything is told of it: data files
//! are synced before, the log entry and its directory after it is written. A log entry that a power
//! cut left incomplete was never told of, and is set aside when the table is opened; so is a
//! checkpoint.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::datatypes::DataType as ArrowType;
use covigil_model::Time;
use deltalake_core::{
    DeltaTableError,
    kernel::{
        Action, Add, DataType, PrimitiveType, Remove, StructField, Transaction,
        transaction::{CommitBuilder, CommitProperties},
    },
    logstore::{LogStoreRef, StorageConfig, logstore_for},
    operations::create::CreateBuilder,
    protocol::{DeltaOperation, SaveMode, checkpoints},
    table::{builder::ensure_table_uri, state::DeltaTableState},
};

use super::{disk, encode::INDEX_DIR, error::EventsError, schema, schema::column, snapshot::FileRef};
use crate::wal::Position;

/// The application id under which commits carry the position of the write-ahead log.
const WAL_APP: &str = "wal";
/// Commits are kept readable for so long, for programs that read the table meanwhile.
const LOG_RETENTION: &str = "interval 1 days";

/// The opened table.
pub(crate) struct Table {
    root: Arc<Path>,
    log: LogStoreRef,
    state: DeltaTableState,
    commits_since_checkpoint: u64,
    /// Whether the last commit failed, so that only the log knows whether it happened.
    unsure: bool,
}

/// What a commit does.
#[derive(Default)]
pub(crate) struct Change<'a> {
    pub(crate) add: &'a [Arc<FileRef>],
    pub(crate) remove: &'a [Arc<FileRef>],
    /// The commit's events are those up to this position.
    pub(crate) up_to: Option<Position>,
    /// Whether the removed rows are gone, not only moved.
    pub(crate) drops_rows: bool,
}

impl Table {
    /// Opens the table, or creates it. Yields its files and the position of the write-ahead log up
    /// to which its events are complete.
    pub(crate) async fn open(root: &Arc<Path>) -> Result<(Self, Vec<Arc<FileRef>>, Position), EventsError> {
        let failed = |source: DeltaTableError| delta_error(root, source);
        disk::create_dir(root)?;
        disk::create_dir(&root.join(INDEX_DIR))?;
        set_aside_torn_entry(root)?;
        let url = ensure_table_uri(root.to_string_lossy()).map_err(failed)?;
        let log = logstore_for(&url, StorageConfig::default()).map_err(failed)?;
        if !log.is_delta_table_location().await.map_err(failed)? {
            create(log.clone()).await.map_err(failed)?;
            sync_log(root, None)?;
        }
        let state = match DeltaTableState::try_new(log.as_ref(), None).await {
            Ok(state) => state,
            Err(error) => {
                // The log itself reaches back to before the last checkpoint.
                if !set_aside_checkpoint(root)? {
                    return Err(failed(error));
                }
                DeltaTableState::try_new(log.as_ref(), None).await.map_err(failed)?
            }
        };
        check_schema(root, &state)?;
        let position = state.transaction_version(log.as_ref(), WAL_APP).await.map_err(failed)?.unwrap_or(0);
        let files = files(root, &state)?;
        let table = Self { root: root.clone(), log, state, commits_since_checkpoint: 0, unsure: false };
        Ok((table, files, Position(position.unsigned_abs())))
    }

    /// Commits a change. When this returns without error it is durable; after an error call
    /// [`recover`](Self::recover).
    pub(crate) async fn commit(&mut self, change: Change<'_>) -> Result<(), EventsError> {
        let now = Time::now().millis();
        let mut actions: Vec<Action> = Vec::new();
        for file in change.remove {
            actions.push(Action::Remove(Remove {
                path: file.path.to_string(),
                data_change: change.drops_rows,
                deletion_timestamp: Some(now),
                extended_file_metadata: Some(true),
                partition_values: Some(partition(&file.day)),
                size: i64::try_from(file.bytes).ok(),
                ..Remove::default()
            }));
        }
        for file in change.add {
            actions.push(Action::Add(Add {
                path: file.path.to_string(),
                partition_values: partition(&file.day),
                size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
                modification_time: now,
                data_change: change.remove.is_empty(),
                stats: Some(stats(file)),
                ..Add::default()
            }));
        }
        if let Some(Position(position)) = change.up_to {
            let version = i64::try_from(position).unwrap_or(i64::MAX);
            actions.push(Action::Txn(Transaction::new_with_last_update(WAL_APP, version, Some(now))));
        }
        let operation = if change.remove.is_empty() {
            let partition_by = Some(vec![column::DAY.to_owned()]);
            DeltaOperation::Write { mode: SaveMode::Append, partition_by, predicate: None }
        } else if change.drops_rows {
            DeltaOperation::Delete { predicate: None }
        } else {
            DeltaOperation::Optimize { predicate: None, target_size: 0 }
        };
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false));
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.state), self.log.clone(), operation)
            .await;
        fail::fail_point!("events::after_commit");
        // Until the entry is known to be durable, nothing is known.
        self.unsure = true;
        self.state = committed.map_err(|e| delta_error(&self.root, e))?.snapshot;
        sync_log(&self.root, Some(self.state.version()))?;
        self.unsure = false;
        self.commits_since_checkpoint += 1;
        Ok(())
    }

    /// After a commit that failed: the table's files and its position, as the log says. `None` where
    /// the last commit did not fail.
    pub(crate) async fn recover(&mut self) -> Result<Option<(Vec<Arc<FileRef>>, Position)>, EventsError> {
        if !self.unsure {
            return Ok(None);
        }
        let failed = |source: DeltaTableError| delta_error(&self.root, source);
        let state = DeltaTableState::try_new(self.log.as_ref(), None).await.map_err(failed)?;
        sync_log(&self.root, Some(state.version()))?;
        let files = files(&self.root, &state)?;
        let position =
            state.transaction_version(self.log.as_ref(), WAL_APP).await.map_err(failed)?.unwrap_or(0);
        self.state = state;
        self.unsure = false;
        Ok(Some((files, Position(position.unsigned_abs()))))
    }

    /// Writes a checkpoint if `every` commits happened since the last, and deletes log entries that
    /// are old and covered by one.
    pub(crate) async fn checkpoint(&mut self, every: u64) -> Result<bool, EventsError> {
        if self.commits_since_checkpoint < every {
            return Ok(false);
        }
        let failed = |source: DeltaTableError| delta_error(&self.root, source);
        let mut table = deltalake_core::DeltaTable::new(self.log.clone());
        table.state = Some(self.state.clone());
        checkpoints::create_checkpoint(&table, None).await.map_err(failed)?;
        let log = self.root.join("_delta_log");
        let version = self.state.version();
        for name in [format!("{version:020}.checkpoint.parquet"), "_last_checkpoint".to_owned()] {
            let path = log.join(name);
            std::fs::File::open(&path)
                .and_then(|f| f.sync_all())
                .map_err(EventsError::io("syncing", &path))?;
        }
        disk::sync_dir(&log)?;
        self.commits_since_checkpoint = 0;
        let deleted = checkpoints::cleanup_metadata(&table, None).await.map_err(failed)?;
        if deleted > 0 {
            self.state = DeltaTableState::try_new(self.log.as_ref(), None).await.map_err(failed)?;
        }
        Ok(true)
    }
}

fn delta_error(root: &Path, source: DeltaTableError) -> EventsError {
    EventsError::Delta { path: root.to_path_buf(), source: Box::new(source) }
}

fn partition(day: &str) -> HashMap<String, Option<String>> {
    HashMap::from([(column::DAY.to_owned(), Some(day.to_owned()))])
}

async fn create(log: LogStoreRef) -> Result<(), DeltaTableError> {
    let mut fields: Vec<StructField> = schema::table_schema()
        .fields()
        .iter()
        .map(|field| {
            let kind = match field.data_type() {
                ArrowType::Int32 => PrimitiveType::Integer,
                ArrowType::Int64 => PrimitiveType::Long,
                ArrowType::Timestamp(..) => PrimitiveType::Timestamp,
                _ => PrimitiveType::String,
            };
            StructField::new(field.name().clone(), DataType::Primitive(kind), field.is_nullable())
        })
        .collect();
    fields.push(StructField::new(column::DAY, DataType::Primitive(PrimitiveType::Date), true));
    CreateBuilder::new()
        .with_log_store(log)
        .with_table_name("events")
        .with_comment("Security events of one tenant, normalised to OCSF")
        .with_columns(fields)
        .with_partition_columns([column::DAY])
        .with_configuration([
            ("delta.dataSkippingStatsColumns", Some(column::TIME)),
            ("delta.logRetentionDuration", Some(LOG_RETENTION)),
        ])
        .await
        .map(drop)
}

fn check_schema(root: &Path, state: &DeltaTableState) -> Result<(), EventsError> {
    let have = state.schema();
    let known = schema::table_schema();
    let missing: Vec<&str> =
        known.fields().iter().map(|f| f.name().as_str()).filter(|name| have.field(*name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let found = format!("it lacks {}", missing.join(", "));
    Err(EventsError::Schema { path: root.to_path_buf(), found })
}

/// The statistics that Delta defines, of `time` alone.
fn stats(file: &FileRef) -> String {
    let text = |time: Time| {
        let whole = Time::from_micros(time.micros());
        let mut text = whole.to_string();
        if !text.contains('.') {
            text.insert_str(text.len() - 1, ".000000");
        }
        text
    };
    serde_json::json!({
        "numRecords": file.rows,
        "minValues": {column::TIME: text(file.min_time)},
        "maxValues": {column::TIME: text(file.max_time)},
        "nullCount": {column::TIME: 0},
    })
    .to_string()
}

/// Nanoseconds from the ends of time within which text is not exact.
const SLACK: i64 = 2_000_000_000;

/// The table's files, as its log says.
fn files(root: &Arc<Path>, state: &DeltaTableState) -> Result<Vec<Arc<FileRef>>, EventsError> {
    let mut files = Vec::new();
    for view in state.log_data().iter() {
        let path = view.path().into_owned();
        let damaged = |what: &str| EventsError::Damaged { path: root.join(&path), what: what.to_owned() };
        let stats: serde_json::Value = view
            .stats()
            .and_then(|text| serde_json::from_str(&text).ok())
            .ok_or_else(|| damaged("the table's log has no statistics for it"))?;
        let rows = stats["numRecords"].as_u64().ok_or_else(|| damaged("its number of rows is unknown"))?;
        let time = |of: &str| stats[of][column::TIME].as_str().and_then(Time::parse);
        let day = view.partition_values_map().remove(column::DAY).flatten().unwrap_or_default();
        let mut file = FileRef {
            path: path.as_str().into(),
            root: root.clone(),
            day: day.into(),
            rows,
            bytes: view.size().unsigned_abs(),
            sidecar_bytes: 0,
            // A file whose times are unknown may contain any. Within two seconds of the ends of what a
            // time can be, the text form is not exact.
            min_time: time("minValues").filter(|t| t.since(Time::MIN) > SLACK).unwrap_or(Time::MIN),
            // Statistics may be rounded down to the millisecond.
            max_time: time("maxValues")
                .filter(|t| Time::MAX.since(*t) > SLACK)
                .map_or(Time::MAX, |t| t.plus_nanos(999_999)),
        };
        file.sidecar_bytes = std::fs::metadata(file.sidecar_location()).map_or(0, |m| m.len());
        files.push(Arc::new(file));
    }
    Ok(files)
}

/// Makes the log's directory, and the entry of a version, durable.
fn sync_log(root: &Path, version: Option<u64>) -> Result<(), EventsError> {
    let log = root.join("_delta_log");
    let path = log.join(format!("{:020}.json", version.unwrap_or(0)));
    std::fs::File::open(&path).and_then(|f| f.sync_all()).map_err(EventsError::io("syncing", &path))?;
    disk::sync_dir(&log)
}

/// Names in the log's directory with that ending, in order.
fn log_names(root: &Path, ending: &str) -> Result<Vec<PathBuf>, EventsError> {
    let log = root.join("_delta_log");
    let entries = match std::fs::read_dir(&log) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(EventsError::io("reading", log)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.map_err(EventsError::io("reading", &log))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        if name.strip_suffix(ending).is_some_and(|v| v.len() == 20 && v.bytes().all(|b| b.is_ascii_digit())) {
            names.push(path);
        }
    }
    names.sort();
    Ok(names)
}

fn set_aside(path: &Path) -> Result<(), EventsError> {
    tracing::warn!(file = %path.display(), "incomplete after a crash, set aside");
    std::fs::rename(path, path.with_extension("torn")).map_err(EventsError::io("setting aside", path))?;
    disk::sync_parent(path)
}

/// Sets the last log entry aside where it is incomplete. Earlier ones were synced before it began.
fn set_aside_torn_entry(root: &Path) -> Result<(), EventsError> {
    let Some(last) = log_names(root, ".json")?.pop() else { return Ok(()) };
    let text = std::fs::read(&last).map_err(EventsError::io("reading", &last))?;
    let whole =
        |line: &[u8]| serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line).is_ok();
    if !text.is_empty() && text.split(|b| *b == b'\n').filter(|l| !l.is_empty()).all(whole) {
        return Ok(());
    }
    set_aside(&last)
}

/// Sets the last checkpoint aside; whether there was one.
fn set_aside_checkpoint(root: &Path) -> Result<bool, EventsError> {
    let pointer = root.join("_delta_log").join("_last_checkpoint");
    let last = log_names(root, ".checkpoint.parquet")?.pop();
    if last.is_none() && !pointer.exists() {
        return Ok(false);
    }
    disk::remove_file(&pointer)?;
    if let Some(last) = last {
        set_aside(&last)?;
    }
    Ok(true)
}
