//! How people and programs get in: one-time links, passkeys, passwords, sessions, API tokens.
//! Secrets arrive here hashed or sealed; nothing in this module can be used to sign in.

use covigil_model::{OpContext, SessionId, Time, UserId};
use sqlx::any::AnyRow;

use super::{
    State, StateError,
    sql::{Columns as _, Sql},
};

/// SHA-256 of a random token. The token itself is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
    }

    fn from_hex(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(hash))
    }
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
pub struct Passkey {
    /// The credential's id: unique.
    pub id: String,
    /// Whose it is.
    pub user: UserId,
    /// The name its owner gave it.
    pub label: String,
    /// The credential as JSON; opaque here.
    pub data: String,
    /// When it was enrolled.
    pub created: Time,
    /// When it last signed in.
    pub last_used: Option<Time>,
}

/// A user's password and time-based code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Password {
    /// The password's hash in PHC string form.
    pub hash: String,
    /// The shared secret of RFC 6238, sealed by the caller.
    pub totp_sealed: Vec<u8>,
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
    /// The browser's address at sign-in.
    pub peer: Option<String>,
}

/// A token of a program, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Names it in lists: the first 16 hexadecimal digits of its hash.
    pub id: String,
    /// The name its maker gave it.
    pub name: String,
    /// What it may do, in the caller's words.
    pub scope: String,
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
    /// What it may do, in the caller's words.
    pub scope: String,
    /// Hash of the token.
    pub hash: TokenHash,
    /// When it ends; `None` never.
    pub expires: Option<Time>,
}

/// Uses of a session or token within this many seconds are noted once.
const NOTED_AGAIN_AFTER: i64 = 60;

fn hash_in(row: &AnyRow) -> Result<TokenHash, StateError> {
    TokenHash::from_hex(&row.text("hash")?).ok_or(StateError::Unreadable("token hash"))
}

fn link_of(row: &AnyRow) -> Result<SignInLink, StateError> {
    Ok(SignInLink { hash: hash_in(row)?, user: row.id("user_id")?, expires: row.time("expires")? })
}

fn session_of(row: &AnyRow) -> Result<Session, StateError> {
    Ok(Session {
        id: row.id("id")?,
        hash: hash_in(row)?,
        user: row.id("user_id")?,
        method: row.text("method")?,
        created: row.time("created")?,
        last_seen: row.time("last_seen")?,
        expires: row.time("expires")?,
        peer: row.opt_text("peer")?,
    })
}

fn token_of(row: &AnyRow) -> Result<ApiToken, StateError> {
    let mut id = row.text("hash")?;
    id.truncate(16);
    Ok(ApiToken {
        id,
        name: row.text("name")?,
        scope: row.text("scope")?,
        created_by: row.text("created_by")?,
        created: row.time("created")?,
        last_used: row.opt_time("last_used")?,
        expires: row.opt_time("expires")?,
    })
}

/// One-time links.
impl State {
    /// Keeps a sign-in link; links that have expired are forgotten.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`], also for an unknown user.
    pub async fn put_link(&self, ctx: &OpContext, link: SignInLink) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(ctx, "DELETE FROM sign_in_links WHERE tenant = $1 AND expires <= $2");
        sql.with(ctx.at()).run(&mut tx).await?;
        let sql = Sql::new(
            ctx,
            "INSERT INTO sign_in_links (tenant, hash, user_id, expires) VALUES ($1, $2, $3, $4)",
        );
        sql.with(link.hash.to_hex()).with(link.user).with(link.expires).run(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The link, while it is unused, has not expired, and its user is not disabled.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn link(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<SignInLink>, StateError> {
        let sql = Sql::new(
            ctx,
            "SELECT l.* FROM sign_in_links l JOIN users u ON u.tenant = l.tenant AND u.id = l.user_id \
             WHERE l.tenant = $1 AND l.hash = $2 AND l.expires > $3 AND u.disabled = 0",
        );
        let row = sql.with(hash.to_hex()).with(ctx.at()).first(&mut *self.read().await?).await?;
        row.as_ref().map(link_of).transpose()
    }

    /// Uses the link up: of any number of concurrent calls, one gets it.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn take_link(
        &self,
        ctx: &OpContext,
        hash: TokenHash,
    ) -> Result<Option<SignInLink>, StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(
            ctx,
            "DELETE FROM sign_in_links WHERE tenant = $1 AND hash = $2 AND expires > $3 AND user_id IN \
             (SELECT u.id FROM users u WHERE u.tenant = $1 AND u.disabled = 0) RETURNING *",
        );
        let rows = sql.with(hash.to_hex()).with(ctx.at()).all(&mut tx).await?;
        let link = rows.first().map(link_of).transpose()?;
        tx.commit().await?;
        Ok(link)
    }
}

