//! Joining small files into large sorted ones.
//!
//! Files of one day are grouped by size, each size eight times the one before; eight files of a size
//! are joined into one of the next, so that an event is rewritten a few times at most. When a day is
//! over, its remaining files are joined once more. Inputs are merged as streams: memory depends on
//! their number, not on their size.

use std::{collections::BTreeMap, fs::File, path::Path, sync::Arc};

use arrow::{
    array::{AsArray as _, RecordBatch},
    compute::{concat_batches, interleave_record_batch},
    datatypes::TimestampMicrosecondType,
};
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::{
    config::EventStoreConfig,
    encode::FileWriter,
    error::EventsError,
    schema::{self, index},
    signature::CHUNK_ROWS,
    snapshot::FileRef,
};

/// Files of one size that are joined.
const FAN: usize = 8;
/// Rows read from an input at a time.
const READ_ROWS: usize = 2_048;

/// The next files to join, all of one day; `None` where there is nothing to gain.
pub(crate) fn choose(
    files: &[Arc<FileRef>],
    today: &str,
    config: &EventStoreConfig,
) -> Option<Vec<Arc<FileRef>>> {
    let full = |f: &FileRef| f.rows >= config.target_rows / 2 || f.bytes >= config.target_bytes / 2;
    let mut days: BTreeMap<&str, Vec<&Arc<FileRef>>> = BTreeMap::new();
    for file in files.iter().filter(|f| !full(f)) {
        days.entry(&file.day).or_default().push(file);
    }
    for (day, mut files) in days {
        files.sort_by_key(|f| (f.min_time, f.path.clone()));
        if day < today && files.len() > 1 {
            return Some(within(&files, config));
        }
        let mut sizes: BTreeMap<u32, Vec<&Arc<FileRef>>> = BTreeMap::new();
        for file in files {
            sizes.entry((file.rows.max(1).ilog2()) / 3).or_default().push(file);
        }
        if let Some(same) = sizes.into_values().find(|same| same.len() >= FAN) {
            return Some(within(&same, config));
        }
    }
    None
}

/// The first of the files, at most as many as make one or two files of the target's size.
fn within(files: &[&Arc<FileRef>], config: &EventStoreConfig) -> Vec<Arc<FileRef>> {
    let (mut rows, mut bytes) = (0, 0);
    let fits = |f: &&&Arc<FileRef>| {
        rows += f.rows;
        bytes += f.bytes;
        rows <= 2 * config.target_rows && bytes <= 2 * config.target_bytes
    };
    let chosen: Vec<_> = files.iter().take(4 * FAN).take_while(fits).map(|f| Arc::clone(f)).collect();
    if chosen.len() > 1 { chosen } else { files.iter().take(2).map(|f| Arc::clone(f)).collect() }
}

/// Merges files of one day into one or more that hold the same rows, sorted by time.
pub(crate) fn merge(
    root: &Arc<Path>,
    inputs: &[Arc<FileRef>],
    config: &EventStoreConfig,
) -> Result<Vec<Arc<FileRef>>, EventsError> {
    let Some(first) = inputs.first() else { return Ok(Vec::new()) };
    let mut outputs = Vec::new();
    let result = merge_into(root, first, inputs, config, &mut outputs);
    let rows = |files: &[Arc<FileRef>]| files.iter().map(|f| f.rows).sum::<u64>();
    let result = result.and_then(|()| {
        if rows(&outputs) == rows(inputs) {
            return Ok(());
        }
        let what = "its files hold another number of rows than the log says".to_owned();
        Err(EventsError::Damaged { path: root.join(&*first.path), what })
    });
    if let Err(error) = result {
        outputs.iter().for_each(|file| super::vacuum::remove(file));
        return Err(error);
    }
    Ok(outputs)
}

