//! What is live: server-sent events to open pages. Pages learn that something happened and ask for
//! what they show; the stream ends with the session.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Sse,
        sse::{Event as SseEvent, KeepAlive},
    },
};
use covigil_model::Time;
use futures::{Stream, StreamExt as _, stream};

use crate::{
    app::Shared,
    auth,
    backend::{Live, TokenHash},
    page::{PageResult, Visitor},
};

/// How long a stream may outlive its session.
const RECHECK: Duration = Duration::from_secs(5);

/// The items of a stream for as long as the session lives.
pub(crate) fn while_signed_in<T: Send + 'static>(
    app: Shared,
    session: TokenHash,
    items: impl Stream<Item = T> + Send + 'static,
) -> impl Stream<Item = T> + Send + 'static {
    let ended = async move {
        loop {
            tokio::time::sleep(RECHECK).await;
            if !matches!(auth::live_session(&app, session, Time::now()).await, Ok(Some(_))) {
                return;
            }
        }
    };
    items.take_until(Box::pin(ended))
}

pub(crate) async fn stream(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    let begin = stream::once(async { SseEvent::default().event("begin").data("{}") });
    let items = app.backend.live(&visitor.ctx).map(|item| {
        let (name, alert) = match &item {
            Live::Raised(alert) => ("raised", Some(alert)),
            Live::Changed(alert) => ("changed", Some(alert)),
            Live::Health => ("health", None),
        };
        let data = alert.map_or_else(
            || "{}".to_owned(),
            |alert| serde_json::json!({ "id": alert.id, "severity": alert.severity.as_str() }).to_string(),
        );
        SseEvent::default().event(name).data(data)
    });
    let items = while_signed_in(app, visitor.session.hash, begin.chain(items)).map(Ok::<_, Infallible>);
    Ok(Sse::new(items).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response())
}
