//! One entity: what the customer says of it, and its alerts.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::IntoResponse,
};
use covigil_model::{Alert, EntityKind, EntityRef, Role};

use super::queue::safe_back;
use crate::{
    app::Shared,
    backend::{AlertFilter, AlertQuery, AlertSort, Criticality, EntityChange, EntityContext},
    html,
    page::{PageError, PageResult, Visitor, redirect, with_toast},
    params::{FormParams, Params},
};

#[derive(Template)]
#[template(path = "entity.html")]
struct EntityPage {
    csrf: String,
    analyst: bool,
    context: EntityContext,
    alerts: Vec<Alert>,
    criticalities: [Criticality; 4],
    pivot: String,
}

/// The column under which search finds an entity of a kind.
pub(crate) const fn column_of(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Host => "device.hostname",
        EntityKind::User => "user.name",
        EntityKind::Address => "src_endpoint.ip",
        EntityKind::File => "file.path",
        EntityKind::Domain => "query.hostname",
    }
}

fn entity_of(kind: &str, params: &Params) -> Result<EntityRef, PageError> {
    let kind = EntityKind::from_word(kind)
        .ok_or_else(|| PageError::not_found("There is no such kind of entity."))?;
    let name = params.exact("name");
    if name.is_empty() || name.len() > 4_096 {
        return Err(PageError::not_found("The entity's name is missing."));
    }
    Ok(EntityRef { kind, name: name.to_owned() })
}

pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(kind): Path<String>,
    params: Params,
) -> PageResult {
    let entity = entity_of(&kind, &params)?;
    let context = app.backend.entity(&visitor.ctx, &entity).await?;
    let query = AlertQuery {
        filter: AlertFilter { entities: vec![entity.clone()], ..AlertFilter::default() },
        sort: AlertSort::Newest,
        after: None,
        limit: 50,
    };
    let alerts = app.backend.alerts(&visitor.ctx, &query).await?.alerts;
    let title = html::cut(&entity.name, 60);
    let body = EntityPage {
        csrf: visitor.csrf.clone(),
        analyst: visitor.may(Role::Analyst),
        context,
        alerts,
        criticalities: Criticality::ALL,
        pivot: format!(
            "/search/pivot?mode=only&field={}&value={}",
            column_of(entity.kind),
            html::url_encode(&entity.name)
        ),
    };
    visitor.frame(&app, &title, "queue").around(&body, &[])
}

pub(crate) async fn change(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(kind): Path<String>,
    FormParams(form): FormParams,
) -> PageResult {
    let entity = entity_of(&kind, &form)?;
    let criticality = Criticality::from_word(form.need("criticality", "The criticality")?)
        .ok_or_else(|| PageError::refused("Criticality is low, normal, high or critical."))?;
    let change = EntityChange { criticality, remark: html::cut(form.exact("remark").trim(), 2_000) };
    app.backend.change_entity(&visitor.ctx, &entity, &change).await?;
    visitor.note(
        format!("{} {}", entity.kind.as_str(), entity.name),
        format!("criticality {}", criticality.as_str()),
    );
    let response = if visitor.request.fragment {
        axum::http::StatusCode::NO_CONTENT.into_response()
    } else if form.get("back").is_some() {
        redirect(&safe_back(&form))
    } else {
        redirect(&format!("/entities/{}?name={}", entity.kind.as_str(), html::url_encode(&entity.name)))
    };
    Ok(with_toast(response, "Context saved. The risk of its open alerts follows."))
}
