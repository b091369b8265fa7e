//! Today: what happened since the reader last looked, in plain words, and what waits.

use askama::Template;
use axum::extract::State;
use covigil_model::{
    Alert, AlertState, Severity, Time,
    health::{SourceHealth, SourceState},
};

use crate::{
    app::Shared,
    backend::{AlertFilter, AlertQuery, AlertSort, Assigned, AuditRecord, SystemHealth, UserChange},
    html,
    page::{PageResult, Visitor, redirect},
};

/// A sentence with what it leads to.
struct Line {
    text: String,
    address: String,
    /// `good`, `bad`, `wait` or nothing.
    tone: &'static str,
}

struct SeverityCount {
    severity: Severity,
    count: u64,
    /// Share of the largest count, 0 to 100.
    share: u64,
}

#[derive(Template)]
#[template(path = "today.html")]
struct TodayPage {
    csrf: String,
    since: Time,
    first_time: bool,
    lines: Vec<Line>,
    counts: Vec<SeverityCount>,
    open: u64,
    waiting: Vec<Alert>,
    troubled: Vec<SourceHealth>,
    sources: Vec<SourceHealth>,
    live: usize,
    system: SystemHealth,
    changes: Vec<AuditRecord>,
    failed_rules: usize,
}

fn open_states() -> Vec<AlertState> {
    vec![AlertState::New, AlertState::InProgress]
}

pub(crate) async fn page(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    let ctx = &visitor.ctx;
    let since = visitor.user.read_until.unwrap_or(visitor.user.created);
    let raised = AlertFilter { since: Some(since), ..AlertFilter::default() };
    let raised_all = app.backend.count_alerts(ctx, &raised).await?;
    let raised_bad = app
        .backend
        .count_alerts(
            ctx,
            &AlertFilter { severities: vec![Severity::High, Severity::Critical], ..raised.clone() },
        )
        .await?;
    let raised_closed = app
        .backend
        .count_alerts(ctx, &AlertFilter { states: vec![AlertState::Closed], ..raised.clone() })
        .await?;
    let mut counts = Vec::new();
    for severity in Severity::ALL.into_iter().rev() {
        let filter =
            AlertFilter { states: open_states(), severities: vec![severity], ..AlertFilter::default() };
        counts.push(SeverityCount {
            severity,
            count: app.backend.count_alerts(ctx, &filter).await?,
            share: 0,
        });
    }
    let most = counts.iter().map(|c| c.count).max().unwrap_or(0).max(1);
    for count in &mut counts {
        count.share = (count.count * 100).div_ceil(most);
    }
    let open = counts.iter().map(|c| c.count).sum();
    let unassigned =
        AlertFilter { states: open_states(), assigned: vec![Assigned::Nobody], ..AlertFilter::default() };
    let mine = AlertFilter {
        states: open_states(),
        assigned: vec![Assigned::To(visitor.user.id)],
        ..AlertFilter::default()
    };
    let unassigned_count = app.backend.count_alerts(ctx, &unassigned).await?;
    let mine_count = app.backend.count_alerts(ctx, &mine).await?;
    let query = AlertQuery {
        filter: AlertFilter {
            states: open_states(),
            assigned: vec![Assigned::Nobody, Assigned::To(visitor.user.id)],
            ..AlertFilter::default()
        },
        sort: AlertSort::Risk,
        after: None,
        limit: 6,
    };
    let waiting = app.backend.alerts(ctx, &query).await?.alerts;
    let sources = app.backend.sources(ctx).await?;
    let system = app.backend.system(ctx).await?;
    let changes = app.backend.audit(ctx, 60).await?;
    let changes = changes
        .into_iter()
        .filter(|record| {
            record.entry.done
                && !record.entry.action.starts_with("sign_")
                && record.entry.action != "today.read"
        })
        .take(6)
        .collect();

    let troubled: Vec<SourceHealth> = sources
        .iter()
        .filter(|s| matches!(s.state, SourceState::Silent | SourceState::Unreadable) || s.lost > 0)
        .cloned()
        .collect();
    let live = sources.iter().filter(|s| s.state == SourceState::Live).count();
    let failed_rules = system.rules.failed.len();
    let lines = sentences(
        &since,
        raised_all,
        raised_bad,
        raised_closed,
        unassigned_count,
        mine_count,
        &sources,
        &system,
    );
    let body = TodayPage {
        csrf: visitor.csrf.clone(),
        since,
        first_time: visitor.user.read_until.is_none(),
        lines,
        counts,
        open,
        waiting,
        troubled,
        sources,
        live,
        system,
        changes,
        failed_rules,
    };
    visitor.frame(&app, "Today", "today").around(&body, &[])
}

