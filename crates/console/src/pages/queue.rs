//! The queue: lanes, facets, the table, and acting on one alert or on all that a filter admits.

use askama::Template;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use covigil_model::{
    Alert, AlertState, Disposition, EntityKind, EntityRef, OpContext, Severity, Time, UserId,
};

use crate::{
    app::Shared,
    backend::{
        AlertChange, AlertField, AlertFilter, AlertQuery, AlertSort, AlertTarget, Assigned, Changed,
        FacetCount, User,
    },
    html,
    page::{PageError, PageResult, Visitor, redirect, render, with_toast},
    params::{FormParams, Params},
};

const PAGE: usize = 100;

struct Lane {
    word: &'static str,
    label: &'static str,
    count: u64,
    address: String,
}

const LANES: [(&str, &str); 5] =
    [("open", "Open"), ("new", "New"), ("mine", "Mine"), ("closed", "Closed"), ("all", "All")];

/// Reads `kind:name`.
fn entity_from(text: &str) -> Option<EntityRef> {
    let (kind, name) = text.split_once(':')?;
    (!name.is_empty()).then_some(())?;
    Some(EntityRef { kind: EntityKind::from_word(kind)?, name: name.to_owned() })
}

/// The filter that an address means, for a reader.
pub(crate) fn filter_of(params: &Params, me: UserId) -> AlertFilter {
    let mut filter = AlertFilter {
        states: params.all("state").filter_map(AlertState::from_word).collect(),
        dispositions: params.all("disposition").filter_map(Disposition::from_word).collect(),
        severities: params.all("severity").filter_map(Severity::from_word).collect(),
        assigned: params
            .all("assignee")
            .filter_map(|who| match who {
                "nobody" => Some(Assigned::Nobody),
                "me" => Some(Assigned::To(me)),
                id => id.parse().ok().map(Assigned::To),
            })
            .collect(),
        rules: params.all("rule").map(str::to_owned).collect(),
        techniques: params.all("technique").map(str::to_ascii_uppercase).collect(),
        solutions: params.all("solution").map(str::to_owned).collect(),
        entities: params.all("entity").filter_map(entity_from).collect(),
        text: params.get("q").map(str::to_owned),
        since: params.time("since"),
        until: params.time("until"),
    };
    match params.get("lane").unwrap_or("open") {
        "new" => filter.states = vec![AlertState::New],
        "mine" => {
            filter.states = vec![AlertState::New, AlertState::InProgress];
            filter.assigned = vec![Assigned::To(me)];
        }
        "closed" => filter.states = vec![AlertState::Closed],
        "all" => {}
        _ if filter.states.is_empty() => filter.states = vec![AlertState::New, AlertState::InProgress],
        _ => {}
    }
    filter
}

struct FacetValue {
    label: String,
    count: u64,
    on: bool,
    address: String,
    severity: Option<Severity>,
}

struct FacetView {
    title: &'static str,
    values: Vec<FacetValue>,
}

struct Chip {
    label: String,
    address: String,
}

struct SortChoice {
    word: &'static str,
    label: &'static str,
    on: bool,
}

struct Row {
    alert: Alert,
    address: String,
    mine: bool,
}

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    analyst: bool,
    lanes: Vec<Lane>,
    lane: String,
    text: String,
    sorts: Vec<SortChoice>,
    hidden: Vec<(String, String)>,
    chips: Vec<Chip>,
    facets: Vec<FacetView>,
    rows: Vec<Row>,
    total: u64,
    shown: String,
    next: Option<String>,
    first_page: Option<String>,
    /// The filter as a query string, for scripts and bulk actions.
    filter: String,
    seen: Time,
    /// Alerts of this filter raised since `seen` that the page may show already.
    recent: u64,
    back: String,
    filtered: bool,
}

const FACET_TITLES: [(AlertField, &str, &str); 6] = [
    (AlertField::Severity, "Severity", "severity"),
    (AlertField::State, "State", "state"),
    (AlertField::Assignee, "Assignee", "assignee"),
    (AlertField::Rule, "Rule", "rule"),
    (AlertField::Entity, "Entity", "entity"),
    (AlertField::Technique, "Technique", "technique"),
];

