//! People and their ways in.

use async_trait::async_trait;
use covigil_console::{
    BackendError,
    backend::{
        ApiToken, AuditEntry, AuditRecord, Identity, NewApiToken, NewUser, PasskeyRecord, PasswordRecord,
        Session, SignInLink, TokenHash, User, UserChange,
    },
};
use covigil_model::{OpContext, SessionId, UserId};
use covigil_store::state as kept;
use secrecy::{ExposeSecret as _, SecretString};

use super::{NodeBackend, convert, seal_error, state_error};

fn totp_name(user: UserId) -> String {
    format!("totp/{user}")
}

#[async_trait]
impl Identity for NodeBackend {
    async fn users(&self, ctx: &OpContext) -> Result<Vec<User>, BackendError> {
        let users = self.state.users(ctx).await.map_err(state_error)?;
        Ok(users.into_iter().map(convert::user).collect())
    }

    async fn user(&self, ctx: &OpContext, id: UserId) -> Result<Option<User>, BackendError> {
        Ok(self.state.user(ctx, id).await.map_err(state_error)?.map(convert::user))
    }

    async fn user_by_name(&self, ctx: &OpContext, name: &str) -> Result<Option<User>, BackendError> {
        Ok(self.state.user_by_name(ctx, name).await.map_err(state_error)?.map(convert::user))
    }

    async fn create_user(&self, ctx: &OpContext, new: NewUser) -> Result<User, BackendError> {
        let new = kept::NewUser { name: new.name, role: new.role, party: new.party };
        self.state.create_user(ctx, new).await.map(convert::user).map_err(state_error)
    }

    async fn change_user(&self, ctx: &OpContext, id: UserId, change: UserChange) -> Result<(), BackendError> {
        let change = kept::UserChange {
            role: change.role,
            disabled: change.disabled,
            last_sign_in: change.last_sign_in,
            read_until: change.read_until,
        };
        self.state.change_user(ctx, id, change).await.map_err(state_error)
    }

    async fn put_link(&self, ctx: &OpContext, link: SignInLink) -> Result<(), BackendError> {
        let link =
            kept::SignInLink { hash: convert::hash(link.hash), user: link.user, expires: link.expires };
        self.state.put_link(ctx, link).await.map_err(state_error)
    }