fn merge_into(
    root: &Arc<Path>,
    first: &FileRef,
    inputs: &[Arc<FileRef>],
    config: &EventStoreConfig,
    outputs: &mut Vec<Arc<FileRef>>,
) -> Result<(), EventsError> {
    let mut inputs = inputs.iter().map(|f| Input::open(f)).collect::<Result<Vec<_>, _>>()?;
    let mut writer: Option<FileWriter> = None;
    while let Some(batch) = next_rows(&mut inputs)? {
        let out = match &mut writer {
            Some(out) => out,
            none => none.insert(FileWriter::create(root, &first.day)?),
        };
        out.write(&batch)?;
        fail::fail_point!("events::compacting", |_| Err(EventsError::Closed));
        let full = out.rows() >= config.target_rows || out.bytes() >= config.target_bytes;
        if full && let Some(out) = writer.take() {
            outputs.push(Arc::new(out.finish()?));
        }
    }
    if let Some(out) = writer {
        outputs.push(Arc::new(out.finish()?));
    }
    Ok(())
}

/// A sorted file being read, one batch at a time.
struct Input {
    reader: Option<ParquetRecordBatchReader>,
    batch: RecordBatch,
    times: Vec<i64>,
    at: usize,
}

impl Input {
    fn open(file: &FileRef) -> Result<Self, EventsError> {
        let location = file.location();
        let input = File::open(&location).map_err(EventsError::io("opening", &location))?;
        let options = ArrowReaderOptions::new().with_schema(schema::schema());
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(input, options)
            .and_then(|builder| builder.with_batch_size(READ_ROWS).build())
            .map_err(EventsError::parquet("reading", &location))?;
        let batch = RecordBatch::new_empty(schema::schema());
        let mut input = Self { reader: Some(reader), batch, times: Vec::new(), at: 0 };
        input.fill()?;
        Ok(input)
    }

    /// Reads on, if the current batch is used up.
    fn fill(&mut self) -> Result<(), EventsError> {
        while self.at == self.times.len() {
            let Some(reader) = &mut self.reader else { return Ok(()) };
            let Some(batch) = reader.next() else {
                self.reader = None;
                return Ok(());
            };
            self.batch = batch?;
            let times = self.batch.column(index::TIME).as_primitive::<TimestampMicrosecondType>();
            self.times.clear();
            self.times.extend_from_slice(times.values());
            self.at = 0;
        }
        Ok(())
    }

    fn head(&self) -> Option<i64> {
        self.times.get(self.at).copied()
    }
}

/// The next rows over all inputs in the order of time: as many as need no further reading, at most
/// a chunk.
fn next_rows(inputs: &mut [Input]) -> Result<Option<RecordBatch>, EventsError> {
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut parts: Vec<RecordBatch> = Vec::new();
    let mut rows = 0;
    while rows < CHUNK_ROWS {
        let mut heads: Vec<(i64, usize)> =
            inputs.iter().enumerate().filter_map(|(n, i)| Some((i.head()?, n))).collect();
        heads.sort_unstable();
        let Some(&(_, least)) = heads.first() else { break };
        // Everything up to the second-least head comes from the input with the least.
        let limit = heads.get(1).map_or(i64::MAX, |(time, _)| *time);
        let input = &inputs[least];
        let run = input.times[input.at..].partition_point(|t| *t <= limit).clamp(1, CHUNK_ROWS - rows);
        taken.extend((input.at..input.at + run).map(|row| (least, row)));
        rows += run;
        inputs[least].at += run;
        if inputs[least].at == inputs[least].times.len() {
            // The batch is about to be replaced: take what was chosen from it first.
            parts.push(gather(inputs, &taken)?);
            taken.clear();
            inputs[least].fill()?;
        }
    }
    if !taken.is_empty() {
        parts.push(gather(inputs, &taken)?);
    }
    match parts.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        more => Ok(Some(concat_batches(&schema::schema(), more)?)),
    }
}

fn gather(inputs: &[Input], taken: &[(usize, usize)]) -> Result<RecordBatch, EventsError> {
    if let (Some((input, from)), Some((last, to))) = (taken.first(), taken.last())
        && input == last
        && taken.iter().all(|(n, _)| n == input)
    {
        return Ok(inputs[*input].batch.slice(*from, to - from + 1));
    }
    let batches: Vec<&RecordBatch> = inputs.iter().map(|i| &i.batch).collect();
    Ok(interleave_record_batch(&batches, taken)?)
}
