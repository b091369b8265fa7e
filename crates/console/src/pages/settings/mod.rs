//! Settings: one's own ways in and sessions; for admins people, tokens, outputs and the record.

mod enrol;
mod outputs;
mod people;
mod tokens;

use askama::Template;
use axum::extract::State;

pub(crate) use enrol::{
    end_session, enrol_page, own, passkey_begin, passkey_finish, passkey_remove, password_remove,
    password_set,
};
pub(crate) use outputs::{outputs, remove_output, save_output, test_output};
pub(crate) use people::{add_person, change_person, link_person, people};
pub(crate) use tokens::{add_token, revoke_token, tokens};

use crate::{
    app::Shared,
    backend::AuditRecord,
    html,
    page::{PageResult, Visitor},
};

/// One tab of the settings.
struct Tab {
    address: &'static str,
    label: &'static str,
    on: bool,
}

/// The tabs that a visitor sees.
fn tabs(visitor: &Visitor, current: &str) -> Vec<Tab> {
    const TABS: [(&str, &str, bool); 5] = [
        ("/settings", "You", false),
        ("/settings/people", "People", true),
        ("/settings/tokens", "Tokens", true),
        ("/settings/outputs", "Outputs", true),
        ("/settings/record", "Record", true),
    ];
    TABS.iter()
        .filter(|(_, _, admin)| !admin || visitor.may(covigil_model::Role::Admin))
        .map(|(address, label, _)| Tab { address, label, on: *address == current })
        .collect()
}

#[derive(Template)]
#[template(path = "settings_record.html")]
struct RecordPage {
    tabs: Vec<Tab>,
    records: Vec<AuditRecord>,
}

/// What was done and refused, newest first.
pub(crate) async fn record(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    let records = app.backend.audit(&visitor.ctx, 500).await?;
    let body = RecordPage { tabs: tabs(&visitor, "/settings/record"), records };
    visitor.frame(&app, "Record", "settings").around(&body, &[])
}