fn address(params: &Params) -> String {
    let query = params.encode();
    if query.is_empty() { "/queue".to_owned() } else { format!("/queue?{query}") }
}

fn facet_value(params: &Params, name: &str, value: FacetCount) -> FacetValue {
    let word = if name == "assignee" && value.value.is_empty() { "nobody".to_owned() } else { value.value };
    let on = params.has(name, &word);
    let changed = if on { params.without_value(name, &word) } else { params.and(name, &word) };
    FacetValue {
        label: if word == "nobody" && name == "assignee" { "nobody".to_owned() } else { value.label },
        count: value.count,
        on,
        address: address(&changed),
        severity: if name == "severity" { Severity::from_word(&word) } else { None },
    }
}

const fn sort_label(sort: AlertSort) -> &'static str {
    match sort {
        AlertSort::Newest => "Newest first",
        AlertSort::Oldest => "Oldest first",
        AlertSort::Severity => "Severity",
        AlertSort::Risk => "Risk",
        AlertSort::LastSeen => "Last activity",
        AlertSort::Count => "Most findings",
    }
}

pub(crate) async fn page(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let ctx = &visitor.ctx;
    let me = visitor.user.id;
    let filter = filter_of(&params, me);
    let lane = params.get("lane").unwrap_or("open").to_owned();
    let sort = params.get("sort").and_then(AlertSort::from_word).unwrap_or_default();
    let query = AlertQuery { filter, sort, after: params.get("after").map(str::to_owned), limit: PAGE };
    let seen = visitor.request.at.plus_secs(-OVERLAP_SECS);
    let lane_filters = LANES.map(|(word, _)| filter_of(&Params::default().with("lane", word), me));
    let recent = news_filter(&query.filter, seen);
    // Counted before the rows are read: what comes in between is told of once too often, not never.
    let recent = app.backend.count_alerts(ctx, &recent).await?;
    let (found, facets, counts) = futures::try_join!(
        app.backend.alerts(ctx, &query),
        app.backend.alert_facets(ctx, &query.filter),
        futures::future::try_join_all(
            lane_filters.iter().map(|filter| app.backend.count_alerts(ctx, filter))
        ),
    )?;

    let stem = params.without("after").without("page");
    let lanes = LANES
        .into_iter()
        .zip(counts)
        .map(|((word, label), count)| Lane {
            word,
            label,
            count,
            address: address(&Params::default().with("lane", word)),
        })
        .collect();
    let number = params.get("page").and_then(|p| p.parse::<u64>().ok()).unwrap_or(1).clamp(1, 1_000_000);
    let flyout = stem.encode();
    let rows: Vec<Row> = found
        .alerts
        .into_iter()
        .map(|alert| Row {
            address: format!("/alerts/{}?{flyout}", alert.id),
            mine: alert.assignee == Some(me),
            alert,
        })
        .collect();
    let body = QueuePage {
        analyst: visitor.may(covigil_model::Role::Analyst),
        lanes,
        text: params.get("q").unwrap_or("").to_owned(),
        sorts: AlertSort::ALL
            .into_iter()
            .map(|s| SortChoice { word: s.as_str(), label: sort_label(s), on: s == sort })
            .collect(),
        hidden: stem.without("q").without("sort").pairs().to_vec(),
        chips: chips(&stem, &facets_labels(&facets)),
        facets: facet_views(&stem, &lane, facets),
        lane,
        total: found.total,
        shown: format!(
            "{}–{}",
            html::count(&((number - 1) * PAGE as u64 + 1)),
            html::count(&((number - 1) * PAGE as u64 + rows.len() as u64))
        ),
        next: found
            .next
            .map(|after| address(&stem.with("after", &after).with("page", &(number + 1).to_string()))),
        first_page: params.get("after").map(|_| address(&stem)),
        filter: stem.without("sort").encode(),
        seen,
        recent,
        back: address(&params),
        filtered: stem.pairs().iter().any(|(name, _)| !matches!(name.as_str(), "lane" | "sort")),
        rows,
    };
    visitor.frame(&app, "Queue", "queue").around(&body, &[])
}

