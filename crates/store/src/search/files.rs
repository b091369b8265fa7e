//! Reading the table's Parquet files: open files kept with their metadata, and selected rows of
//! selected columns of one row group.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{
    array::RecordBatch,
    buffer::BooleanBuffer,
    datatypes::{Field, Schema},
};
use bytes::Bytes;
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
            ParquetRecordBatchReaderBuilder, RowSelection,
        },
        parquet_to_arrow_schema,
    },
    errors::ParquetError,
    file::{
        metadata::{PageIndexPolicy, ParquetMetaDataReader},
        reader::{ChunkReader, Length},
        statistics::Statistics,
    },
};

use super::SearchError;
use crate::events::{
    FileRef, Sidecar, event_schema,
    schema::{self, index},
};

/// Rows per batch that is read.
const BATCH_ROWS: usize = 8_192;
/// Metadata kept of files that were read, in bytes.
const KEPT_BYTES: usize = 64 << 20;
/// Files kept open; each has up to two descriptors.
const KEPT_FILES: usize = 96;

/// A file's bytes, read at any place by any thread.
#[derive(Debug, Clone)]
struct Pages {
    file: Arc<File>,
    len: u64,
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.len
    }
}

/// Reads on from a place of [`Pages`].
struct From {
    pages: Pages,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.pages.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl ChunkReader for Pages {
    type T = io::BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(io::BufReader::new(From { pages: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.saturating_add(length as u64) > self.len {
            return Err(ParquetError::EOF("a page lies beyond the end of the file".to_owned()));
        }
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer.into())
    }
}

/// An open file of the table.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: Arc<FileRef>,
    pub(super) sidecar: Option<Sidecar>,
    pages: Pages,
    metadata: ArrowReaderMetadata,
    /// Index of each column of the schema among the file's columns.
    columns: Vec<Option<usize>>,
    /// First row of each row group, and the number of rows at the end.
    starts: Vec<u64>,
}

impl OpenFile {
    fn open(file: &Arc<FileRef>) -> Result<Self, SearchError> {
        let location = file.location();
        let failed = |reason: String| SearchError::Unreadable { path: file.path.to_string(), reason };
        let opened = File::open(&location).map_err(|e| failed(e.to_string()))?;
        let len = opened.metadata().map_err(|e| failed(e.to_string()))?.len();
        let pages = Pages { file: Arc::new(opened), len };
        let parquet = |e: ParquetError| failed(e.to_string());
        let metadata = ParquetMetaDataReader::new()
            .with_offset_index_policy(PageIndexPolicy::Optional)
            .with_column_index_policy(PageIndexPolicy::Skip)
            .parse_and_finish(&pages)
            .map_err(parquet)?;
        let found =
            parquet_to_arrow_schema(metadata.file_metadata().schema_descr(), None).map_err(parquet)?;
        let wanted = event_schema();
        let mut columns = vec![None; index::COUNT];
        let fields: Vec<Arc<Field>> = found
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| match schema::place(field.name()) {
                Some(place) => {
                    columns[place] = Some(at);
                    let kind = wanted.field(place).data_type().clone();
                    Arc::new(field.as_ref().clone().with_data_type(kind))
                }
                None => field.clone(),
            })
            .collect();
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
        let mut starts = vec![0];
        let mut rows = 0;
        for group in metadata.row_groups() {
            rows += group.num_rows().unsigned_abs();
            starts.push(rows);
        }
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(parquet)?;
        let sidecar = match file.sidecar() {
            Ok(sidecar) => sidecar,
            Err(error) => {
                tracing::warn!(file = &*file.path, %error, "without its sidecar the whole file is searched");
                None
            }
        };
        Ok(Self { file: file.clone(), sidecar, pages, metadata, columns, starts })
    }

    /// Number of row groups.
    pub(super) fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// First row of a row group, and its number of rows.
    pub(super) fn rows_of(&self, group: usize) -> (usize, usize) {
        let start = self.starts.get(group).copied().unwrap_or(0);
        let end = self.starts.get(group + 1).copied().unwrap_or(start);
        (start as usize, (end - start) as usize)
    }

    /// Least and greatest number of a column in a row group, given the column's place. Rows without
    /// a number are not considered.
    pub(super) fn extremes(&self, group: usize, place: usize) -> Option<(i64, i64)> {
        let column = self.columns.get(place).copied().flatten()?;
        match self.metadata.metadata().row_groups().get(group)?.columns().get(column)?.statistics()? {
            Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
            Statistics::Int32(values) => Some((i64::from(*values.min_opt()?), i64::from(*values.max_opt()?))),
            _ => None,
        }
    }

    /// The selected rows of a row group, all where `rows` is none; of each the columns at `places`
    /// that the file has.
    pub(super) fn read(
        &self,
        group: usize,
        places: impl IntoIterator<Item = usize>,
        rows: Option<&BooleanBuffer>,
    ) -> Result<Batches, SearchError> {
        let columns = places.into_iter().filter_map(|place| self.columns.get(place).copied().flatten());
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.pages.clone(), self.metadata.clone())
                .with_projection(ProjectionMask::roots(self.metadata.parquet_schema(), columns))
                .with_row_groups(vec![group])
                .with_batch_size(BATCH_ROWS);
        if let Some(rows) = rows {
            let ranges = rows.set_slices().map(|(start, end)| start..end);
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, rows.len()));
        }
        let reader = builder.build().map_err(|e| self.failed(&e))?;
        Ok(Batches { reader, path: self.file.path.clone() })
    }

    fn failed(&self, reason: &dyn std::error::Error) -> SearchError {
        SearchError::Unreadable { path: self.file.path.to_string(), reason: reason.to_string() }
    }

    fn bytes(&self) -> usize {
        self.metadata.metadata().memory_size() + 4_096
    }
}

/// Batches of selected rows, in the file's order.
pub(super) struct Batches {
    reader: ParquetRecordBatchReader,
    path: Arc<str>,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, SearchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(
            batch.map_err(|e| SearchError::Unreadable { path: self.path.to_string(), reason: e.to_string() }),
        )
    }
}

/// Open files, kept between searches; the least recently opened go first.
#[derive(Debug, Default)]
pub(super) struct OpenFiles(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    files: BTreeMap<Arc<str>, Arc<OpenFile>>,
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

impl OpenFiles {
    /// The open file, opened now where it was not.
    pub(super) fn get(&self, file: &Arc<FileRef>) -> Result<Arc<OpenFile>, SearchError> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = lock().files.get(&file.path)
            && open.file == *file
        {
            return Ok(open.clone());
        }
        // Opened without the lock: two searches may do it at once, which costs time alone.
        let open = Arc::new(OpenFile::open(file)?);
        let mut kept = lock();
        kept.bytes += open.bytes();
        if let Some(old) = kept.files.insert(file.path.clone(), open.clone()) {
            kept.bytes = kept.bytes.saturating_sub(old.bytes());
        } else {
            kept.order.push_back(file.path.clone());
        }
        while (kept.bytes > KEPT_BYTES || kept.files.len() > KEPT_FILES) && kept.order.len() > 1 {
            if let Some(path) = kept.order.pop_front()
                && let Some(old) = kept.files.remove(&path)
            {
                kept.bytes = kept.bytes.saturating_sub(old.bytes());
            }
        }
        Ok(open)
    }
}
