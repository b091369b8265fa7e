//! How people prove who they are, and how a session is kept: tokens, cookies, the throttle, and
//! the two ways in besides a link. Deciding what a person may do is the guard's.

mod passkey;
mod password;
mod session;
mod throttle;

use covigil_model::{OpContext, UserId};

pub(crate) use passkey::{Ceremonies, Enrolled, SignedIn};
pub(crate) use password::{NewSecret, hash_password, new_secret, verify_code, verify_password};
pub(crate) use session::{
    cookie, csrf_matches, csrf_token, end_cookie, live_session, open_session, session_token,
};
pub(crate) use throttle::Throttle;

use crate::{app::Shared, backend::BackendError};

/// 256 random bits, as 43 characters of base64url.
pub(crate) fn random_token() -> Result<String, BackendError> {
    use base64::Engine as _;
    let mut bits = [0u8; 32];
    getrandom::fill(&mut bits)
        .map_err(|e| BackendError::unavailable("the machine's source of random numbers", e))?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bits))
}

/// Whether the user has a way in besides links.
pub(crate) async fn enrolled(app: &Shared, ctx: &OpContext, user: UserId) -> Result<bool, BackendError> {
    if app.backend.password(ctx, user).await?.is_some() {
        return Ok(true);
    }
    Ok(!app.backend.passkeys(ctx, user).await?.is_empty())
}
