//! One's own ways in: passkeys, password with code; and one's sessions.

use askama::Template;
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use covigil_model::SessionId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use webauthn_rs::prelude::RegisterPublicKeyCredential;

use super::{Tab, tabs};
use crate::{
    app::Shared,
    auth::{self, Enrolled, NewSecret},
    backend::{PasskeyRecord, PasswordRecord, Session},
    html,
    page::{PageError, PageResult, Visitor, redirect},
    params::FormParams,
};

/// What a new password must be: long. Composition rules do not help (NIST SP 800-63B).
const SHORTEST: usize = 12;

#[derive(Template)]
#[template(path = "enrol.html")]
struct EnrolPage {
    csrf: String,
    name: String,
    passkeys: bool,
    origin: String,
    secret: String,
    /// SVG made from the secret's address.
    picture: String,
    message: String,
    enrolled: bool,
}

fn enrol(app: &Shared, visitor: &Visitor, new: &NewSecret, message: String) -> PageResult {
    let body = EnrolPage {
        csrf: visitor.csrf.clone(),
        name: visitor.user.name.clone(),
        passkeys: app.webauthn.is_some(),
        origin: app.origin_text(),
        secret: new.secret.expose_secret().to_owned(),
        picture: new.picture.clone(),
        message,
        enrolled: visitor.enrolled,
    };
    visitor.frame(app, "Your ways in", "settings").around(&body, &["passkey"])
}

pub(crate) async fn enrol_page(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    let new = auth::new_secret(&visitor.user.name, &app.backend.seat().tenant_name)?;
    enrol(&app, &visitor, &new, String::new())
}

pub(crate) async fn passkey_begin(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    let challenge = Enrolled::begin(&app, &visitor.user, visitor.request.at).await?;
    visitor.note(visitor.user.name.clone(), "");
    Ok(Json(challenge).into_response())
}

#[derive(Deserialize)]
struct Answer {
    ceremony: String,
    label: String,
    credential: RegisterPublicKeyCredential,
}

pub(crate) async fn passkey_finish(
    State(app): State<Shared>,
    visitor: Visitor,
    body: bytes::Bytes,
) -> PageResult {
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| PageError::refused("The browser's answer could not be read. Try again."))?;
    let label = match answer.label.trim() {
        "" => "passkey".to_owned(),
        label => html::cut(label, 64),
    };
    let at = visitor.request.at;
    let Enrolled(record) =
        Enrolled::finish(&app, &visitor.user, at, &answer.ceremony, &answer.credential, &label)?;
    app.backend.put_passkey(&visitor.ctx, record).await?;
    visitor.note(visitor.user.name.clone(), label);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A person must keep a way in besides links.
fn may_remove(visitor: &Visitor, what_stays: usize) -> Result<(), PageError> {
    if what_stays == 0 {
        return Err(PageError::refused(format!(
            "This is the only way in of {}. Add another before you remove it.",
            visitor.user.name
        )));
    }
    Ok(())
}

pub(crate) async fn passkey_remove(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let id = form.need("id", "The passkey")?;
    let have = app.backend.passkeys(&visitor.ctx, visitor.user.id).await?;
    let password = app.backend.password(&visitor.ctx, visitor.user.id).await?.is_some();
    may_remove(&visitor, have.len().saturating_sub(1) + usize::from(password))?;
    app.backend.remove_passkey(&visitor.ctx, visitor.user.id, id).await?;
    visitor.note(visitor.user.name.clone(), "");
    Ok(redirect("/settings"))
}

pub(crate) async fn password_set(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let password = form.exact("password").to_owned();
    let secret = SecretString::from(form.need("secret", "The secret")?.to_owned());
    let again = |message: String| {
        let new = auth::new_secret(&visitor.user.name, &app.backend.seat().tenant_name)?;
        visitor.note(visitor.user.name.clone(), message.clone());
        let mut response = enrol(&app, &visitor, &new, message)?;
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        Ok(response)
    };
    if password.chars().count() < SHORTEST || password.len() > 1_024 {
        return again(format!("The password must have {SHORTEST} characters or more. A sentence is good."));
    }
    let Some(step) = auth::verify_code(&secret, form.exact("code"), visitor.request.at) else {
        return again(
            "The code did not match. Scan the new picture and enter the code it shows now.".to_owned(),
        );
    };
    let record = PasswordRecord {
        hash: auth::hash_password(&app, password).await?,
        totp_secret: secret,
        last_step: step,
        created: visitor.request.at,
    };
    app.backend.put_password(&visitor.ctx, visitor.user.id, record).await?;
    app.backend.end_sessions(&visitor.ctx, visitor.user.id, Some(visitor.session.id)).await?;
    visitor.note(visitor.user.name.clone(), "");
    Ok(redirect("/settings"))
}

pub(crate) async fn password_remove(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    let have = app.backend.passkeys(&visitor.ctx, visitor.user.id).await?;
    may_remove(&visitor, have.len())?;
    app.backend.remove_password(&visitor.ctx, visitor.user.id).await?;
    visitor.note(visitor.user.name.clone(), "");
    Ok(redirect("/settings"))
}

#[derive(Template)]
#[template(path = "settings_own.html")]
struct OwnPage {
    csrf: String,
    tabs: Vec<Tab>,
    name: String,
    role: &'static str,
    passkeys: Vec<PasskeyRecord>,
    password: Option<covigil_model::Time>,
    sessions: Vec<Session>,
    current: SessionId,
}

pub(crate) async fn own(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    let ctx = &visitor.ctx;
    let body = OwnPage {
        csrf: visitor.csrf.clone(),
        tabs: tabs(&visitor, "/settings"),
        name: visitor.user.name.clone(),
        role: visitor.user.role.as_str(),
        passkeys: app.backend.passkeys(ctx, visitor.user.id).await?,
        password: app.backend.password(ctx, visitor.user.id).await?.map(|record| record.created),
        sessions: app.backend.sessions(ctx, visitor.user.id).await?,
        current: visitor.session.id,
    };
    visitor.frame(&app, "Settings", "settings").around(&body, &[])
}

/// Ends one of one's own sessions.
pub(crate) async fn end_session(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let id: SessionId =
        form.need("id", "The session")?.parse().map_err(|e| PageError::refused(format!("{e}.")))?;
    let own = app.backend.sessions(&visitor.ctx, visitor.user.id).await?;
    if !own.iter().any(|session| session.id == id) {
        return Err(PageError::not_found("You have no such session (any more)."));
    }
    app.backend.end_session(&visitor.ctx, id).await?;
    visitor.note(visitor.user.name.clone(), "");
    Ok(redirect("/settings"))
}
