//! People who can sign in.

use askama::Template;
use axum::extract::State;
use covigil_model::{Role, UserId};

use super::{Tab, tabs};
use crate::{
    app::{Shared, issue_link},
    backend::{NewUser, User, UserChange},
    html,
    page::{PageError, PageResult, Visitor, redirect},
    params::{FormParams, Params},
};

/// A link for another person lasts a day.
const LINK_LASTS: std::time::Duration = std::time::Duration::from_secs(86_400);

const ROLES: [Role; 3] = [Role::Viewer, Role::Analyst, Role::Admin];

#[derive(Template)]
#[template(path = "settings_people.html")]
struct PeoplePage {
    csrf: String,
    tabs: Vec<Tab>,
    people: Vec<User>,
    roles: [Role; 3],
    me: UserId,
    /// A link that was just made, with whom it is for. Shown once.
    link: Option<(String, String)>,
}

async fn people_page(app: &Shared, visitor: &Visitor, link: Option<(String, String)>) -> PageResult {
    let body = PeoplePage {
        csrf: visitor.csrf.clone(),
        tabs: tabs(visitor, "/settings/people"),
        people: app.backend.users(&visitor.ctx).await?,
        roles: ROLES,
        me: visitor.user.id,
        link,
    };
    visitor.frame(app, "People", "settings").around(&body, &[])
}

pub(crate) async fn people(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    people_page(&app, &visitor, None).await
}

fn role_of(form: &Params) -> Result<Role, PageError> {
    Role::from_word(form.need("role", "The role")?)
        .ok_or_else(|| PageError::refused("A role is viewer, analyst or admin."))
}

fn user_of(form: &Params) -> Result<UserId, PageError> {
    form.need("id", "The person")?.parse().map_err(|e| PageError::refused(format!("{e}.")))
}

async fn known(app: &Shared, visitor: &Visitor, id: UserId) -> Result<User, PageError> {
    let user = app.backend.user(&visitor.ctx, id).await?;
    user.ok_or_else(|| PageError::not_found("There is no such person (any more)."))
}

async fn link_for(app: &Shared, visitor: &Visitor, user: &User) -> PageResult {
    let path = issue_link(app.backend.as_ref(), &visitor.ctx, user.id, LINK_LASTS).await?;
    let link = format!("{}{path}", app.origin_text());
    people_page(app, visitor, Some((user.name.clone(), link))).await
}

pub(crate) async fn add_person(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let name = form.need("name", "The name")?;
    if name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(PageError::refused("A name has 1 to 64 characters, none of them control characters."));
    }
    let new = NewUser { name: name.to_owned(), role: role_of(&form)?, party: visitor.user.party };
    let user = app.backend.create_user(&visitor.ctx, new).await?;
    visitor.note(user.name.clone(), user.role.as_str());
    link_for(&app, &visitor, &user).await
}

pub(crate) async fn change_person(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let user = known(&app, &visitor, user_of(&form)?).await?;
    let role = role_of(&form)?;
    let disabled = form.has("disabled", "yes");
    let change = UserChange { role: Some(role), disabled: Some(disabled), ..UserChange::default() };
    app.backend.change_user(&visitor.ctx, user.id, change).await?;
    if disabled {
        app.backend.end_sessions(&visitor.ctx, user.id, None).await?;
    }
    let state = if disabled { "disabled" } else { "enabled" };
    visitor.note(user.name, format!("role {}, {state}", role.as_str()));
    Ok(redirect("/settings/people"))
}

pub(crate) async fn link_person(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let user = known(&app, &visitor, user_of(&form)?).await?;
    if user.disabled {
        return Err(PageError::refused(format!("{} is disabled. Enable first.", user.name)));
    }
    visitor.note(user.name.clone(), "");
    link_for(&app, &visitor, &user).await
}
