//! People, how they sign in, their sessions, tokens of programs, and the record of what was done.
//! Secrets arrive here hashed; only the TOTP secret must be kept readable, sealed by the backend.

use async_trait::async_trait;
use covigil_model::{OpContext, Party, Role, SessionId, Time, UserId};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BackendError;

/// SHA-256 of a random token of 256 bits. The token itself is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The hash of a token's text.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
    }
}

/// A person who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The person's id.
    pub id: UserId,
    /// The name to sign in with and to show: unique, 1 to 64 characters.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// Whose person it is.
    pub party: Party,
    /// A disabled user cannot sign in and has no sessions.
    pub disabled: bool,
    /// When the user was made.
    pub created: Time,
    /// The last sign-in.
    pub last_sign_in: Option<Time>,
    /// Until when the person has read the Today page.
    pub read_until: Option<Time>,
}

/// A user to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The name to sign in with.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// Whose person it is.
    pub party: Party,
}

/// What to change of a user; `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserChange {
    /// Another role.
    pub role: Option<Role>,
    /// Disable or enable. Disabling ends all sessions of the user.
    pub disabled: Option<bool>,
    /// A sign-in just succeeded.
    pub last_sign_in: Option<Time>,
    /// The person has read Today until then.
    pub read_until: Option<Time>,
}

/// A link that signs its user in, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInLink {
    /// Hash of the token in the link.
    pub hash: TokenHash,
    /// Whom it signs in.
    pub user: UserId,
    /// From then on it is void.
    pub expires: Time,
}

/// A passkey of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRecord {
    /// The credential's id, base64url without padding: unique.
    pub id: String,
    /// Whose it is.
    pub user: UserId,
    /// The name its owner gave it.
    pub label: String,
    /// The public key and counter, as JSON of the console; opaque to the backend. Not secret.
    pub data: String,
    /// When it was enrolled.
    pub created: Time,
    /// When it last signed in.
    pub last_used: Option<Time>,
}

/// A user's password and time-based code.
#[derive(Debug, Clone)]
pub struct PasswordRecord {
    /// Argon2id in PHC string form.
    pub hash: String,
    /// The shared secret of RFC 6238, base32. Sealed at rest.
    pub totp_secret: SecretString,
    /// The last time step whose code was used; a code is good once.
    pub last_step: u64,
    /// When it was set.
    pub created: Time,
}

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Names the session in lists.
    pub id: SessionId,
    /// Hash of the cookie's token.
    pub hash: TokenHash,
    /// Who signed in.
    pub user: UserId,
    /// How: `link`, `passkey`, `password`.
    pub method: String,
    /// When it began.
    pub created: Time,
    /// The last request.
    pub last_seen: Time,
    /// The end, whatever happens.
    pub expires: Time,
    /// The browser's address at sign-in, for the person to recognise it.
    pub peer: Option<String>,
}

/// What an API token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiScope {
    /// Send events to the HTTP intake, and nothing else.
    Intake,
    /// Read alerts, search and status.
    Read,
}

impl ApiScope {
    /// The scope's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Read => "read",
        }
    }

    /// The scope a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "intake" => Self::Intake,
            "read" => Self::Read,
            _ => return None,
        })
    }
}

/// A token of a program, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Names it in lists: the first 16 hexadecimal digits of its hash.
    pub id: String,
    /// The name its maker gave it.
    pub name: String,
    /// What it may do.
    pub scope: ApiScope,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Time,
    /// When it was last presented.
    pub last_used: Option<Time>,
    /// When it ends; `None` never.
    pub expires: Option<Time>,
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiToken {
    /// The name its maker gives it.
    pub name: String,
    /// What it may do.
    pub scope: ApiScope,
    /// Hash of the token.
    pub hash: TokenHash,
    /// When it ends; `None` never.
    pub expires: Option<Time>,
}

/// Something a person did or tried, to be recorded. Who and when come from the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// What, as a dotted word: `sign_in.password`, `alert.change`, `user.create`, ….
    pub action: String,
    /// To what: a name or id, in the words of the page.
    pub target: String,
    /// Whether it was done. A refusal is recorded too.
    pub done: bool,
    /// More, for a person: counts, old and new values, why it was refused. Never a secret.
    pub detail: String,
}

/// A recorded [`AuditEntry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub time: Time,
    /// Who.
    pub actor: String,
    /// What.
    pub entry: AuditEntry,
}