#[expect(clippy::too_many_arguments, reason = "each is one count of one sentence")]
fn sentences(
    since: &Time,
    raised: u64,
    raised_bad: u64,
    raised_closed: u64,
    unassigned: u64,
    mine: u64,
    sources: &[SourceHealth],
    system: &SystemHealth,
) -> Vec<Line> {
    let since = html::url_encode(&since.to_string());
    let mut lines = Vec::new();
    let mut say =
        |text: String, address: String, tone: &'static str| lines.push(Line { text, address, tone });
    match (raised, raised_bad) {
        (0, _) => say("No alert was raised.".to_owned(), format!("/queue?lane=all&since={since}"), "good"),
        (_, 0) => say(
            format!(
                "{} raised, none of them high or critical.",
                html::counted(&raised, "alert was", "alerts were")
            ),
            format!("/queue?lane=all&since={since}"),
            "",
        ),
        _ => say(
            format!(
                "{} raised, {} high or critical.",
                html::counted(&raised, "alert was", "alerts were"),
                html::counted(&raised_bad, "of them", "of them")
            ),
            format!("/queue?lane=all&severity=critical&severity=high&since={since}"),
            "bad",
        ),
    }
    if raised > 0 {
        say(
            match (raised, raised_closed) {
                (_, 0) => "None of them is closed yet.".to_owned(),
                (raised, closed) if raised == closed => "All of them are handled and closed.".to_owned(),
                (_, 1) => "One of them is handled and closed.".to_owned(),
                (_, closed) => format!("{} of them are handled and closed.", html::count(&closed)),
            },
            format!("/queue?lane=closed&since={since}"),
            if raised_closed == raised { "good" } else { "" },
        );
    }
    if unassigned > 0 {
        say(
            html::counted(&unassigned, "open alert is nobody’s yet.", "open alerts are nobody’s yet."),
            "/queue?lane=open&assignee=nobody".to_owned(),
            "wait",
        );
    }
    if mine > 0 {
        say(
            format!("{} assigned to you.", html::counted(&mine, "open alert is", "open alerts are")),
            "/queue?lane=mine".to_owned(),
            "wait",
        );
    }
    let silent = sources.iter().filter(|s| s.state == SourceState::Silent).count() as u64;
    let unreadable = sources.iter().filter(|s| s.state == SourceState::Unreadable).count() as u64;
    let lost: u64 = sources.iter().map(|s| s.lost).sum();
    if silent > 0 {
        say(
            html::counted(
                &silent,
                "source is silent: what it would show cannot be detected.",
                "sources are silent: what they would show cannot be detected.",
            ),
            "/health".to_owned(),
            "bad",
        );
    }
    if unreadable > 0 {
        say(
            format!(
                "{} be read; Health says why and what mends it.",
                html::counted(&unreadable, "source cannot", "sources cannot")
            ),
            "/health".to_owned(),
            "bad",
        );
    }
    if lost > 0 {
        say(
            html::counted(&lost, "record was lost on its way in.", "records were lost on their way in."),
            "/health".to_owned(),
            "bad",
        );
    }
    if silent == 0 && unreadable == 0 && lost == 0 && !sources.is_empty() {
        say(
            format!("All {} send as usual.", html::counted(&(sources.len() as u64), "source", "sources")),
            "/health".to_owned(),
            "good",
        );
    }
    let failed = system.rules.failed.len() as u64;
    if failed > 0 {
        say(
            format!("{} not run.", html::counted(&failed, "rule does", "rules do")),
            "/rules?failed=1".to_owned(),
            "wait",
        );
    }
    lines
}

/// The reader has read the page until the time that the page was made.
pub(crate) async fn read(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    let change = UserChange { read_until: Some(visitor.request.at), ..UserChange::default() };
    app.backend.change_user(&visitor.ctx, visitor.user.id, change).await?;
    visitor.note("today", "");
    Ok(redirect("/"))
}