    async fn link(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<SignInLink>, BackendError> {
        Ok(self.state.link(ctx, convert::hash(hash)).await.map_err(state_error)?.map(convert::link))
    }

    async fn take_link(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<SignInLink>, BackendError> {
        Ok(self.state.take_link(ctx, convert::hash(hash)).await.map_err(state_error)?.map(convert::link))
    }

    async fn passkeys(&self, ctx: &OpContext, user: UserId) -> Result<Vec<PasskeyRecord>, BackendError> {
        let passkeys = self.state.passkeys(ctx, user).await.map_err(state_error)?;
        Ok(passkeys
            .into_iter()
            .map(|p| PasskeyRecord {
                id: p.id,
                user: p.user,
                label: p.label,
                data: p.data,
                created: p.created,
                last_used: p.last_used,
            })
            .collect())
    }

    async fn put_passkey(&self, ctx: &OpContext, passkey: PasskeyRecord) -> Result<(), BackendError> {
        let passkey = kept::Passkey {
            id: passkey.id,
            user: passkey.user,
            label: passkey.label,
            data: passkey.data,
            created: passkey.created,
            last_used: passkey.last_used,
        };
        self.state.put_passkey(ctx, passkey).await.map_err(state_error)
    }

    async fn remove_passkey(&self, ctx: &OpContext, user: UserId, id: &str) -> Result<(), BackendError> {
        self.state.remove_passkey(ctx, user, id).await.map_err(state_error)
    }

    async fn password(&self, ctx: &OpContext, user: UserId) -> Result<Option<PasswordRecord>, BackendError> {
        let Some(kept) = self.state.password(ctx, user).await.map_err(state_error)? else { return Ok(None) };
        let secret = self.sealer.unseal(&totp_name(user), &kept.totp_sealed).map_err(seal_error)?;
        Ok(Some(PasswordRecord {
            hash: kept.hash,
            totp_secret: SecretString::from(secret),
            last_step: kept.last_step,
            created: kept.created,
        }))
    }

    async fn put_password(
        &self,
        ctx: &OpContext,
        user: UserId,
        password: PasswordRecord,
    ) -> Result<(), BackendError> {
        let secret = password.totp_secret.expose_secret();
        let kept = kept::Password {
            hash: password.hash,
            totp_sealed: self.sealer.seal(&totp_name(user), secret).map_err(seal_error)?,
            last_step: password.last_step,
            created: password.created,
        };
        self.state.put_password(ctx, user, kept).await.map_err(state_error)
    }

    async fn remove_password(&self, ctx: &OpContext, user: UserId) -> Result<(), BackendError> {
        self.state.remove_password(ctx, user).await.map_err(state_error)
    }

    async fn use_totp_step(&self, ctx: &OpContext, user: UserId, step: u64) -> Result<bool, BackendError> {
        self.state.use_totp_step(ctx, user, step).await.map_err(state_error)
    }

    async fn put_session(&self, ctx: &OpContext, session: Session) -> Result<(), BackendError> {
        let session = kept::Session {
            id: session.id,
            hash: convert::hash(session.hash),
            user: session.user,
            method: session.method,
            created: session.created,
            last_seen: session.last_seen,
            expires: session.expires,
            peer: session.peer,
        };
        self.state.put_session(ctx, session).await.map_err(state_error)
    }

    async fn session(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<Session>, BackendError> {
        Ok(self.state.session(ctx, convert::hash(hash)).await.map_err(state_error)?.map(convert::session))
    }

    async fn sessions(&self, ctx: &OpContext, user: UserId) -> Result<Vec<Session>, BackendError> {
        let sessions = self.state.sessions(ctx, user).await.map_err(state_error)?;
        Ok(sessions.into_iter().map(convert::session).collect())
    }

    async fn touch_session(&self, ctx: &OpContext, id: SessionId) -> Result<(), BackendError> {
        self.state.touch_session(ctx, id).await.map_err(state_error)
    }

    async fn end_session(&self, ctx: &OpContext, id: SessionId) -> Result<(), BackendError> {
        self.state.end_session(ctx, id).await.map_err(state_error)
    }

    async fn end_sessions(
        &self,
        ctx: &OpContext,
        user: UserId,
        keep: Option<SessionId>,
    ) -> Result<u64, BackendError> {
        self.state.end_sessions(ctx, user, keep).await.map_err(state_error)
    }

    async fn api_tokens(&self, ctx: &OpContext) -> Result<Vec<ApiToken>, BackendError> {
        let tokens = self.state.api_tokens(ctx).await.map_err(state_error)?;
        Ok(tokens.into_iter().filter_map(convert::token).collect())
    }

    async fn create_api_token(&self, ctx: &OpContext, new: NewApiToken) -> Result<ApiToken, BackendError> {
        let new = kept::NewApiToken {
            name: new.name,
            scope: new.scope.as_str().to_owned(),
            hash: convert::hash(new.hash),
            expires: new.expires,
        };
        let made = self.state.create_api_token(ctx, new).await.map_err(state_error)?;
        convert::token(made)
            .ok_or_else(|| BackendError::Refused("a token is for intake or for reading".into()))
    }

    async fn api_token(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<ApiToken>, BackendError> {
        let found = self.state.api_token(ctx, convert::hash(hash)).await.map_err(state_error)?;
        Ok(found.and_then(convert::token))
    }

    async fn revoke_api_token(&self, ctx: &OpContext, id: &str) -> Result<(), BackendError> {
        self.state.revoke_api_token(ctx, id).await.map_err(state_error)?;
        self.tokens.forget();
        Ok(())
    }

    async fn record(&self, ctx: &OpContext, entry: AuditEntry) -> Result<(), BackendError> {
        let entry = kept::AuditEntry {
            action: entry.action,
            target: entry.target,
            done: entry.done,
            detail: entry.detail,
        };
        self.state.audit(ctx, &entry).await.map_err(state_error)
    }

    async fn audit(&self, ctx: &OpContext, limit: usize) -> Result<Vec<AuditRecord>, BackendError> {
        let records = self.state.audit_records(ctx, None, limit).await.map_err(state_error)?;
        Ok(records
            .into_iter()
            .map(|r| AuditRecord {
                time: r.time,
                actor: r.actor,
                entry: AuditEntry {
                    action: r.entry.action,
                    target: r.entry.target,
                    done: r.entry.done,
                    detail: r.entry.detail,
                },
            })
            .collect())
    }
}
