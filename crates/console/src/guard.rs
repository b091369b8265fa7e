//! The one layer that decides who gets where: who asks, whether they may, whether a change comes
//! from our own page, and that each change leaves an audit entry. Also what is true of every
//! answer: the security headers, and error pages.

use std::net::SocketAddr;

use askama::Template;
use axum::{
    body::Body,
    extract::{ConnectInfo, FromRequestParts, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use covigil_model::{Actor, OpContext, Role, Time};
use tower_http::compression::{CompressionLayer, Predicate, predicate::NotForContentType};

use crate::{
    app::Shared,
    auth::{self, random_token},
    backend::{ApiScope, AuditEntry, TokenHash},
    page::{AuditNote, Frame, PageError, Request, Visitor, redirect},
    params::{FormParams, Params},
    routes::Access,
};

/// Forms and ceremonies are small; notes are the longest text.
const MAX_BODY: usize = 256 << 10;

/// What the guard knows of the route that it stands before.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub(crate) app: Shared,
    pub(crate) access: Access,
    pub(crate) action: Option<&'static str>,
    pub(crate) background: bool,
}

/// Marks that the route's visitor is a program with a token.
#[derive(Clone)]
pub(crate) struct Caller(pub(crate) OpContext);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| PageError::fault("an interface for programs stands on another route"))
    }
}

/// Stands before every route.
pub(crate) async fn guard(
    State(guarded): State<Guarded>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let described = match parts.extensions.get::<Request>().cloned() {
        Some(described) => described,
        None => return PageError::fault("the outermost layer did not describe the request").into_response(),
    };
    let is_api = guarded.access == Access::Program;
    let visitor = match identify(&guarded, &mut parts, &described).await {
        Ok(visitor) => visitor,
        Err(Refusal::SignIn) => return ask_to_sign_in(&parts, &described, is_api),
        Err(Refusal::Page(error)) => return error_page(&guarded.app, &described, None, &error, is_api),
    };
    let changes = !matches!(parts.method, Method::GET | Method::HEAD);
    let bytes = match axum::body::to_bytes(body, MAX_BODY).await {
        Ok(bytes) => bytes,
        Err(_) => {
            let error = PageError {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                message: format!("The request is longer than {} kB.", MAX_BODY >> 10),
            };
            return error_page(&guarded.app, &described, visitor.as_ref(), &error, is_api);
        }
    };
    if changes {
        let form = form_of(&parts.headers, &bytes);
        let by_token = parts.extensions.get::<Caller>().is_some() && visitor.is_none();
        if !by_token && let Err(error) = from_our_page(&guarded.app, &parts.headers, visitor.as_ref(), &form)
        {
            return error_page(&guarded.app, &described, visitor.as_ref(), &error, is_api);
        }
        parts.extensions.insert(FormParams(form));
    }
    if let Some(visitor) = &visitor {
        parts.extensions.insert(visitor.clone());
    }
    let response = next.run(axum::extract::Request::from_parts(parts, Body::from(bytes))).await;
    let failure = response.extensions().get::<PageError>().cloned();
    if let (Some(action), Some(visitor)) = (guarded.action, &visitor) {
        let (target, detail) = visitor.audit.take().unwrap_or_default();
        let done = failure.is_none() && response.status().as_u16() < 400;
        let detail = failure.as_ref().map_or(detail, |error| error.message.clone());
        let entry = AuditEntry { action: action.to_owned(), target, done, detail };
        if let Err(error) = guarded.app.backend.record(&visitor.ctx, entry).await {
            tracing::error!(%error, action, "an audit entry could not be written");
        }
    }
    match failure {
        Some(error) => error_page(&guarded.app, &described, visitor.as_ref(), &error, is_api),
        None => response,
    }
}

enum Refusal {
    SignIn,
    Page(PageError),
}