fn facets_labels(facets: &[crate::backend::AlertFacet]) -> Vec<(String, String)> {
    facets.iter().flat_map(|f| f.values.iter().map(|v| (v.value.clone(), v.label.clone()))).collect()
}

fn facet_views(stem: &Params, lane: &str, facets: Vec<crate::backend::AlertFacet>) -> Vec<FacetView> {
    let mut views = Vec::new();
    for (field, title, name) in FACET_TITLES {
        if (field == AlertField::State && lane != "all") || (field == AlertField::Assignee && lane == "mine")
        {
            continue;
        }
        let Some(facet) = facets.iter().find(|facet| facet.field == field) else { continue };
        let values = facet.values.iter().cloned().map(|value| facet_value(stem, name, value)).collect();
        views.push(FacetView { title, values });
    }
    views
}

/// What narrows the lane, each with the address that takes it away.
fn chips(stem: &Params, labels: &[(String, String)]) -> Vec<Chip> {
    stem.pairs()
        .iter()
        .filter(|(name, value)| !matches!(name.as_str(), "lane" | "sort") && !value.is_empty())
        .map(|(name, value)| {
            let shown = match name.as_str() {
                "q" => format!("contains “{value}”"),
                "since" | "until" => {
                    let time = Time::parse(value).map_or_else(|| value.clone(), |time| html::utc(&time));
                    format!("raised {name} {time}")
                }
                _ => {
                    let label =
                        labels.iter().find(|(v, _)| v == value).map_or(value.as_str(), |(_, l)| l.as_str());
                    format!("{name}: {label}")
                }
            };
            Chip { label: html::cut(&shown, 80), address: address(&stem.without_value(name, value)) }
        })
        .collect()
}

/// An alert carries the time at which it was raised, and appears a little later; so long at most.
const OVERLAP_SECS: i64 = 10;

fn news_filter(filter: &AlertFilter, seen: Time) -> AlertFilter {
    AlertFilter { since: Some(filter.since.map_or(seen, |since| since.max(seen))), ..filter.clone() }
}

/// How many alerts of this filter were raised since the page was made.
pub(crate) async fn news(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let seen = params.time("seen").unwrap_or(visitor.request.at);
    let known: u64 = params.get("recent").and_then(|n| n.parse().ok()).unwrap_or(0);
    let filter = news_filter(&filter_of(&params, visitor.user.id), seen);
    let count = app.backend.count_alerts(&visitor.ctx, &filter).await?;
    Ok(Json(serde_json::json!({ "new": count.saturating_sub(known) })).into_response())
}

/// What an action's word means.
fn change_of(word: &str, me: UserId) -> Result<AlertChange, PageError> {
    let change = AlertChange::default();
    Ok(match word {
        "take" => AlertChange { assignee: Some(Some(me)), ..change },
        "release" => AlertChange { assignee: Some(None), ..change },
        "reopen" => AlertChange { state: Some(AlertState::InProgress), ..change },
        word => match (Disposition::from_word(word), word.strip_prefix("assign:").map(str::parse)) {
            (Some(how), _) => {
                AlertChange { state: Some(AlertState::Closed), disposition: Some(how), ..change }
            }
            (None, Some(Ok(user))) => AlertChange { assignee: Some(Some(user)), ..change },
            _ => return Err(PageError::refused("There is no such action on alerts.")),
        },
    })
}

/// An action for people: before (`Close 3 alerts as benign`) and after (`closed as benign`).
fn words_of(word: &str, users: &[User], count: u64) -> (String, String) {
    let alerts = html::counted(&count, "alert", "alerts");
    match word {
        "take" => (format!("Assign {alerts} to you"), "assigned to you".to_owned()),
        "release" => (format!("Release {alerts}"), "released".to_owned()),
        "reopen" => (format!("Reopen {alerts}"), "reopened".to_owned()),
        word => match Disposition::from_word(word) {
            Some(how) => {
                let how = html::disposition(&how);
                (format!("Close {alerts} as {how}"), format!("closed as {how}"))
            }
            None => {
                let id = word.strip_prefix("assign:").unwrap_or("");
                let name = users
                    .iter()
                    .find(|user| user.id.to_string() == id)
                    .map_or("someone", |u| u.name.as_str());
                (format!("Assign {alerts} to {name}"), format!("assigned to {name}"))
            }
        },
    }
}

