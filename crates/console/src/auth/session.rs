//! Sessions: a random token in a cookie, its hash at the backend, and the token that forms carry.

use axum::http::{HeaderMap, HeaderValue, header};
use covigil_model::{Actor, OpContext, SessionId, Time};
use sha2::{Digest, Sha256};

use super::random_token;
use crate::{
    app::Shared,
    backend::{BackendError, Session, TokenHash, User, UserChange},
    page::{PageError, Request},
};

/// The value of a cookie.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(have, _)| *have == name)
        .map(|(_, value)| value.to_owned())
}

/// The `__Host-` prefix makes browsers refuse the cookie from any other host or path; it exists
/// for encrypted connections only. Cookies do not know ports, and two seats may share a machine:
/// so the name does.
fn cookie_name(app: &Shared) -> String {
    let prefix = if app.encrypted() { "__Host-" } else { "" };
    format!("{prefix}covigil-{}", app.config.origin.port_or_known_default().unwrap_or(0))
}

/// The session's token in a request.
pub(crate) fn session_token(app: &Shared, headers: &HeaderMap) -> Option<String> {
    cookie(headers, &cookie_name(app)).filter(|token| token.len() == 43)
}

fn set_cookie(app: &Shared, value: &str, seconds: u64) -> Result<HeaderValue, PageError> {
    let secure = if app.encrypted() { "; Secure" } else { "" };
    let name = cookie_name(app);
    HeaderValue::from_str(&format!(
        "{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}"
    ))
    .map_err(PageError::fault)
}

/// The cookie that takes the session's cookie away.
pub(crate) fn end_cookie(app: &Shared) -> Result<HeaderValue, PageError> {
    set_cookie(app, "", 0)
}

/// Opens a session for a user who has just proved who they are, ends the one that the browser had,
/// and returns the cookie that carries it.
pub(crate) async fn open_session(
    app: &Shared,
    headers: &HeaderMap,
    request: &Request,
    user: &User,
    method: &str,
) -> Result<(HeaderValue, OpContext), PageError> {
    let actor = Actor::User { id: user.id, name: user.name.clone(), party: user.party, role: user.role };
    let ctx = OpContext::new(app.backend.seat().tenant, actor, request.at);
    if let Some(token) = session_token(app, headers)
        && let Some(old) = app.backend.session(&ctx, TokenHash::of(&token)).await?
    {
        app.backend.end_session(&ctx, old.id).await?;
    }
    let token = random_token()?;
    let hash = TokenHash::of(&token);
    let session = Session {
        id: SessionId::derived(&[b"session", &hash.0]),
        hash,
        user: user.id,
        method: method.to_owned(),
        created: request.at,
        last_seen: request.at,
        expires: request.at.plus_secs(seconds(app.config.longest)),
        peer: request.peer.clone(),
    };
    app.backend.put_session(&ctx, session).await?;
    let change = UserChange { last_sign_in: Some(request.at), ..UserChange::default() };
    app.backend.change_user(&ctx, user.id, change).await?;
    Ok((set_cookie(app, &token, app.config.longest.as_secs())?, ctx))
}

fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// The session of a token hash with its user, while it is alive and the user is enabled. A session
/// found too old is ended.
pub(crate) async fn live_session(
    app: &Shared,
    hash: TokenHash,
    at: Time,
) -> Result<Option<(Session, User)>, BackendError> {
    let ctx = app.system(at);
    let Some(session) = app.backend.session(&ctx, hash).await? else { return Ok(None) };
    let idle = seconds(app.config.idle).saturating_mul(1_000_000_000);
    if at >= session.expires || at.since(session.last_seen) > idle {
        app.backend.end_session(&ctx, session.id).await?;
        return Ok(None);
    }
    let user = app.backend.user(&ctx, session.user).await?;
    Ok(user.filter(|user| !user.disabled).map(|user| (session, user)))
}

/// A token that proves that a form comes from a page of this session. Each page has another, so
/// that its bytes cannot be guessed from the size of compressed pages.
pub(crate) fn csrf_token(session_token: &str) -> Result<String, BackendError> {
    let salt = &random_token()?[..16];
    Ok(format!("{salt}{}", csrf_proof(&TokenHash::of(session_token), salt)))
}

/// Whether a token belongs to the session.
pub(crate) fn csrf_matches(session: &TokenHash, token: &str) -> bool {
    let Some((salt, proof)) = token.split_at_checked(16) else { return false };
    let want = csrf_proof(session, salt);
    // Same length always; no early exit.
    want.len() == proof.len() && want.bytes().zip(proof.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

/// The session's hash is known to the server alone.
fn csrf_proof(session: &TokenHash, salt: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"csrf");
    hash.update(session.0);
    hash.update(salt.as_bytes());
    TokenHash(hash.finalize().into()).to_hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_tokens_belong_to_one_session_and_differ_each_time() {
        let mine = csrf_token("a").unwrap();
        assert_ne!(mine, csrf_token("a").unwrap());
        assert!(csrf_matches(&TokenHash::of("a"), &mine));
        assert!(!csrf_matches(&TokenHash::of("b"), &mine));
        for bad in ["", "0123456789abcdef", "äöüäöüäöüäöüäöü", &mine[..79]] {
            assert!(!csrf_matches(&TokenHash::of("a"), bad), "{bad}");
        }
    }
}
