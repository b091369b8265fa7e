//! The JSON interface for programs, version 1: status, alerts, search. With a token of scope
//! `read` (`Authorization: Bearer …`), or in a browser's session.

use std::convert::Infallible;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::IntoResponse,
};
use bytes::Bytes;
use covigil_model::UserId;
use futures::StreamExt as _;
use serde_json::json;

use crate::{
    app::Shared,
    backend::{AlertQuery, AlertSort, SearchItem, SearchRequest},
    guard::Caller,
    page::{PageError, PageResult},
    pages::queue::filter_of,
    params::Params,
};

/// `GET /api/v1/status`: sources, store, rules, open alerts.
pub(crate) async fn status(State(app): State<Shared>, Caller(ctx): Caller) -> PageResult {
    let seat = app.backend.seat();
    let system = app.backend.system(&ctx).await?;
    let sources = app.backend.sources(&ctx).await?;
    let nobody = UserId::from_bits(0);
    let open = app.backend.count_alerts(&ctx, &filter_of(&Params::default(), nobody)).await?;
    Ok(Json(json!({
        "tenant": seat.tenant_name,
        "node": seat.node_name,
        "version": seat.version,
        "time": ctx.at(),
        "open_alerts": open,
        "system": system,
        "sources": sources,
    }))
    .into_response())
}

/// `GET /api/v1/alerts`: a page of alerts. Takes the queue's parameters (`lane`, `severity`,
/// `state`, `rule`, `entity`, `technique`, `q`, `since`, `until`, `sort`), `limit` (1 to 500) and
/// `after` from the answer before.
pub(crate) async fn alerts(State(app): State<Shared>, Caller(ctx): Caller, params: Params) -> PageResult {
    let me = match ctx.actor() {
        covigil_model::Actor::User { id, .. } => *id,
        covigil_model::Actor::System { .. } => UserId::from_bits(0),
    };
    let query = AlertQuery {
        filter: filter_of(&params, me),
        sort: params.get("sort").and_then(AlertSort::from_word).unwrap_or_default(),
        after: params.get("after").map(str::to_owned),
        limit: params.get("limit").and_then(|l| l.parse().ok()).unwrap_or(100usize).clamp(1, 500),
    };
    let page = app.backend.alerts(&ctx, &query).await?;
    Ok(Json(json!({ "alerts": page.alerts, "total": page.total, "next": page.next })).into_response())
}

/// `POST /api/v1/search` with a [`SearchRequest`]: JSON lines, each an object with `kind` (`event`,
/// `columns`, `row`, `progress`, `done`, `error`) and `value`. Closing the connection cancels.
pub(crate) async fn search(State(app): State<Shared>, Caller(ctx): Caller, body: Bytes) -> PageResult {
    let mut request: SearchRequest = serde_json::from_slice(&body)
        .map_err(|e| PageError::refused(format!("The request is not a search in JSON: {e}.")))?;
    request.limit = request.limit.clamp(1, 1_000_000);
    let answer = app.backend.search(&ctx, request).await?;
    let lines = answer.map(|item| {
        let line = match item {
            Ok(item) => serde_json::to_string::<SearchItem>(&item)
                .unwrap_or_else(|e| json!({ "kind": "error", "value": e.to_string() }).to_string()),
            Err(error) => json!({ "kind": "error", "value": PageError::from(error).message }).to_string(),
        };
        Ok::<_, Infallible>(Bytes::from(line + "\n"))
    });
    let body = Body::from_stream(lines);
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))], body).into_response())
}
