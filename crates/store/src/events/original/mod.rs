//! How an event's original and its source fields are kept exactly at little cost.
//!
//! `cut` divides an original into references and the rest when an event is stored; `template` is the
//! form in which that is kept, and puts it together again; `timestamp` knows times; `unmapped` is the
//! form of the `unmapped` and `field_map` columns.

pub(crate) mod cut;
pub(crate) mod template;
pub(crate) mod timestamp;
pub(crate) mod unmapped;
