//! Users: who they are and what they may do. How they sign in is in [`sign_in`](super::sign_in).

use covigil_model::{OpContext, Party, Role, Time, UserId};
use sqlx::any::AnyRow;

use super::{
    State, StateError,
    sql::{Columns as _, Sql},
};

/// A person who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The person's id.
    pub id: UserId,
    /// The name to sign in with and to show: unique without regard to case, 1 to 64 characters.
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
    /// Disable or enable. Disabling ends all sessions and voids all links of the user.
    pub disabled: Option<bool>,
    /// A sign-in just succeeded.
    pub last_sign_in: Option<Time>,
    /// The person has read Today until then.
    pub read_until: Option<Time>,
}

const fn party_word(party: Party) -> &'static str {
    match party {
        Party::Customer => "customer",
        Party::Provider => "provider",
    }
}

fn user_of(row: &AnyRow) -> Result<User, StateError> {
    Ok(User {
        id: row.id("id")?,
        name: row.text("name")?,
        role: Role::from_word(&row.text("role")?).ok_or(StateError::Unreadable("role"))?,
        party: match row.text("party")?.as_str() {
            "customer" => Party::Customer,
            "provider" => Party::Provider,
            _ => return Err(StateError::Unreadable("party")),
        },
        disabled: row.int("disabled")? != 0,
        created: row.time("created")?,
        last_sign_in: row.opt_time("last_sign_in")?,
        read_until: row.opt_time("read_until")?,
    })
}

impl State {
    /// All users of the tenant, by name.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn users(&self, ctx: &OpContext) -> Result<Vec<User>, StateError> {
        let sql = Sql::new(ctx, "SELECT * FROM users WHERE tenant = $1 ORDER BY name_key");
        sql.all(&mut *self.read().await?).await?.iter().map(user_of).collect()
    }

    /// One user.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn user(&self, ctx: &OpContext, id: UserId) -> Result<Option<User>, StateError> {
        let sql = Sql::new(ctx, "SELECT * FROM users WHERE tenant = $1 AND id = $2").with(id);
        sql.first(&mut *self.read().await?).await?.as_ref().map(user_of).transpose()
    }

    /// One user by name, compared without regard to case.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn user_by_name(&self, ctx: &OpContext, name: &str) -> Result<Option<User>, StateError> {
        let sql = Sql::new(ctx, "SELECT * FROM users WHERE tenant = $1 AND name_key = $2");
        let row = sql.with(name.to_lowercase()).first(&mut *self.read().await?).await?;
        row.as_ref().map(user_of).transpose()
    }

    /// Makes a user.
    ///
    /// # Errors
    ///
    /// [`StateError::Conflict`] where the name is taken, [`StateError::Invalid`] for a name that
    /// cannot be used, [`StateError::Database`].
    pub async fn create_user(&self, ctx: &OpContext, new: NewUser) -> Result<User, StateError> {
        let length = new.name.chars().count();
        if !(1..=64).contains(&length)
            || new.name.trim() != new.name
            || new.name.chars().any(char::is_control)
        {
            return Err(StateError::Invalid(
                "a user's name has 1 to 64 characters, no control characters, and no space at its ends"
                    .into(),
            ));
        }
        let key = new.name.to_lowercase();
        let id = UserId::derived(&[&ctx.tenant().bits().to_be_bytes(), key.as_bytes()]);
        let sql = Sql::new(
            ctx,
            "INSERT INTO users (tenant, id, name, name_key, role, party, disabled, created) \
             VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
        )
        .with(id)
        .with(new.name.as_str())
        .with(key)
        .with(new.role.as_str())
        .with(party_word(new.party))
        .with(ctx.at());
        let mut tx = self.change().await?;
        if let Err(error) = sql.run(&mut tx).await {
            return Err(if error.is_unique_violation() {
                StateError::Conflict(format!(
                    "there is a user named {} already; choose another name",
                    new.name
                ))
            } else {
                error
            });
        }
        tx.commit().await?;
        Ok(User {
            id,
            name: new.name,
            role: new.role,
            party: new.party,
            disabled: false,
            created: ctx.at(),
            last_sign_in: None,
            read_until: None,
        })
    }

    /// Changes a user.
    ///
    /// # Errors
    ///
    /// [`StateError::Conflict`] where no enabled admin would be left, [`StateError::NotFound`],
    /// [`StateError::Database`].
    pub async fn change_user(
        &self,
        ctx: &OpContext,
        id: UserId,
        change: UserChange,
    ) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let mut sql = Sql::new(ctx, "UPDATE users SET id = id");
        if let Some(role) = change.role {
            sql.push(", role = ").bind(role.as_str());
        }
        if let Some(disabled) = change.disabled {
            sql.push(", disabled = ").bind(disabled);
        }
        if let Some(time) = change.last_sign_in {
            sql.push(", last_sign_in = ").bind(time);
        }
        if let Some(time) = change.read_until {
            sql.push(", read_until = ").bind(time);
        }
        sql.push(" WHERE tenant = $1 AND id = ").bind(id);
        if sql.run(&mut tx).await? == 0 {
            return Err(StateError::NotFound("the user"));
        }
        if change.role.is_some() || change.disabled.is_some() {
            let sql = Sql::new(
                ctx,
                "SELECT COUNT(*) FROM users WHERE tenant = $1 AND role = 'admin' AND disabled = 0",
            );
            if sql.number(&mut tx).await? == 0 {
                return Err(StateError::Conflict(
                    "no enabled administrator would be left; make another one first".into(),
                ));
            }
        }
        if change.disabled == Some(true) {
            for text in [
                "DELETE FROM sessions WHERE tenant = $1 AND user_id = $2",
                "DELETE FROM sign_in_links WHERE tenant = $1 AND user_id = $2",
            ] {
                Sql::new(ctx, text).with(id).run(&mut tx).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }
}
