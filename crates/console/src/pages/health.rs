//! Health: sources, store, rules, disks and outputs, and what each of them blinds.

use askama::Template;
use axum::extract::State;
use covigil_model::health::{SourceHealth, SourceState};

use crate::{
    app::Shared,
    backend::SystemHealth,
    html,
    page::{PageResult, Visitor, render},
};

#[derive(Template)]
#[template(path = "health.html")]
struct HealthPage {
    /// Rendered, and so escaped.
    now: String,
}

#[derive(Template)]
#[template(path = "health_now.html")]
struct HealthNow {
    blind: Vec<SourceHealth>,
    sources: Vec<SourceHealth>,
    system: SystemHealth,
    live: usize,
    failures: u64,
    lost: u64,
}

async fn health(app: &Shared, visitor: &Visitor) -> Result<HealthNow, crate::page::PageError> {
    let sources = app.backend.sources(&visitor.ctx).await?;
    let system = app.backend.system(&visitor.ctx).await?;
    let (blind, sources): (Vec<_>, Vec<_>) =
        sources.into_iter().partition(|s| matches!(s.state, SourceState::Unreadable | SourceState::Silent));
    Ok(HealthNow {
        live: sources.iter().filter(|s| s.state == SourceState::Live).count(),
        failures: sources.iter().chain(&blind).map(|s| s.parse_failures).sum(),
        lost: sources.iter().chain(&blind).map(|s| s.lost).sum(),
        blind,
        sources,
        system,
    })
}

pub(crate) async fn page(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    let now = health(&app, &visitor).await?.render()?;
    visitor.frame(&app, "Health", "health").around(&HealthPage { now }, &[])
}

/// The part that is renewed while the page is open.
pub(crate) async fn now(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    render(&health(&app, &visitor).await?)
}
