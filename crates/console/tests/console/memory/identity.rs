//! People, sessions, tokens and the audit record, in memory.

use async_trait::async_trait;
use covigil_console::backend::{
    ApiToken, AuditEntry, AuditRecord, BackendError, Identity, NewApiToken, NewUser, PasskeyRecord,
    PasswordRecord, Session, SignInLink, TokenHash, User, UserChange,
};
use covigil_model::{OpContext, Role, SessionId, UserId};

use super::Memory;

fn no_user() -> BackendError {
    BackendError::NotFound("The user".to_owned())
}

#[async_trait]
impl Identity for Memory {
    async fn users(&self, ctx: &OpContext) -> Result<Vec<User>, BackendError> {
        self.check(ctx);
        Ok(self.lock().users.clone())
    }

    async fn user(&self, ctx: &OpContext, id: UserId) -> Result<Option<User>, BackendError> {
        self.check(ctx);
        Ok(self.lock().users.iter().find(|user| user.id == id).cloned())
    }

    async fn user_by_name(&self, ctx: &OpContext, name: &str) -> Result<Option<User>, BackendError> {
        self.check(ctx);
        Ok(self.lock().users.iter().find(|user| user.name.eq_ignore_ascii_case(name)).cloned())
    }

    async fn create_user(&self, ctx: &OpContext, new: NewUser) -> Result<User, BackendError> {
        self.check(ctx);
        let mut state = self.lock();
        if state.users.iter().any(|user| user.name.eq_ignore_ascii_case(&new.name)) {
            return Err(BackendError::Refused(format!("The name {} is taken.", new.name)));
        }
        let user = User {
            id: UserId::derived(&[new.name.as_bytes()]),
            name: new.name,
            role: new.role,
            party: new.party,
            disabled: false,
            created: ctx.at(),
            last_sign_in: None,
            read_until: None,
        };
        state.users.push(user.clone());
        Ok(user)
    }

    async fn change_user(&self, ctx: &OpContext, id: UserId, change: UserChange) -> Result<(), BackendError> {
        self.check(ctx);
        let mut state = self.lock();
        let mut users = state.users.clone();
        let user = users.iter_mut().find(|user| user.id == id).ok_or_else(no_user)?;
        user.role = change.role.unwrap_or(user.role);
        user.disabled = change.disabled.unwrap_or(user.disabled);
        user.last_sign_in = change.last_sign_in.or(user.last_sign_in);
        user.read_until = change.read_until.or(user.read_until);
        if !users.iter().any(|user| user.role == Role::Admin && !user.disabled) {
            return Err(BackendError::Refused(
                "Nobody would be left to administer. Make another admin first.".to_owned(),
            ));
        }
        state.users = users;
        Ok(())
    }

    async fn put_link(&self, ctx: &OpContext, link: SignInLink) -> Result<(), BackendError> {
        self.check(ctx);
        self.lock().links.insert(link.hash.0, link);
        Ok(())
    }

