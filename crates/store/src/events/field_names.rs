//! Which columns hold the values of which source fields, over all events ever stored.
//!
//! A search for a source's own field name is answered from columns where it can be: this says which
//! columns may hold it. It only grows, and may name a column that no stored event uses any more. It
//! is kept in `_index/fields.json`, written before the commit whose events need it.

use std::{collections::BTreeMap, io::Write as _, path::Path};

use serde::{Deserialize, Serialize};

use super::{error::EventsError, original::unmapped::ObjectReader, schema};

/// Names kept; a field beyond them is stored among the unmapped ones.
pub(crate) const MAX_NAMES: usize = 16_384;

/// Source field names and the columns that may hold their values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldNames {
    /// Format of the file.
    version: Version,
    columns: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[default]
    #[serde(rename = "1")]
    One,
}

impl FieldNames {
    /// The columns that may hold the values of a source field; empty where only `unmapped` can.
    ///
    /// Whether a given event's column does hold that field is said by its `field_map`.
    pub fn columns(&self, field: &str) -> &[String] {
        self.columns.get(field).map_or(&[], Vec::as_slice)
    }

    /// All names with their columns, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.columns.iter().map(|(name, columns)| (name.as_str(), columns.as_slice()))
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Whether the pair is known, or can still be added.
    pub(crate) fn accepts(&self, field: &str) -> bool {
        self.columns.len() < MAX_NAMES || self.columns.contains_key(field)
    }

    /// Adds a pair; says whether it was new.
    pub(crate) fn add(&mut self, field: &str, column: &str) -> bool {
        match self.columns.get_mut(field) {
            Some(columns) if columns.iter().any(|c| c == column) => false,
            Some(columns) => {
                columns.push(column.to_owned());
                true
            }
            None => {
                self.columns.insert(field.to_owned(), vec![column.to_owned()]);
                true
            }
        }
    }

    /// Adds what a `field_map` text says; says whether anything was new.
    pub(crate) fn add_map(&mut self, field_map: &str) -> bool {
        let mut grown = false;
        for (field, place, _) in ObjectReader::new(field_map) {
            // A time is written in some format, which stands behind a bar.
            let column = place.split_once('|').map_or(&*place, |(column, _)| column);
            grown |= self.add(&field, column);
        }
        grown
    }

    /// Reads the file; `None` where it is missing or damaged, so that it must be made anew.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, EventsError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(EventsError::io("reading", path)(error)),
        };
        let known = |names: &Self| {
            let schema = schema::schema();
            names.columns.values().flatten().all(|c| schema.column_with_name(c).is_some())
        };
        Ok(serde_json::from_slice::<Self>(&text).ok().filter(known))
    }

    /// Writes the file durably, in one step.
    pub(crate) fn save(&self, path: &Path) -> Result<(), EventsError> {
        let temporary = path.with_extension("json.new");
        let text = serde_json::to_vec(self).map_err(|e| EventsError::io("writing", path)(e.into()))?;
        let mut file = std::fs::File::create(&temporary).map_err(EventsError::io("writing", &temporary))?;
        file.write_all(&text).map_err(EventsError::io("writing", &temporary))?;
        file.sync_all().map_err(EventsError::io("syncing", &temporary))?;
        std::fs::rename(&temporary, path).map_err(EventsError::io("renaming", &temporary))?;
        super::disk::sync_parent(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fields.json");
        assert_eq!(FieldNames::load(&path).unwrap(), None);
        let mut names = FieldNames::default();
        names.add_map(r#"{"Image":"process.file.path","a":["user.name","src_endpoint.ip"]}"#);
        assert!(!names.add("Image", "process.file.path"));
        assert!(names.add("Image", "actor.process.file.path"));
        names.save(&path).unwrap();
        assert_eq!(FieldNames::load(&path).unwrap(), Some(names));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(FieldNames::load(&path).unwrap(), None);
    }
}
