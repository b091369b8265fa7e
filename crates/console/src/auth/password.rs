//! Password and time-based code (RFC 6238), always together.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use covigil_model::{Time, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use totp_rs::{Algorithm, Secret, TOTP};

use crate::{
    app::Shared,
    backend::{BackendError, PasswordRecord},
    page::PageError,
};

const STEP_SECS: u64 = 30;

/// A secret to be scanned.
pub(crate) struct NewSecret {
    /// Base32.
    pub(crate) secret: SecretString,
    /// The address as a picture: SVG markup.
    pub(crate) picture: String,
}

/// Makes a shared secret of 160 bits for a user.
pub(crate) fn new_secret(user: &str, issuer: &str) -> Result<NewSecret, PageError> {
    let mut bits = vec![0u8; 20];
    getrandom::fill(&mut bits).map_err(PageError::fault)?;
    // Colons separate issuer and account in the address.
    let issuer = format!("Covigil {}", issuer.replace(':', " "));
    let totp = TOTP::new(Algorithm::SHA1, 6, 1, STEP_SECS, bits, Some(issuer), user.replace(':', " "))
        .map_err(PageError::fault)?;
    let address = totp.get_url();
    let picture = qrcode::QrCode::new(address.as_bytes())
        .map_err(PageError::fault)?
        .render::<qrcode::render::svg::Color<'_>>()
        .min_dimensions(176, 176)
        .quiet_zone(true)
        .build();
    let picture = picture.split_once("?>").map_or(picture.as_str(), |(_, svg)| svg).to_owned();
    Ok(NewSecret { secret: SecretString::from(totp.get_secret_base32()), picture })
}

/// The time step whose code this is, among the current one and its neighbours.
fn step_of(secret: &SecretString, code: &str, at: Time) -> Option<u64> {
    let bytes = Secret::Encoded(secret.expose_secret().to_owned()).to_bytes().ok()?;
    let totp = TOTP::new(Algorithm::SHA1, 6, 1, STEP_SECS, bytes, None, String::new()).ok()?;
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let now = u64::try_from(at.secs()).ok()? / STEP_SECS;
    (now.saturating_sub(1)..=now + 1).find(|step| {
        let want = totp.generate(step * STEP_SECS);
        want.len() == code.len() && want.bytes().zip(code.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
    })
}

/// Whether the code is right for a secret that is just being enrolled: its step, to be recorded.
pub(crate) fn verify_code(secret: &SecretString, code: &str, at: Time) -> Option<u64> {
    step_of(secret, code, at)
}

/// Argon2id with the library's recommended cost, in PHC string form.
pub(crate) async fn hash_password(app: &Shared, password: String) -> Result<String, PageError> {
    let _turn = app.hashing.acquire().await.map_err(PageError::fault)?;
    let hash = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|h| h.to_string())
    });
    hash.await.map_err(PageError::fault)?.map_err(PageError::fault)
}

/// Whether password and code are the user's. An unknown user takes as long as a known one, and a
/// code is good once.
pub(crate) async fn verify_password(
    app: &Shared,
    at: Time,
    user: Option<(UserId, PasswordRecord)>,
    password: String,
    code: &str,
) -> Result<bool, BackendError> {
    // The hash of a random password that nobody knows.
    const NOBODY: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$b3X2rlBz0QdJ5JxQwZ3uYQ$Xb8n3q4nJ8m1Yk0F3nq6T3m0o3m3n5J9c1pQ0h2s7kE";
    let hash = user.as_ref().map_or(NOBODY, |(_, record)| record.hash.as_str()).to_owned();
    let right = {
        let failed = |e: &dyn std::fmt::Display| BackendError::unavailable("password hashing", e);
        let _turn = app.hashing.acquire().await.map_err(|e| failed(&e))?;
        tokio::task::spawn_blocking(move || {
            PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
        .map_err(|e| failed(&e))?
    };
    let Some((user, record)) = user else { return Ok(false) };
    match step_of(&record.totp_secret, code, at) {
        Some(step) if right => app.backend.use_totp_step(&app.system(at), user, step).await,
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_current_and_neighbouring_steps_pass() {
        // RFC 6238 appendix B, SHA-1: at 1111111109 the code of 8 digits is 07081804.
        let secret = SecretString::from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let at = Time::from_secs(1_111_111_109);
        assert_eq!(step_of(&secret, "081804", at), Some(1_111_111_109 / 30));
        assert_eq!(step_of(&secret, "081 804", at.plus_secs(30)), Some(1_111_111_109 / 30));
        assert_eq!(step_of(&secret, "081804", at.plus_secs(90)), None);
        assert_eq!(step_of(&secret, "", at), None);
    }

    #[test]
    fn the_picture_is_plain_svg() {
        let new = new_secret("a:na", "Nord: AG").unwrap();
        assert!(new.picture.trim_start().starts_with("<svg"));
        assert!(!new.picture.contains("style="));
    }
}
