//! Tokens of programs: to send events, or to read.

use askama::Template;
use axum::extract::State;

use super::{Tab, tabs};
use crate::{
    app::Shared,
    auth::random_token,
    backend::{ApiScope, ApiToken, NewApiToken, TokenHash},
    html,
    page::{PageError, PageResult, Visitor, redirect},
    params::FormParams,
};

#[derive(Template)]
#[template(path = "settings_tokens.html")]
struct TokensPage {
    csrf: String,
    tabs: Vec<Tab>,
    tokens: Vec<ApiToken>,
    /// A token that was just made, with its name. Shown once.
    made: Option<(String, String)>,
    origin: String,
}

async fn tokens_page(app: &Shared, visitor: &Visitor, made: Option<(String, String)>) -> PageResult {
    let body = TokensPage {
        csrf: visitor.csrf.clone(),
        tabs: tabs(visitor, "/settings/tokens"),
        tokens: app.backend.api_tokens(&visitor.ctx).await?,
        made,
        origin: app.origin_text(),
    };
    visitor.frame(app, "Tokens", "settings").around(&body, &[])
}

pub(crate) async fn tokens(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    tokens_page(&app, &visitor, None).await
}

pub(crate) async fn add_token(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let name = html::cut(form.need("name", "The name")?, 64);
    let scope = ApiScope::from_word(form.need("scope", "The scope")?)
        .ok_or_else(|| PageError::refused("A token's scope is intake or read."))?;
    let days = form.get("days").map(str::parse::<i64>).transpose();
    let days = days.map_err(|_| PageError::refused("Write the days as a number, or leave them empty."))?;
    if days.is_some_and(|days| !(1..=3_650).contains(&days)) {
        return Err(PageError::refused("A token lasts 1 to 3,650 days, or until it is revoked."));
    }
    let token = format!("cvg_{}", random_token()?);
    let new = NewApiToken {
        name: name.clone(),
        scope,
        hash: TokenHash::of(&token),
        expires: days.map(|days| visitor.request.at.plus_secs(days * 86_400)),
    };
    app.backend.create_api_token(&visitor.ctx, new).await?;
    visitor.note(name.clone(), scope.as_str());
    tokens_page(&app, &visitor, Some((name, token))).await
}

pub(crate) async fn revoke_token(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let id = form.need("id", "The token")?;
    app.backend.revoke_api_token(&visitor.ctx, id).await?;
    visitor.note(id, "");
    Ok(redirect("/settings/tokens"))
}
