//! Who the node is, who may sign in first, and the tokens of this machine's own command line.

use std::{io, path::Path, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use covigil_console::backend::TokenHash;
use covigil_model::{OpContext, Party, Role, TenantId, Time, UserId};
use covigil_store::state::{NewApiToken, NewUser, SignInLink, State, StateError, TokenHash as KeptHash};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::intake_auth::OWN_TOOLS;

/// The name of the command line's token that reads.
const OWN_READER: &str = "command-line-read";
/// The name of the first user.
const FIRST_USER: &str = "admin";
/// How long a link made by the command line is good for.
const LINK_LASTS: Duration = Duration::from_secs(15 * 60);

/// The tenant of a data folder: random when the folder is new, the same ever after.
pub fn tenant(data: &Path) -> io::Result<TenantId> {
    let path = data.join("node.id");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            text.trim().parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{e}")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; 16];
            random(&mut bytes)?;
            let id = TenantId::from_bits(u128::from_be_bytes(bytes));
            std::fs::write(&path, format!("{id}\n"))?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

fn random(bytes: &mut [u8]) -> io::Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| io::Error::other("the system's random generator failed"))
}

/// 256 random bits in the form that the console's links have: base64url without padding.
fn random_token() -> Result<String, StateError> {
    let mut bytes = [0; 32];
    random(&mut bytes).map_err(|e| StateError::Invalid(e.to_string()))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Makes new tokens for this machine's command line, one that reads and one that sends, and revokes those of
/// the run before.
pub async fn own_tokens(state: &State, tenant: TenantId) -> Result<(String, String), StateError> {
    let ctx = OpContext::system(tenant, "start", Time::now());
    for token in state.api_tokens(&ctx).await? {
        if token.name == OWN_READER || token.name == OWN_TOOLS {
            state.revoke_api_token(&ctx, &token.id).await?;
        }
    }
    let mut made = Vec::new();
    for (name, scope) in [(OWN_READER, "read"), (OWN_TOOLS, "intake")] {
        let token = random_token()?;
        let hash = KeptHash(TokenHash::of(&token).0);
        let new = NewApiToken { name: name.to_owned(), scope: scope.to_owned(), hash, expires: None };
        state.create_api_token(&ctx, new).await?;
        made.push(token);
    }
    let intake = made.pop().unwrap_or_default();
    Ok((made.pop().unwrap_or_default(), intake))
}

/// The first administrator that can sign in; made where there is no user at all.
pub async fn first_user(state: &State, tenant: TenantId) -> Result<UserId, StateError> {
    let ctx = OpContext::system(tenant, "start", Time::now());
    let users = state.users(&ctx).await?;
    if users.is_empty() {
        let new = NewUser { name: FIRST_USER.to_owned(), role: Role::Admin, party: Party::Customer };
        return Ok(state.create_user(&ctx, new).await?.id);
    }
    let admin = users
        .iter()
        .filter(|user| !user.disabled && user.role == Role::Admin)
        .min_by_key(|user| user.created);
    admin.map(|user| user.id).ok_or(StateError::NotFound("an administrator who can sign in"))
}

/// Makes a one-time link for the first administrator of a data folder; yields its path. Whoever can open the
/// data folder may do this, whether or not the node runs.
pub async fn sign_in_link(data: &Path) -> Result<String, StateError> {
    let file = |e: io::Error| StateError::Invalid(format!("{}: {e}", data.display()));
    let tenant = tenant(data).map_err(file)?;
    let state = State::open(&data.join("state.db")).await?;
    let user = first_user(&state, tenant).await?;
    let ctx = OpContext::system(tenant, "sign-in", Time::now());
    let token = random_token()?;
    let expires = ctx.at().plus_secs(LINK_LASTS.as_secs() as i64);
    let link = SignInLink { hash: KeptHash(TokenHash::of(&token).0), user, expires };
    state.put_link(&ctx, link).await?;
    state.close().await;
    Ok(format!("/sign-in/link/{token}"))
}
