//! Signing in, by link, passkey, or password and code; and signing out.

use askama::Template;
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use covigil_model::OpContext;
use serde::Deserialize;
use webauthn_rs::prelude::PublicKeyCredential;

use crate::{
    app::Shared,
    auth::{self, SignedIn},
    backend::{AuditEntry, TokenHash},
    page::{Frame, PageError, PageResult, Request, Visitor, redirect},
    params::{FormParams, Params},
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    next: String,
    message: String,
    passkeys: bool,
    tenant: String,
    node: String,
}

/// Only addresses within the console.
fn safe_next(params: &Params) -> String {
    let next = params.get("next").unwrap_or("/");
    let inside = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
    if inside { next.to_owned() } else { "/".to_owned() }
}

fn sign_in_page(app: &Shared, request: &Request, next: String, message: String) -> PageResult {
    let seat = app.backend.seat();
    let body = SignInPage {
        next,
        message,
        passkeys: app.webauthn.is_some(),
        tenant: seat.tenant_name,
        node: seat.node_name,
    };
    Frame::bare(app, request, "Sign in", "").around(&body, &["passkey"])
}

pub(crate) async fn page(State(app): State<Shared>, request: Request, params: Params) -> PageResult {
    sign_in_page(&app, &request, safe_next(&params), String::new())
}

/// What happened at the door is recorded under the name that was tried.
async fn record(app: &Shared, ctx: &OpContext, action: &str, target: &str, done: bool, detail: String) {
    let entry = AuditEntry { action: action.to_owned(), target: crate::html::cut(target, 64), done, detail };
    if let Err(error) = app.backend.record(ctx, entry).await {
        tracing::error!(%error, action, "an audit entry could not be written");
    }
}

fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

fn wait_message(seconds: i64) -> String {
    format!("Too many attempts failed. Wait {seconds} s, then try again.")
}

/// Under what an address's failures are counted.
fn peer_key(request: &Request) -> String {
    format!("peer:{}", request.peer.as_deref().unwrap_or("?"))
}

fn from(request: &Request) -> String {
    request.peer.as_ref().map_or_else(String::new, |peer| format!("from {peer}"))
}

pub(crate) async fn password(
    State(app): State<Shared>,
    request: Request,
    headers: HeaderMap,
    FormParams(form): FormParams,
) -> PageResult {
    let name = form.need("name", "The name")?;
    let code = form.need("code", "The code")?;
    let password = form.exact("password");
    let name_key = format!("name:{}", name.to_ascii_lowercase());
    let keys = [name_key.clone(), peer_key(&request)];
    let ctx = app.system(request.at);
    if let Err(seconds) = app.throttle.check(&keys, request.at) {
        let mut response = sign_in_page(&app, &request, safe_next(&form), wait_message(seconds))?;
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        return Ok(response);
    }
    // Counted before it is judged, so that concurrent guesses do not share one attempt.
    app.throttle.failed(&keys, request.at);
    let user = app.backend.user_by_name(&ctx, name).await?.filter(|user| !user.disabled);
    let secret = match &user {
        Some(user) => app.backend.password(&ctx, user.id).await?.map(|record| (user.id, record)),
        None => None,
    };
    let right = password.len() <= 1_024
        && auth::verify_password(&app, request.at, secret, password.to_owned(), code).await?;
    let Some(user) = user.filter(|_| right) else {
        record(&app, &ctx, "sign_in.password", name, false, from(&request)).await;
        let message = "Name, password or code is wrong, or the code was used before.".to_owned();
        let mut response = sign_in_page(&app, &request, safe_next(&form), message)?;
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(response);
    };
    app.throttle.succeeded(&name_key);
    let (cookie, ctx) = auth::open_session(&app, &headers, &request, &user, "password").await?;
    record(&app, &ctx, "sign_in.password", &user.name, true, from(&request)).await;
    Ok(with_cookie(redirect(&safe_next(&form)), cookie))
}

pub(crate) async fn passkey_begin(State(app): State<Shared>, request: Request) -> PageResult {
    Ok(Json(SignedIn::begin(&app, request.at)?).into_response())
}

