//! State: alerts, findings, notes, users, sessions, settings.