impl From<PageError> for Refusal {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

impl From<crate::BackendError> for Refusal {
    fn from(error: crate::BackendError) -> Self {
        Self::Page(error.into())
    }
}

/// Who asks, if the route wants to know, and whether they may.
async fn identify(
    guarded: &Guarded,
    parts: &mut Parts,
    request: &Request,
) -> Result<Option<Visitor>, Refusal> {
    let least = match guarded.access {
        Access::Public => return Ok(None),
        Access::Role(least) => least,
        Access::Program => {
            if let Some(token) = bearer(&parts.headers) {
                let ctx = program(guarded, token, request.at).await?;
                parts.extensions.insert(Caller(ctx));
                return Ok(None);
            }
            Role::Viewer
        }
    };
    let Some(visitor) = visitor(guarded, &parts.headers, request).await? else {
        return Err(Refusal::SignIn);
    };
    if !visitor.may(least) {
        let message = format!(
            "This needs the role {}; {} has the role {}. An admin can change that under Settings, People.",
            least.as_str(),
            visitor.user.name,
            visitor.user.role.as_str()
        );
        if let Some(action) = guarded.action {
            let entry = AuditEntry {
                action: action.to_owned(),
                target: parts.uri.path().to_owned(),
                done: false,
                detail: message.clone(),
            };
            guarded.app.backend.record(&visitor.ctx, entry).await?;
        }
        return Err(PageError::forbidden(message).into());
    }
    if guarded.access == Access::Program {
        parts.extensions.insert(Caller(visitor.ctx.clone()));
    }
    Ok(Some(visitor))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::trim)
}

async fn program(guarded: &Guarded, token: &str, at: Time) -> Result<OpContext, PageError> {
    let app = &guarded.app;
    let found = app.backend.api_token(&app.system(at), TokenHash::of(token)).await?;
    match found {
        Some(token) if token.scope == ApiScope::Read => {
            Ok(OpContext::system(app.backend.seat().tenant, &format!("token {}", token.name), at))
        }
        Some(_) => {
            Err(PageError::forbidden("This token may only send events. Make one with the scope read."))
        }
        None => Err(PageError {
            status: StatusCode::UNAUTHORIZED,
            message: "This token is unknown, expired or revoked. Make one under Settings, Tokens.".to_owned(),
        }),
    }
}

/// The signed-in person, if the cookie names a session that is alive.
async fn visitor(
    guarded: &Guarded,
    headers: &HeaderMap,
    request: &Request,
) -> Result<Option<Visitor>, PageError> {
    let app = &guarded.app;
    let Some(token) = auth::session_token(app, headers) else { return Ok(None) };
    let Some((session, user)) = auth::live_session(app, TokenHash::of(&token), request.at).await? else {
        return Ok(None);
    };
    let system = app.system(request.at);
    let actor = Actor::User { id: user.id, name: user.name.clone(), party: user.party, role: user.role };
    let ctx = OpContext::new(system.tenant(), actor, request.at);
    if !guarded.background && request.at.since(session.last_seen) > 60_000_000_000 {
        app.backend.touch_session(&ctx, session.id).await?;
    }
    let enrolled = session.method != "link" || auth::enrolled(app, &system, user.id).await?;
    let csrf = auth::csrf_token(&token)?;
    Ok(Some(Visitor {
        ctx,
        user,
        session,
        csrf,
        request: request.clone(),
        enrolled,
        audit: AuditNote::default(),
    }))
}

/// The parameters of a body that is a form.
fn form_of(headers: &HeaderMap, body: &[u8]) -> Params {
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    if is_form { Params::parse(body) } else { Params::default() }
}