/// Passkeys and passwords.
impl State {
    /// The user's passkeys, oldest first.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn passkeys(&self, ctx: &OpContext, user: UserId) -> Result<Vec<Passkey>, StateError> {
        let sql =
            Sql::new(ctx, "SELECT * FROM passkeys WHERE tenant = $1 AND user_id = $2 ORDER BY created, id");
        let rows = sql.with(user).all(&mut *self.read().await?).await?;
        rows.iter()
            .map(|row| {
                Ok(Passkey {
                    id: row.text("id")?,
                    user: row.id("user_id")?,
                    label: row.text("label")?,
                    data: row.text("data")?,
                    created: row.time("created")?,
                    last_used: row.opt_time("last_used")?,
                })
            })
            .collect()
    }

    /// Keeps a passkey, replacing one of the same id and user.
    ///
    /// # Errors
    ///
    /// [`StateError::Conflict`] where another user has it, [`StateError::Database`].
    pub async fn put_passkey(&self, ctx: &OpContext, passkey: Passkey) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(
            ctx,
            "INSERT INTO passkeys (tenant, id, user_id, label, data, created, last_used) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, id) DO UPDATE SET label = $4, data = $5, \
             last_used = $7 WHERE passkeys.user_id = $3",
        )
        .with(passkey.id)
        .with(passkey.user)
        .with(passkey.label)
        .with(passkey.data)
        .with(passkey.created)
        .with(passkey.last_used);
        if sql.run(&mut tx).await? == 0 {
            return Err(StateError::Conflict("this passkey belongs to another user".into()));
        }
        tx.commit().await?;
        Ok(())
    }

    /// Forgets a passkey of the user.
    ///
    /// # Errors
    ///
    /// [`StateError::NotFound`], [`StateError::Database`].
    pub async fn remove_passkey(&self, ctx: &OpContext, user: UserId, id: &str) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(ctx, "DELETE FROM passkeys WHERE tenant = $1 AND user_id = $2 AND id = $3");
        if sql.with(user).with(id).run(&mut tx).await? == 0 {
            return Err(StateError::NotFound("the passkey"));
        }
        tx.commit().await?;
        Ok(())
    }

    /// The user's password, if one is set.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn password(&self, ctx: &OpContext, user: UserId) -> Result<Option<Password>, StateError> {
        let sql = Sql::new(ctx, "SELECT * FROM passwords WHERE tenant = $1 AND user_id = $2").with(user);
        let row = sql.first(&mut *self.read().await?).await?;
        row.map(|row| {
            Ok(Password {
                hash: row.text("hash")?,
                totp_sealed: row.blob("totp_sealed")?,
                last_step: row.count("last_step")?,
                created: row.time("created")?,
            })
        })
        .transpose()
    }

    /// Sets or replaces the user's password.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`], also for an unknown user.
    pub async fn put_password(
        &self,
        ctx: &OpContext,
        user: UserId,
        password: Password,
    ) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(
            ctx,
            "INSERT INTO passwords (tenant, user_id, hash, totp_sealed, last_step, created) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, user_id) DO UPDATE SET hash = $3, \
             totp_sealed = $4, last_step = $5, created = $6",
        );
        sql.with(user)
            .with(password.hash)
            .with(password.totp_sealed)
            .with(i64::try_from(password.last_step).unwrap_or(i64::MAX))
            .with(password.created)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets the user's password.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn remove_password(&self, ctx: &OpContext, user: UserId) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        Sql::new(ctx, "DELETE FROM passwords WHERE tenant = $1 AND user_id = $2")
            .with(user)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Marks a time step as used. `false` where that step or a later one was used before; of
    /// concurrent calls with one step, one gets `true`.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn use_totp_step(&self, ctx: &OpContext, user: UserId, step: u64) -> Result<bool, StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(
            ctx,
            "UPDATE passwords SET last_step = $3 WHERE tenant = $1 AND user_id = $2 AND last_step < $3",
        );
        let used = sql.with(user).with(i64::try_from(step).unwrap_or(i64::MAX)).run(&mut tx).await?;
        tx.commit().await?;
        Ok(used == 1)
    }
}