#[derive(Template)]
#[template(path = "queue_confirm.html")]
struct Confirm {
    csrf: String,
    question: String,
    count: u64,
    tenant: String,
    word: String,
    ids: Vec<String>,
    filter: Option<String>,
    back: String,
    closes: bool,
    examples: Vec<Alert>,
}

/// The question before a bulk action, with the exact count.
pub(crate) async fn confirm(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let word = params.need("do", "The action")?.to_owned();
    let change = change_of(&word, visitor.user.id)?;
    let users = app.backend.users(&visitor.ctx).await?;
    let ids: Vec<String> = params.all("id").map(str::to_owned).collect();
    let filter = params.get("filter").map(str::to_owned);
    let (count, filter, examples) = match filter {
        // What was raised after the question was asked is not answered by it.
        Some(filter) => {
            let bounded = Params::parse(filter.as_bytes());
            let bounded = match bounded.time("until") {
                Some(until) if until < visitor.request.at => bounded,
                _ => bounded.with("until", &visitor.request.at.to_string()),
            };
            let query = AlertQuery {
                filter: filter_of(&bounded, visitor.user.id),
                limit: 3,
                ..AlertQuery::default()
            };
            let page = app.backend.alerts(&visitor.ctx, &query).await?;
            (page.total, Some(bounded.encode()), page.alerts)
        }
        None => (ids.len() as u64, None, Vec::new()),
    };
    render(&Confirm {
        csrf: visitor.csrf.clone(),
        question: words_of(&word, &users, count).0,
        count,
        tenant: app.backend.seat().tenant_name,
        word,
        ids,
        filter,
        back: safe_back(&params),
        closes: change.state == Some(AlertState::Closed),
        examples,
    })
}

/// Only the queue and alerts.
pub(crate) fn safe_back(params: &Params) -> String {
    let back = params.get("back").unwrap_or("/queue");
    let inside = back == "/queue" || ["/queue?", "/alerts/"].iter().any(|start| back.starts_with(start));
    if inside { back.to_owned() } else { "/queue".to_owned() }
}

async fn apply(
    app: &Shared,
    ctx: &OpContext,
    me: UserId,
    form: &Params,
    change: &AlertChange,
) -> Result<Changed, PageError> {
    let target = match form.get("filter") {
        Some(filter) => AlertTarget::Query {
            filter: filter_of(&Params::parse(filter.as_bytes()), me),
            expected: form
                .get("expected")
                .and_then(|n| n.parse().ok())
                .ok_or_else(|| PageError::refused("The number of alerts is missing."))?,
        },
        None => {
            let ids: Result<Vec<_>, _> = form.all("id").map(str::parse).collect();
            let ids = ids.map_err(|e| PageError::refused(format!("{e}.")))?;
            if ids.is_empty() {
                return Err(PageError::refused(
                    "No alert is selected. Select with x, or all by the box at the top.",
                ));
            }
            AlertTarget::Ids(ids)
        }
    };
    Ok(app.backend.change_alerts(ctx, &target, change).await?)
}

pub(crate) async fn act(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let word = form.need("do", "The action")?.to_owned();
    let mut change = change_of(&word, visitor.user.id)?;
    change.note = form.get("note").map(|note| html::cut(note, 10_000));
    let users = app.backend.users(&visitor.ctx).await?;
    let changed = apply(&app, &visitor.ctx, visitor.user.id, &form, &change).await?;
    let target = match form.get("filter") {
        Some(filter) => format!("all of {filter}"),
        None => form.all("id").take(20).collect::<Vec<_>>().join(" "),
    };
    let (_, done) = words_of(&word, &users, changed.changed);
    let summary = match (changed.matched, changed.changed) {
        (1, 1) => format!("1 alert {done}."),
        (matched, changed) => {
            format!("{} of {} alerts {done}.", html::count(&changed), html::count(&matched))
        }
    };
    visitor.note(target, summary.clone());
    let response: Response = if visitor.request.fragment {
        StatusCode::NO_CONTENT.into_response()
    } else {
        redirect(&safe_back(&form))
    };
    Ok(with_toast(response, &summary))
}