/// Whether a change comes from a page of ours: by its origin, and for a session by its token.
fn from_our_page(
    app: &Shared,
    headers: &HeaderMap,
    visitor: Option<&Visitor>,
    form: &Params,
) -> Result<(), PageError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Pages of ours send no referrer, and so browsers write the origin of their forms as null; then
    // the browser's own word on where the request comes from must be there.
    let ours = match (text("origin"), text("sec-fetch-site")) {
        (Some("null") | None, site) => site == Some("same-origin"),
        (Some(origin), site) => origin == app.origin_text() && site.is_none_or(|site| site == "same-origin"),
    };
    if !ours {
        return Err(PageError::forbidden(format!(
            "The request did not come from a page of {}. Open the console at that address.",
            app.origin_text()
        )));
    }
    let Some(visitor) = visitor else { return Ok(()) };
    let sent = text("x-csrf-token").unwrap_or_else(|| form.exact("csrf"));
    if auth::csrf_matches(&visitor.session.hash, sent) {
        return Ok(());
    }
    Err(PageError::forbidden("The page is from an earlier session. Load it again, then repeat what you did."))
}

fn ask_to_sign_in(parts: &Parts, request: &Request, is_api: bool) -> Response {
    let message = "You are not signed in, or the session has ended. Sign in again.";
    if is_api || request.fragment || parts.method != Method::GET {
        let mut response = (StatusCode::UNAUTHORIZED, message).into_response();
        if request.fragment {
            response.headers_mut().insert("hx-redirect", HeaderValue::from_static("/sign-in"));
        }
        return response;
    }
    let wanted = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    if wanted == "/" {
        return redirect("/sign-in");
    }
    redirect(&format!("/sign-in?next={}", crate::html::url_encode(wanted)))
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    heading: &'static str,
    message: String,
}

fn error_page(
    app: &Shared,
    request: &Request,
    visitor: Option<&Visitor>,
    error: &PageError,
    is_api: bool,
) -> Response {
    if is_api {
        let body = axum::Json(serde_json::json!({ "error": error.message }));
        return (error.status, body).into_response();
    }
    if request.fragment {
        let text = [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
        return (error.status, text, error.message.clone()).into_response();
    }
    let heading = match error.status {
        StatusCode::FORBIDDEN => "That is not allowed",
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::CONFLICT => "Something changed meanwhile",
        StatusCode::UNPROCESSABLE_ENTITY => "That did not work",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        _ => "Something is wrong",
    };
    let frame = match visitor {
        Some(visitor) => visitor.frame(app, heading, ""),
        None => Frame::bare(app, request, heading, ""),
    };
    match frame.around(&ErrorPage { heading, message: error.message.clone() }, &[]) {
        Ok(page) => (error.status, page).into_response(),
        Err(_) => (error.status, error.message.clone()).into_response(),
    }
}

/// What answers where no route matches.
pub(crate) async fn no_such_page(State(app): State<Shared>, request: Request) -> Response {
    let error = PageError::not_found("No page has this address. The navigation leads to all there are.");
    error_page(&app, &request, None, &error, false)
}

/// The outermost layer: describes the request, and sets the headers of every answer.
pub(crate) async fn headers(
    State(app): State<Shared>,
    mut request: axum::extract::Request,
    next: Next,
) -> Response {
    let nonce = match random_token() {
        Ok(nonce) => nonce,
        Err(error) => return PageError::from(error).into_response(),
    };
    let described = Request {
        nonce: nonce.clone(),
        theme: match auth::cookie(request.headers(), "theme").as_deref() {
            Some("light") => "light",
            Some("dark") => "dark",
            _ => "auto",
        },
        fragment: request.headers().contains_key("hx-request")
            || request.headers().contains_key("x-fragment"),
        peer: request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_string()),
        at: Time::now(),
    };
    request.extensions_mut().insert(described);
    let mut response = next.run(request).await;
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("permissions-policy", HeaderValue::from_static(
        "camera=(), microphone=(), geolocation=(), publickey-credentials-get=(self), publickey-credentials-create=(self)",
    ));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if app.encrypted() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// Compression of pages. Streams are left alone, so that each piece arrives when it is sent.
pub(crate) fn compression() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new().compress_when(
        tower_http::compression::predicate::DefaultPredicate::new()
            .and(NotForContentType::const_new("application/x-ndjson")),
    )
}