#[derive(Deserialize)]
struct Answer {
    ceremony: String,
    credential: PublicKeyCredential,
}

pub(crate) async fn passkey_finish(
    State(app): State<Shared>,
    request: Request,
    headers: HeaderMap,
    body: bytes::Bytes,
) -> PageResult {
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| PageError::refused("The browser's answer could not be read. Try again."))?;
    let keys = [peer_key(&request)];
    if let Err(seconds) = app.throttle.check(&keys, request.at) {
        return Err(PageError { status: StatusCode::TOO_MANY_REQUESTS, message: wait_message(seconds) });
    }
    let signed_in = match SignedIn::finish(&app, request.at, &answer.ceremony, &answer.credential).await {
        Ok(signed_in) => signed_in,
        Err(error) => {
            app.throttle.failed(&keys, request.at);
            let ctx = app.system(request.at);
            record(&app, &ctx, "sign_in.passkey", "", false, from(&request)).await;
            return Err(error);
        }
    };
    let label = signed_in.passkey.label.clone();
    let (cookie, ctx) = auth::open_session(&app, &headers, &request, &signed_in.user, "passkey").await?;
    app.backend.put_passkey(&ctx, signed_in.passkey).await?;
    record(&app, &ctx, "sign_in.passkey", &signed_in.user.name, true, format!("{label} {}", from(&request)))
        .await;
    Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), cookie))
}

#[derive(Template)]
#[template(path = "sign_in_link.html")]
struct LinkPage {
    token: String,
    name: String,
    tenant: String,
}

const VOID: &str =
    "This sign-in link was used already, or has expired. Start the node again or ask an admin for a new one.";

fn link_of(token: &str) -> Option<TokenHash> {
    (token.len() == 43).then(|| TokenHash::of(token))
}

/// Looking at a link does not use it: previews of links by mail and chat programs do that.
pub(crate) async fn link_page(
    State(app): State<Shared>,
    request: Request,
    Path(token): Path<String>,
) -> PageResult {
    let void = || PageError::not_found(VOID);
    let ctx = app.system(request.at);
    let link = app.backend.link(&ctx, link_of(&token).ok_or_else(void)?).await?.ok_or_else(void)?;
    let user = app.backend.user(&ctx, link.user).await?.filter(|user| !user.disabled).ok_or_else(void)?;
    let body = LinkPage { token, name: user.name, tenant: app.backend.seat().tenant_name };
    Frame::bare(&app, &request, "Sign in", "").around(&body, &[])
}

pub(crate) async fn link_use(
    State(app): State<Shared>,
    request: Request,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> PageResult {
    let void = || PageError::not_found(VOID);
    let ctx = app.system(request.at);
    let keys = [peer_key(&request)];
    if let Err(seconds) = app.throttle.check(&keys, request.at) {
        return Err(PageError { status: StatusCode::TOO_MANY_REQUESTS, message: wait_message(seconds) });
    }
    let link = app.backend.take_link(&ctx, link_of(&token).ok_or_else(void)?).await?;
    let Some(link) = link else {
        app.throttle.failed(&keys, request.at);
        record(&app, &ctx, "sign_in.link", "", false, from(&request)).await;
        return Err(void());
    };
    let user = app.backend.user(&ctx, link.user).await?.filter(|user| !user.disabled).ok_or_else(void)?;
    let (cookie, user_ctx) = auth::open_session(&app, &headers, &request, &user, "link").await?;
    record(&app, &user_ctx, "sign_in.link", &user.name, true, from(&request)).await;
    let next = if auth::enrolled(&app, &ctx, user.id).await? { "/" } else { "/enrol" };
    Ok(with_cookie(redirect(next), cookie))
}

pub(crate) async fn sign_out(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    app.backend.end_session(&visitor.ctx, visitor.session.id).await?;
    visitor.note(visitor.user.name.clone(), "");
    Ok(with_cookie(redirect("/sign-in"), auth::end_cookie(&app)?))
}