    async fn link(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<SignInLink>, BackendError> {
        self.check(ctx);
        Ok(self.lock().links.get(&hash.0).filter(|link| link.expires > ctx.at()).cloned())
    }

    async fn take_link(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<SignInLink>, BackendError> {
        self.check(ctx);
        Ok(self.lock().links.remove(&hash.0).filter(|link| link.expires > ctx.at()))
    }

    async fn passkeys(&self, ctx: &OpContext, user: UserId) -> Result<Vec<PasskeyRecord>, BackendError> {
        self.check(ctx);
        Ok(self.lock().passkeys.iter().filter(|key| key.user == user).cloned().collect())
    }

    async fn put_passkey(&self, ctx: &OpContext, passkey: PasskeyRecord) -> Result<(), BackendError> {
        self.check(ctx);
        let mut state = self.lock();
        if state.passkeys.iter().any(|key| key.id == passkey.id && key.user != passkey.user) {
            return Err(BackendError::Refused("This passkey is another person's.".to_owned()));
        }
        state.passkeys.retain(|key| key.id != passkey.id);
        state.passkeys.push(passkey);
        Ok(())
    }

    async fn remove_passkey(&self, ctx: &OpContext, user: UserId, id: &str) -> Result<(), BackendError> {
        self.check(ctx);
        self.lock().passkeys.retain(|key| key.user != user || key.id != id);
        Ok(())
    }

    async fn password(&self, ctx: &OpContext, user: UserId) -> Result<Option<PasswordRecord>, BackendError> {
        self.check(ctx);
        Ok(self.lock().passwords.get(&user).cloned())
    }

    async fn put_password(
        &self,
        ctx: &OpContext,
        user: UserId,
        password: PasswordRecord,
    ) -> Result<(), BackendError> {
        self.check(ctx);
        self.lock().passwords.insert(user, password);
        Ok(())
    }

    async fn remove_password(&self, ctx: &OpContext, user: UserId) -> Result<(), BackendError> {
        self.check(ctx);
        self.lock().passwords.remove(&user);
        Ok(())
    }

    async fn use_totp_step(&self, ctx: &OpContext, user: UserId, step: u64) -> Result<bool, BackendError> {
        self.check(ctx);
        let mut state = self.lock();
        let record = state.passwords.get_mut(&user).ok_or_else(no_user)?;
        let fresh = step > record.last_step;
        record.last_step = record.last_step.max(step);
        Ok(fresh)
    }

    async fn put_session(&self, ctx: &OpContext, session: Session) -> Result<(), BackendError> {
        self.check(ctx);
        self.lock().sessions.push(session);
        Ok(())
    }

    async fn session(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<Session>, BackendError> {
        self.check(ctx);
        Ok(self.lock().sessions.iter().find(|session| session.hash == hash).cloned())
    }

    async fn sessions(&self, ctx: &OpContext, user: UserId) -> Result<Vec<Session>, BackendError> {
        self.check(ctx);
        Ok(self.lock().sessions.iter().rev().filter(|session| session.user == user).cloned().collect())
    }

    async fn touch_session(&self, ctx: &OpContext, id: SessionId) -> Result<(), BackendError> {
        self.check(ctx);
        if let Some(session) = self.lock().sessions.iter_mut().find(|session| session.id == id) {
            session.last_seen = ctx.at();
        }
        Ok(())
    }

    async fn end_session(&self, ctx: &OpContext, id: SessionId) -> Result<(), BackendError> {
        self.check(ctx);
        self.lock().sessions.retain(|session| session.id != id);
        Ok(())
    }

    async fn end_sessions(
        &self,
        ctx: &OpContext,
        user: UserId,
        keep: Option<SessionId>,
    ) -> Result<u64, BackendError> {
        self.check(ctx);
        let mut state = self.lock();
        let before = state.sessions.len();
        state.sessions.retain(|session| session.user != user || Some(session.id) == keep);
        Ok((before - state.sessions.len()) as u64)
    }

    async fn api_tokens(&self, ctx: &OpContext) -> Result<Vec<ApiToken>, BackendError> {
        self.check(ctx);
        Ok(self.lock().tokens.iter().rev().map(|(_, token)| token.clone()).collect())
    }

    async fn create_api_token(&self, ctx: &OpContext, new: NewApiToken) -> Result<ApiToken, BackendError> {
        self.check(ctx);
        let token = ApiToken {
            id: new.hash.to_hex()[..16].to_owned(),
            name: new.name,
            scope: new.scope,
            created_by: ctx.actor().name().to_owned(),
            created: ctx.at(),
            last_used: None,
            expires: new.expires,
        };
        self.lock().tokens.push((new.hash, token.clone()));
        Ok(token)
    }

    async fn api_token(&self, ctx: &OpContext, hash: TokenHash) -> Result<Option<ApiToken>, BackendError> {
        self.check(ctx);
        let mut state = self.lock();
        let found = state.tokens.iter_mut().find(|(have, _)| *have == hash);
        Ok(found.filter(|(_, token)| token.expires.is_none_or(|end| end > ctx.at())).map(|(_, token)| {
            token.last_used = Some(ctx.at());
            token.clone()
        }))
    }

    async fn revoke_api_token(&self, ctx: &OpContext, id: &str) -> Result<(), BackendError> {
        self.check(ctx);
        self.lock().tokens.retain(|(_, token)| token.id != id);
        Ok(())
    }

    async fn record(&self, ctx: &OpContext, entry: AuditEntry) -> Result<(), BackendError> {
        self.check(ctx);
        let record = AuditRecord { time: ctx.at(), actor: ctx.actor().name().to_owned(), entry };
        self.lock().audit.push(record);
        Ok(())
    }

    async fn audit(&self, ctx: &OpContext, limit: usize) -> Result<Vec<AuditRecord>, BackendError> {
        self.check(ctx);
        Ok(self.lock().audit.iter().rev().take(limit).cloned().collect())
    }
}