/// Sessions.
impl State {
    /// Keeps a session; sessions that have expired are forgotten.
    ///
    /// # Errors
    ///
    /// [`StateError::Conflict`] where the user is unknown or disabled, [`StateError::Database`].
    pub async fn put_session(&self, ctx: &OpContext, session: Session) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(ctx, "DELETE FROM sessions WHERE tenant = $1 AND expires <= $2");
        sql.with(ctx.at()).run(&mut tx).await?;
        let sql = Sql::new(
            ctx,
            "INSERT INTO sessions (tenant, id, hash, user_id, method, created, last_seen, expires, peer) \
             SELECT $1, $2, $3, u.id, $5, $6, $7, $8, $9 FROM users u \
             WHERE u.tenant = $1 AND u.id = $4 AND u.disabled = 0",
        )
        .with(session.id)
        .with(session.hash.to_hex())
        .with(session.user)
        .with(session.method)
        .with(session.created)
        .with(session.last_seen)
        .with(session.expires)
        .with(session.peer);
        if sql.run(&mut tx).await? == 0 {
            return Err(StateError::Conflict("this user is disabled or does not exist".into()));
        }
        tx.commit().await?;
        Ok(())
    }

    /// The session of a token, while it has not expired and its user is not disabled.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn session(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<Session>, StateError> {
        let sql = Sql::new(
            ctx,
            "SELECT s.* FROM sessions s JOIN users u ON u.tenant = s.tenant AND u.id = s.user_id \
             WHERE s.tenant = $1 AND s.hash = $2 AND s.expires > $3 AND u.disabled = 0",
        );
        let row = sql.with(hash.to_hex()).with(ctx.at()).first(&mut *self.read().await?).await?;
        row.as_ref().map(session_of).transpose()
    }

    /// The user's sessions that have not expired, newest first.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn sessions(&self, ctx: &OpContext, user: UserId) -> Result<Vec<Session>, StateError> {
        let sql = Sql::new(
            ctx,
            "SELECT * FROM sessions WHERE tenant = $1 AND user_id = $2 AND expires > $3 \
             ORDER BY created DESC, id",
        );
        sql.with(user).with(ctx.at()).all(&mut *self.read().await?).await?.iter().map(session_of).collect()
    }

    /// Notes a request in a session, at most once a minute.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn touch_session(&self, ctx: &OpContext, id: SessionId) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(
            ctx,
            "UPDATE sessions SET last_seen = $3 WHERE tenant = $1 AND id = $2 AND last_seen < $4",
        );
        sql.with(id).with(ctx.at()).with(ctx.at().plus_secs(1 - NOTED_AGAIN_AFTER)).run(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends a session at once.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn end_session(&self, ctx: &OpContext, id: SessionId) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        Sql::new(ctx, "DELETE FROM sessions WHERE tenant = $1 AND id = $2").with(id).run(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends all sessions of a user but one, and returns how many.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn end_sessions(
        &self,
        ctx: &OpContext,
        user: UserId,
        keep: Option<SessionId>,
    ) -> Result<u64, StateError> {
        let mut tx = self.change().await?;
        let keep = keep.map(|id| id.to_string()).unwrap_or_default();
        let sql = Sql::new(ctx, "DELETE FROM sessions WHERE tenant = $1 AND user_id = $2 AND id <> $3");
        let ended = sql.with(user).with(keep).run(&mut tx).await?;
        tx.commit().await?;
        Ok(ended)
    }
}

/// API tokens.
impl State {
    /// All API tokens, newest first.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn api_tokens(&self, ctx: &OpContext) -> Result<Vec<ApiToken>, StateError> {
        let sql = Sql::new(ctx, "SELECT * FROM api_tokens WHERE tenant = $1 ORDER BY created DESC, hash");
        sql.all(&mut *self.read().await?).await?.iter().map(token_of).collect()
    }

    /// Makes an API token.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn create_api_token(&self, ctx: &OpContext, new: NewApiToken) -> Result<ApiToken, StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(
            ctx,
            "INSERT INTO api_tokens (tenant, hash, name, scope, created_by, created, expires) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
        )
        .with(new.hash.to_hex())
        .with(new.name)
        .with(new.scope)
        .with(ctx.actor().name())
        .with(ctx.at())
        .with(new.expires);
        let rows = sql.all(&mut tx).await?;
        let token = token_of(rows.first().ok_or(StateError::NotFound("the new token"))?)?;
        tx.commit().await?;
        Ok(token)
    }

    /// The token of a hash while it is not revoked or expired; also notes its use, at most once a
    /// minute. An unknown hash costs one read and no write.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn api_token(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<ApiToken>, StateError> {
        let sql = Sql::new(
            ctx,
            "SELECT * FROM api_tokens WHERE tenant = $1 AND hash = $2 AND (expires IS NULL OR expires > $3)",
        );
        let row = sql.with(hash.to_hex()).with(ctx.at()).first(&mut *self.read().await?).await?;
        let Some(token) = row.as_ref().map(token_of).transpose()? else { return Ok(None) };
        if token.last_used.is_none_or(|used| used.plus_secs(NOTED_AGAIN_AFTER) <= ctx.at()) {
            let mut tx = self.change().await?;
            let sql = Sql::new(ctx, "UPDATE api_tokens SET last_used = $3 WHERE tenant = $1 AND hash = $2");
            sql.with(hash.to_hex()).with(ctx.at()).run(&mut tx).await?;
            tx.commit().await?;
        }
        Ok(Some(token))
    }

    /// Revokes a token by its short id.
    ///
    /// # Errors
    ///
    /// [`StateError::NotFound`], [`StateError::Database`].
    pub async fn revoke_api_token(&self, ctx: &OpContext, id: &str) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(ctx, "DELETE FROM api_tokens WHERE tenant = $1 AND substr(hash, 1, 16) = $2");
        if sql.with(id).run(&mut tx).await? == 0 {
            return Err(StateError::NotFound("the token"));
        }
        tx.commit().await?;
        Ok(())
    }
}
