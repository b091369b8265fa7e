//! Writing one Parquet file and its sidecar, durably.
//!
//! Pages hold [`CHUNK_ROWS`] rows, so that the sidecar's chunks and the pages are the same rows, and
//! row groups hold sixteen chunks. A file that was not finished is deleted.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::array::RecordBatch;
use covigil_model::{Attr, Time};
use parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, Encoding, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use super::{
    batch, disk,
    error::EventsError,
    rows::Rows,
    schema::{self, column},
    signature::{CHUNK_ROWS, SignatureBuilder},
    snapshot::FileRef,
};

/// Rows per row group.
pub(crate) const GROUP_ROWS: usize = 16 * CHUNK_ROWS;
/// The directory of sidecars and of what else belongs to the table but is not Delta's.
pub(crate) const INDEX_DIR: &str = "_index";

/// How the columns are encoded.
fn properties() -> WriterProperties {
    static PROPERTIES: LazyLock<WriterProperties> = LazyLock::new(|| {
        let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
        let mut builder = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()))
            .set_created_by("covigil".to_owned())
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_data_page_row_count_limit(CHUNK_ROWS)
            .set_write_batch_size(CHUNK_ROWS)
            .set_data_page_size_limit(8 << 20)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_statistics_truncate_length(Some(32))
            .set_column_index_truncate_length(Some(32));
        for name in [column::TIME, column::RECEIVED, column::SEQUENCE] {
            builder = builder
                .set_column_dictionary_enabled(path(name), false)
                .set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED);
        }
        // Texts that seldom repeat: a dictionary would be built and thrown away.
        for name in [column::RAW, column::UNMAPPED] {
            builder = builder.set_column_dictionary_enabled(path(name), false);
        }
        for name in [
            column::RAW,
            column::UNMAPPED,
            Attr::ProcessCmdLine.path(),
            Attr::ParentCmdLine.path(),
            Attr::Message.path(),
            Attr::FileHashes.path(),
            Attr::ScriptContent.path(),
            Attr::Url.path(),
        ] {
            builder = builder
                .set_column_encoding(path(name), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                .set_column_statistics_enabled(path(name), EnabledStatistics::Chunk);
        }
        // Few distinct values, but long ones: the dictionary is the column.
        for name in [column::RAW_TEMPLATE, column::FIELD_MAP] {
            builder = builder
                .set_column_dictionary_page_size_limit(path(name), 8 << 20)
                .set_column_statistics_enabled(path(name), EnabledStatistics::None);
        }
        builder.build()
    });
    PROPERTIES.clone()
}

/// One file in the making.
pub(crate) struct FileWriter {
    root: Arc<Path>,
    path: String,
    day: Arc<str>,
    location: PathBuf,
    parquet: Option<ArrowWriter<BufWriter<File>>>,
    signature: Option<SignatureBuilder>,
    reader: Option<Rows>,
    original: String,
    rows: u64,
    times: Option<(Time, Time)>,
}

impl FileWriter {
    /// Begins a file for events received on `day` in the table at `root`.
    pub(crate) fn create(root: &Arc<Path>, day: &Arc<str>) -> Result<Self, EventsError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let folder = format!("day={day}");
        disk::create_dir(&root.join(&folder))?;
        disk::create_dir(&root.join(INDEX_DIR).join(&folder))?;
        let (path, location, file) = loop {
            let nth = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = format!("{folder}/{:016x}-{nth:04x}.parquet", Time::now().nanos());
            let location = root.join(&path);
            match File::create_new(&location) {
                Ok(file) => break (path, location, file),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(EventsError::io("creating", location)(error)),
            }
        };
        let options = ArrowWriterOptions::new().with_properties(properties()).with_skip_arrow_metadata(true);
        let sink = BufWriter::with_capacity(1 << 18, file);
        let parquet = ArrowWriter::try_new_with_options(sink, schema::schema(), options)
            .map_err(EventsError::parquet("creating", &location))?;
        Ok(Self {
            root: root.clone(),
            path,
            day: day.clone(),
            location,
            parquet: Some(parquet),
            signature: Some(SignatureBuilder::new()),
            reader: None,
            original: String::new(),
            rows: 0,
            times: None,
        })
    }

    /// Rows written so far.
    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes written or about to be, so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.parquet.as_ref().map_or(0, |p| (p.bytes_written() + p.in_progress_size()) as u64)
    }

    /// Appends rows that are sorted by time and not before those already written.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), EventsError> {
        let (Some(parquet), Some(signature)) = (&mut self.parquet, &mut self.signature) else {
            return Err(EventsError::Closed);
        };
        let reader = match &mut self.reader {
            Some(reader) => {
                reader.load(batch)?;
                reader
            }
            empty => empty.insert(Rows::new(batch)?),
        };
        for row in 0..batch.num_rows() {
            reader.sign(row, &mut self.original, signature);
        }
        parquet.write(batch).map_err(EventsError::parquet("writing", &self.location))?;
        self.rows += batch.num_rows() as u64;
        if let Some((least, greatest)) = batch::time_range(batch) {
            self.times = Some(match self.times {
                Some((l, g)) => (l.min(least), g.max(greatest)),
                None => (least, greatest),
            });
        }
        Ok(())
    }

    /// Ends the file: after this it and its sidecar survive a power cut.
    pub(crate) fn finish(mut self) -> Result<FileRef, EventsError> {
        let Some(parquet) = self.parquet.take() else { return Err(EventsError::Closed) };
        let done = self.finish_parts(parquet);
        if done.is_err() {
            self.discard();
        }
        done
    }

    fn finish_parts(&mut self, parquet: ArrowWriter<BufWriter<File>>) -> Result<FileRef, EventsError> {
        let sink = parquet.into_inner().map_err(EventsError::parquet("writing", &self.location))?;
        let file =
            sink.into_inner().map_err(|e| EventsError::io("writing", &self.location)(e.into_error()))?;
        file.sync_all().map_err(EventsError::io("syncing", &self.location))?;
        let bytes = file.metadata().map_err(EventsError::io("reading", &self.location))?.len();
        let (min_time, max_time) = self.times.unwrap_or_default();
        let mut reference = FileRef {
            path: self.path.as_str().into(),
            root: self.root.clone(),
            day: self.day.clone(),
            rows: self.rows,
            bytes,
            sidecar_bytes: 0,
            min_time,
            max_time,
        };
        fail::fail_point!("events::before_sidecar");
        let sidecar = reference.sidecar_location();
        let signature = self.signature.take().unwrap_or_else(SignatureBuilder::new);
        let content = signature.finish().map_err(EventsError::io("writing", &sidecar))?;
        let mut file = File::create(&sidecar).map_err(EventsError::io("creating", &sidecar))?;
        file.write_all(&content).map_err(EventsError::io("writing", &sidecar))?;
        file.sync_all().map_err(EventsError::io("syncing", &sidecar))?;
        reference.sidecar_bytes = content.len() as u64;
        disk::sync_parent(&sidecar)?;
        disk::sync_parent(&self.location)?;
        Ok(reference)
    }

    fn discard(&self) {
        // What cannot be deleted now is deleted when the table is next opened.
        let _ = disk::remove_file(&self.location);
        let _ = disk::remove_file(&self.root.join(INDEX_DIR).join(&self.path).with_extension("sig"));
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if self.parquet.take().is_some() {
            self.discard();
        }
    }
}
