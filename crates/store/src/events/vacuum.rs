//! Deleting files that are no longer part of the table, and what a crash left behind.

use std::{collections::HashSet, path::Path, sync::Arc};

use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::{
    disk,
    encode::INDEX_DIR,
    error::EventsError,
    field_names::FieldNames,
    rows::Rows,
    schema::{column, index},
    snapshot::FileRef,
    store::EventStore,
};

/// Deletes a file and its sidecar. What cannot be deleted is tried again when the table is opened.
pub(crate) fn remove(file: &FileRef) {
    for path in [file.location(), file.sidecar_location()] {
        if let Err(error) = disk::remove_file(&path) {
            tracing::warn!(%error, "a file that is no longer needed stays");
        }
    }
}

/// Deletes data files and sidecars that no file of the table needs. Called before anyone reads.
pub(crate) fn remove_strays(root: &Path, files: &[Arc<FileRef>]) -> Result<(), EventsError> {
    let known: HashSet<&str> = files.iter().map(|f| &*f.path).collect();
    for (base, ending) in [(root.to_path_buf(), "parquet"), (root.join(INDEX_DIR), "sig")] {
        for day in entries(&base)? {
            let Some(folder) = day.file_name().and_then(|n| n.to_str()).filter(|n| n.starts_with("day="))
            else {
                continue;
            };
            for path in entries(&day)? {
                let name = path.with_extension("parquet");
                let name = name.file_name().and_then(|n| n.to_str()).unwrap_or("");
                let ours = path.extension().is_some_and(|e| e == ending);
                if ours && !known.contains(format!("{folder}/{name}").as_str()) {
                    disk::remove_file(&path)?;
                }
            }
            // A day that is empty goes; one that is not stays.
            let _ = std::fs::remove_dir(&day);
        }
    }
    Ok(())
}

fn entries(dir: &Path) -> Result<Vec<std::path::PathBuf>, EventsError> {
    let read = match std::fs::read_dir(dir) {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(EventsError::io("reading", dir)(error)),
    };
    read.map(|entry| entry.map(|e| e.path()).map_err(EventsError::io("reading", dir))).collect()
}

/// The field names of all stored events, collected anew from the files where their file is gone.
pub(crate) fn load_field_names(root: &Path, files: &[Arc<FileRef>]) -> Result<FieldNames, EventsError> {
    let path = root.join(INDEX_DIR).join("fields.json");
    if let Some(names) = FieldNames::load(&path)? {
        return Ok(names);
    }
    let mut names = FieldNames::default();
    for file in files {
        let location = file.location();
        let failed = || EventsError::parquet("reading", &location);
        let input = std::fs::File::open(&location).map_err(EventsError::io("opening", &location))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(input).map_err(failed())?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), [column::FIELD_MAP]);
        let reader = builder.with_projection(mask).build().map_err(failed())?;
        for batch in reader {
            let batch = batch?;
            let rows = Rows::new(&batch)?;
            let mut last = "";
            for row in 0..batch.num_rows() {
                let map = rows.text(index::FIELD_MAP, row).unwrap_or("");
                if map != last {
                    names.add_map(map);
                    last = map;
                }
            }
        }
    }
    if !names.is_empty() {
        names.save(&path)?;
    }
    Ok(names)
}

impl EventStore {
    /// Deletes files that are no longer part of the table, that no snapshot holds, and whose grace
    /// has passed. How many were deleted.
    pub(crate) fn vacuum(&self) -> usize {
        let grace = self.shared.config.grace;
        let mut gone = Vec::new();
        self.shared.state().doomed.retain(|(file, since)| {
            let free = Arc::strong_count(file) == 1 && since.elapsed() >= grace;
            if free {
                gone.push(file.clone());
            }
            !free
        });
        for file in &gone {
            fail::fail_point!("events::vacuuming", |_| 0);
            remove(file);
            if let Some(day) = file.location().parent() {
                let _ = std::fs::remove_dir(day);
            }
        }
        gone.len()
    }
}
