//! The members of the flat JSON objects in `unmapped` and `field_map`.

use crate::events::original::unmapped::ObjectReader;

/// Whether `holds` says true to the name and text of one of the object's values. A list's values
/// come one by one under its name.
pub(crate) fn any(object: &str, holds: &mut dyn FnMut(&str, &str) -> bool) -> bool {
    ObjectReader::new(object).any(|(name, text, _)| holds(&name, &text))
}
