//! The pages, each with its handlers, its template's struct and its queries together.

pub(crate) mod alert;
pub(crate) mod entity;
pub(crate) mod event;
pub(crate) mod health;
pub(crate) mod queue;
pub(crate) mod rules;
pub(crate) mod search;
pub(crate) mod settings;
pub(crate) mod sign_in;
pub(crate) mod today;
