//! The search language and its execution.
