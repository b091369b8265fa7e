//! The rules, to read.

use askama::Template;
use axum::extract::State;
use covigil_model::Severity;

use crate::{
    app::Shared,
    backend::{RuleDetail, RuleQuery, RuleState, RuleSummary},
    html,
    page::{PageError, PageResult, Visitor},
    params::Params,
};

const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    rules: Vec<RuleSummary>,
    total: u64,
    text: String,
    level: String,
    levels: [Severity; 5],
    failed_only: bool,
    failed: usize,
    first: usize,
    previous: Option<String>,
    next: Option<String>,
}

pub(crate) async fn list(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let offset = params.get("offset").and_then(|o| o.parse().ok()).unwrap_or(0usize).min(10_000_000);
    let query = RuleQuery {
        text: params.get("q").unwrap_or("").to_owned(),
        level: params.get("level").and_then(Severity::from_word),
        failed_only: params.has("failed", "1"),
        offset,
        limit: PAGE,
    };
    let page = app.backend.rules(&visitor.ctx, &query).await?;
    let failed = app.backend.system(&visitor.ctx).await?.rules.failed.len();
    let at = |offset: usize| format!("/rules?{}", params.with("offset", &offset.to_string()).encode());
    let body = RulesPage {
        previous: (offset > 0).then(|| at(offset.saturating_sub(PAGE))),
        next: ((offset + page.rules.len()) as u64 != page.total && !page.rules.is_empty())
            .then(|| at(offset + PAGE)),
        rules: page.rules,
        total: page.total,
        text: query.text,
        level: query.level.map_or_else(String::new, |l| l.as_str().to_owned()),
        levels: Severity::ALL,
        failed_only: query.failed_only,
        failed,
        first: offset,
    };
    visitor.frame(&app, "Rules", "rules").around(&body, &[])
}

#[derive(Template)]
#[template(path = "rule.html")]
struct RulePage {
    rule: RuleDetail,
}

pub(crate) async fn one(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let id = params.need("id", "The rule's id")?;
    let rule = app.backend.rule(&visitor.ctx, id).await?;
    let rule = rule.ok_or_else(|| PageError::not_found("No rule has this id (any more)."))?;
    let title = html::cut(&rule.rule.title, 80);
    visitor.frame(&app, &title, "rules").around(&RulePage { rule }, &[])
}
