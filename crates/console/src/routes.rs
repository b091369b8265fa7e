//! The route table: every address of the console with who may ask for it. The router is built from
//! this table, each handler behind the guard with its row's access; a route without authorisation
//! cannot be written down.

use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodRouter, get, post},
};
use covigil_model::Role;

use crate::{api, app::Shared, assets, live, pages};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone who reaches the address.
    Public,
    /// People who signed in, with at least this role.
    Role(Role),
    /// Programs with a token to read, and people who signed in.
    Program,
}

/// One row of the table, without its handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// The method.
    pub method: Method,
    /// The path, as axum writes it.
    pub path: &'static str,
    /// Who may ask.
    pub access: Access,
    /// For what changes something: the action's word in the audit record.
    pub action: Option<&'static str>,
}

pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) action: Option<&'static str>,
    /// Asked by scripts on their own: does not keep a session alive.
    pub(crate) background: bool,
    pub(crate) handler: MethodRouter<Shared>,
}

/// Something to look at.
fn page<H: Handler<T, Shared>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    Route { method: Method::GET, path, access, action: None, background: false, handler: get(handler) }
}

/// Something that scripts ask for on their own.
fn background<H: Handler<T, Shared>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    Route { background: true, ..page(path, access, handler) }
}

/// Something that changes something.
fn act<H: Handler<T, Shared>, T: 'static>(
    path: &'static str,
    access: Access,
    action: &'static str,
    handler: H,
) -> Route {
    Route {
        method: Method::POST,
        path,
        access,
        action: Some(action),
        background: false,
        handler: post(handler),
    }
}

/// All routes.
pub(crate) fn table() -> Vec<Route> {
    use pages::{alert, entity, event, health, queue, rules, search, settings, sign_in, today};
    const PUBLIC: Access = Access::Public;
    const VIEWER: Access = Access::Role(Role::Viewer);
    const ANALYST: Access = Access::Role(Role::Analyst);
    const ADMIN: Access = Access::Role(Role::Admin);
    const PROGRAM: Access = Access::Program;
    vec![
        page("/assets/{name}", PUBLIC, assets::serve),
        page("/sign-in", PUBLIC, sign_in::page),
        act("/sign-in/password", PUBLIC, "sign_in.password", sign_in::password),
        act("/sign-in/passkey/begin", PUBLIC, "sign_in.passkey_begin", sign_in::passkey_begin),
        act("/sign-in/passkey/finish", PUBLIC, "sign_in.passkey", sign_in::passkey_finish),
        page("/sign-in/link/{token}", PUBLIC, sign_in::link_page),
        act("/sign-in/link/{token}/use", PUBLIC, "sign_in.link", sign_in::link_use),
        act("/sign-out", VIEWER, "sign_out", sign_in::sign_out),
        page("/enrol", VIEWER, settings::enrol_page),
        act("/enrol/passkey/begin", VIEWER, "passkey.begin", settings::passkey_begin),
        act("/enrol/passkey/finish", VIEWER, "passkey.add", settings::passkey_finish),
        act("/enrol/passkey/remove", VIEWER, "passkey.remove", settings::passkey_remove),
        act("/enrol/password", VIEWER, "password.set", settings::password_set),
        act("/enrol/password/remove", VIEWER, "password.remove", settings::password_remove),
        page("/", VIEWER, today::page),
        act("/today/read", VIEWER, "today.read", today::read),
        page("/queue", VIEWER, queue::page),
        background("/queue/news", VIEWER, queue::news),
        page("/queue/confirm", ANALYST, queue::confirm),
        act("/queue/act", ANALYST, "alert.change", queue::act),
        page("/alerts/{id}", VIEWER, alert::page),
        act("/alerts/{id}/notes", ANALYST, "alert.note", alert::add_note),
        page("/entities/{kind}", VIEWER, entity::page),
        act("/entities/{kind}", ANALYST, "entity.change", entity::change),
        page("/search", VIEWER, search::page),
        page("/search/rows", VIEWER, search::rows),
        page("/search/histogram", VIEWER, search::histogram),
        page("/search/facets", VIEWER, search::facets),
        page("/search/complete", VIEWER, search::complete),
        page("/search/pivot", VIEWER, search::pivot),
        background("/search/tail", VIEWER, search::tail),
        page("/search/export", VIEWER, search::export),
        page("/events/{source}/{sequence}", VIEWER, event::page),
        page("/rules", VIEWER, rules::list),
        page("/rules/one", VIEWER, rules::one),
        page("/health", VIEWER, health::page),
        background("/health/now", VIEWER, health::now),
        page("/settings", VIEWER, settings::own),
        act("/settings/sessions/end", VIEWER, "session.end", settings::end_session),
        page("/settings/people", ADMIN, settings::people),
        act("/settings/people/add", ADMIN, "user.create", settings::add_person),
        act("/settings/people/change", ADMIN, "user.change", settings::change_person),
        act("/settings/people/link", ADMIN, "user.link", settings::link_person),
        page("/settings/tokens", ADMIN, settings::tokens),
        act("/settings/tokens/add", ADMIN, "token.create", settings::add_token),
        act("/settings/tokens/revoke", ADMIN, "token.revoke", settings::revoke_token),
        page("/settings/outputs", ADMIN, settings::outputs),
        act("/settings/outputs/save", ADMIN, "output.save", settings::save_output),
        act("/settings/outputs/remove", ADMIN, "output.remove", settings::remove_output),
        act("/settings/outputs/test", ADMIN, "output.test", settings::test_output),
        page("/settings/record", ADMIN, settings::record),
        background("/live", VIEWER, live::stream),
        page("/api/v1/status", PROGRAM, api::status),
        page("/api/v1/alerts", PROGRAM, api::alerts),
        Route { action: None, ..act("/api/v1/search", PROGRAM, "", api::search) },
    ]
}

/// The table without its handlers, for tests and documentation.
pub fn routes() -> Vec<RouteInfo> {
    table()
        .into_iter()
        .map(|Route { method, path, access, action, .. }| RouteInfo { method, path, access, action })
        .collect()
}