/// People and their ways in.
#[async_trait]
pub trait Identity: Send + Sync {
    /// All users of the tenant, by name.
    async fn users(&self, ctx: &OpContext) -> Result<Vec<User>, BackendError>;
    /// One user.
    async fn user(&self, ctx: &OpContext, id: UserId) -> Result<Option<User>, BackendError>;
    /// One user by name, compared without regard to ASCII case.
    async fn user_by_name(&self, ctx: &OpContext, name: &str) -> Result<Option<User>, BackendError>;
    /// Makes a user. `Refused` where the name is taken.
    async fn create_user(&self, ctx: &OpContext, new: NewUser) -> Result<User, BackendError>;
    /// Changes a user. `Refused` where no enabled admin would be left.
    async fn change_user(&self, ctx: &OpContext, id: UserId, change: UserChange) -> Result<(), BackendError>;

    /// Keeps a sign-in link.
    async fn put_link(&self, ctx: &OpContext, link: SignInLink) -> Result<(), BackendError>;
    /// The link, while it is unused and has not expired at `ctx.at()`.
    async fn link(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<SignInLink>, BackendError>;
    /// Uses the link up: of any number of concurrent calls, one gets it.
    async fn take_link(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<SignInLink>, BackendError>;

    /// The user's passkeys, oldest first.
    async fn passkeys(&self, ctx: &OpContext, user: UserId) -> Result<Vec<PasskeyRecord>, BackendError>;
    /// Keeps a passkey, replacing one of the same id and user. `Refused` where another user has it.
    async fn put_passkey(&self, ctx: &OpContext, passkey: PasskeyRecord) -> Result<(), BackendError>;
    /// Forgets a passkey of the user.
    async fn remove_passkey(&self, ctx: &OpContext, user: UserId, id: &str) -> Result<(), BackendError>;
    /// The user's password, if one is set.
    async fn password(&self, ctx: &OpContext, user: UserId) -> Result<Option<PasswordRecord>, BackendError>;
    /// Sets or replaces the user's password.
    async fn put_password(
        &self,
        ctx: &OpContext,
        user: UserId,
        password: PasswordRecord,
    ) -> Result<(), BackendError>;
    /// Forgets the user's password.
    async fn remove_password(&self, ctx: &OpContext, user: UserId) -> Result<(), BackendError>;
    /// Marks a time step as used. `false` where that step or a later one was used before; of
    /// concurrent calls with one step, one gets `true`.
    async fn use_totp_step(&self, ctx: &OpContext, user: UserId, step: u64) -> Result<bool, BackendError>;

    /// Keeps a session.
    async fn put_session(&self, ctx: &OpContext, session: Session) -> Result<(), BackendError>;
    /// The session of a token, if it exists. The console judges its age.
    async fn session(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<Session>, BackendError>;
    /// The user's sessions, newest first.
    async fn sessions(&self, ctx: &OpContext, user: UserId) -> Result<Vec<Session>, BackendError>;
    /// Notes a request in a session; the console calls it at most once a minute per session.
    async fn touch_session(&self, ctx: &OpContext, id: SessionId) -> Result<(), BackendError>;
    /// Ends a session at once.
    async fn end_session(&self, ctx: &OpContext, id: SessionId) -> Result<(), BackendError>;
    /// Ends all sessions of a user but one, and returns how many.
    async fn end_sessions(
        &self,
        ctx: &OpContext,
        user: UserId,
        keep: Option<SessionId>,
    ) -> Result<u64, BackendError>;

    /// All API tokens, newest first.
    async fn api_tokens(&self, ctx: &OpContext) -> Result<Vec<ApiToken>, BackendError>;
    /// Makes an API token.
    async fn create_api_token(&self, ctx: &OpContext, new: NewApiToken) -> Result<ApiToken, BackendError>;
    /// The token of a hash while it is not revoked or expired; also notes its use.
    async fn api_token(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<ApiToken>, BackendError>;
    /// Revokes a token.
    async fn revoke_api_token(&self, ctx: &OpContext, id: &str) -> Result<(), BackendError>;

    /// Records something done or refused.
    async fn record(&self, ctx: &OpContext, entry: AuditEntry) -> Result<(), BackendError>;
    /// The newest records, newest first.
    async fn audit(&self, ctx: &OpContext, limit: usize) -> Result<Vec<AuditRecord>, BackendError>;
}
