//! Passkeys (WebAuthn level 3): enrolment and sign-in without a name. Ceremonies that have begun
//! are kept in memory, bounded, for five minutes.

use std::{collections::HashMap, sync::Mutex};

use covigil_model::{Time, UserId};
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Uuid, WebauthnError,
};

use super::random_token;
use crate::{
    app::Shared,
    backend::{PasskeyRecord, User},
    page::PageError,
};

const LASTS_SECS: i64 = 300;
const MOST: usize = 2_000;

enum Ceremony {
    Enrol(UserId, Box<PasskeyRegistration>),
    SignIn(Box<DiscoverableAuthentication>),
}

/// Ceremonies that have begun, by the random token given to the browser.
#[derive(Default)]
pub(crate) struct Ceremonies(Mutex<HashMap<String, (Time, Ceremony)>>);

impl Ceremonies {
    fn put(&self, at: Time, ceremony: Ceremony) -> Result<String, PageError> {
        let token = random_token()?;
        let mut map = self.0.lock().map_err(PageError::fault)?;
        if map.len() >= MOST {
            map.retain(|_, (begun, _)| at.since(*begun) < LASTS_SECS * 1_000_000_000);
        }
        if map.len() >= MOST
            && let Some(oldest) = map.iter().min_by_key(|(_, (begun, _))| *begun).map(|(key, _)| key.clone())
        {
            map.remove(&oldest);
        }
        map.insert(token.clone(), (at, ceremony));
        Ok(token)
    }

    /// A ceremony ends with its first answer, right or wrong.
    fn take(&self, at: Time, token: &str) -> Option<Ceremony> {
        let (begun, ceremony) = self.0.lock().ok()?.remove(token)?;
        (at.since(begun) < LASTS_SECS * 1_000_000_000).then_some(ceremony)
    }
}

fn webauthn(app: &Shared) -> Result<&webauthn_rs::Webauthn, PageError> {
    app.webauthn.as_ref().ok_or_else(|| {
        PageError::refused(format!(
            "Passkeys need an address with a name. Open the console by its name (on this machine: localhost) instead of {}.",
            app.origin_text()
        ))
    })
}

fn failed(error: &WebauthnError) -> PageError {
    tracing::info!(%error, "a passkey was refused");
    PageError::refused("The passkey was not accepted. Try again, or use another way to sign in.")
}

/// A passkey that has just been enrolled.
pub(crate) struct Enrolled(pub(crate) PasskeyRecord);

/// A user whose passkey has just been verified, and the passkey as it is now.
pub(crate) struct SignedIn {
    pub(crate) user: User,
    pub(crate) passkey: PasskeyRecord,
}

impl Enrolled {
    /// Begins: what the browser needs, with the ceremony's token.
    pub(crate) async fn begin(app: &Shared, user: &User, at: Time) -> Result<serde_json::Value, PageError> {
        let have = app.backend.passkeys(&app.system(at), user.id).await?;
        let keys: Vec<_> =
            have.iter().filter_map(|record| key_of(record).ok()).map(|k| k.cred_id().clone()).collect();
        let id = Uuid::from_u128(user.id.bits());
        let (challenge, state) = webauthn(app)?
            .start_passkey_registration(id, &user.name, &user.name, Some(keys))
            .map_err(|e| failed(&e))?;
        let mut challenge = serde_json::to_value(challenge).map_err(PageError::fault)?;
        // Stored with the user's handle, so that signing in needs no name.
        challenge["publicKey"]["authenticatorSelection"]["residentKey"] = "required".into();
        challenge["publicKey"]["authenticatorSelection"]["requireResidentKey"] = true.into();
        let token = app.ceremonies.put(at, Ceremony::Enrol(user.id, Box::new(state)))?;
        challenge["ceremony"] = token.into();
        Ok(challenge)
    }

    /// Finishes with the browser's answer.
    pub(crate) fn finish(
        app: &Shared,
        user: &User,
        at: Time,
        token: &str,
        answer: &RegisterPublicKeyCredential,
        label: &str,
    ) -> Result<Self, PageError> {
        let Some(Ceremony::Enrol(owner, state)) = app.ceremonies.take(at, token) else {
            return Err(PageError::refused("This took too long. Begin again."));
        };
        if owner != user.id {
            return Err(PageError::forbidden("This passkey was begun by another person."));
        }
        let key = webauthn(app)?.finish_passkey_registration(answer, &state).map_err(|e| failed(&e))?;
        Ok(Self(PasskeyRecord {
            id: credential_id(&key),
            user: user.id,
            label: label.to_owned(),
            data: serde_json::to_string(&key).map_err(PageError::fault)?,
            created: at,
            last_used: None,
        }))
    }
}

impl SignedIn {
    /// Begins: what the browser needs, with the ceremony's token.
    pub(crate) fn begin(app: &Shared, at: Time) -> Result<serde_json::Value, PageError> {
        let (challenge, state) =
            webauthn(app)?.start_discoverable_authentication().map_err(|e| failed(&e))?;
        let mut challenge = serde_json::to_value(challenge).map_err(PageError::fault)?;
        // Asked for by a button, not by filling in a form.
        if let Some(options) = challenge.as_object_mut() {
            options.remove("mediation");
        }
        challenge["ceremony"] = app.ceremonies.put(at, Ceremony::SignIn(Box::new(state)))?.into();
        Ok(challenge)
    }

    /// Finishes with the browser's answer.
    pub(crate) async fn finish(
        app: &Shared,
        at: Time,
        token: &str,
        answer: &PublicKeyCredential,
    ) -> Result<Self, PageError> {
        let Some(Ceremony::SignIn(state)) = app.ceremonies.take(at, token) else {
            return Err(PageError::refused("This took too long. Begin again."));
        };
        let ctx = app.system(at);
        let webauthn = webauthn(app)?;
        let (handle, credential) =
            webauthn.identify_discoverable_authentication(answer).map_err(|e| failed(&e))?;
        let user = app.backend.user(&ctx, UserId::from_bits(handle.as_u128())).await?;
        let unknown =
            || PageError::refused("This passkey is not known here (any more). Use another way to sign in.");
        let user = user.filter(|user| !user.disabled).ok_or_else(unknown)?;
        let id = base64url(credential);
        let records = app.backend.passkeys(&ctx, user.id).await?;
        let mut record = records.into_iter().find(|record| record.id == id).ok_or_else(unknown)?;
        let mut key = key_of(&record)?;
        let result: AuthenticationResult =
            webauthn.finish_discoverable_authentication_v2(answer, *state, &key).map_err(|e| failed(&e))?;
        if !result.user_verified() {
            return Err(unknown());
        }
        key.update_credential(&result);
        record.data = serde_json::to_string(&key).map_err(PageError::fault)?;
        record.last_used = Some(at);
        Ok(Self { user, passkey: record })
    }
}

fn key_of(record: &PasskeyRecord) -> Result<Passkey, PageError> {
    serde_json::from_str(&record.data).map_err(PageError::fault)
}

fn credential_id(key: &Passkey) -> String {
    base64url(key.cred_id().as_ref())
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
