//! Findings become alerts; people work them.

use covigil_model::{AlertState, Disposition, EntityKind, OpContext, Party, Role, Severity, TenantId};
use covigil_store::state::{
    AlertChange, AlertField, AlertFilter, AlertQuery, AlertSort, AlertTarget, Assigned, Changed, Criticality,
    EntityChange, NewUser, State, StateError,
};

use super::{at, entity, finding, open, person, system, tenant};

async fn user(state: &State, name: &str) -> covigil_model::UserId {
    let new = NewUser { name: name.into(), role: Role::Admin, party: Party::Customer };
    state.create_user(&system(0), new).await.unwrap().id
}

fn close() -> AlertChange {
    AlertChange {
        state: Some(AlertState::Closed),
        disposition: Some(Disposition::FalsePositive),
        ..AlertChange::default()
    }
}

#[tokio::test]
async fn findings_of_a_group_are_one_alert_and_each_counts_once() {
    let (_dir, state) = open().await;
    let findings: Vec<_> = (0..5).map(|n| finding("r", Severity::High, n, "web1", n as i64)).collect();
    let changes = state.record_findings(&system(10), &findings[..3]).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert!(changes[0].new);
    assert_eq!((changes[0].added, changes[0].alert.count), (3, 3));
    // A replay changes nothing; what is new in it is added.
    assert_eq!(state.record_findings(&system(20), &findings[..3]).await.unwrap(), vec![]);
    let changes = state.record_findings(&system(30), &findings).await.unwrap();
    assert!(!changes[0].new);
    let alert = &changes[0].alert;
    assert_eq!((changes[0].added, alert.count), (2, 5));
    assert_eq!((alert.first_seen, alert.last_seen, alert.raised), (at(0), at(4), at(10)));
    assert_eq!((alert.severity, alert.risk, alert.state), (Severity::High, 75, AlertState::New));
    assert_eq!(alert.entities.len(), 2);
    assert_eq!(alert.summary.as_deref(), Some("4 events"));
    assert_eq!(state.alert(&system(40), alert.id).await.unwrap().as_ref(), Some(alert));
    let mut kept = state.findings(&system(40), alert.id, 10).await.unwrap();
    kept.reverse();
    assert_eq!(kept, findings);
}

#[tokio::test]
async fn another_group_a_closed_alert_and_a_day_of_silence_begin_a_new_alert() {
    let (_dir, state) = open().await;
    let first = finding("r", Severity::Low, 1, "web1", 0);
    let other = finding("r", Severity::Low, 2, "web2", 0);
    let changes = state.record_findings(&system(1), &[first, other]).await.unwrap();
    assert_eq!(changes.len(), 2);
    let day = 24 * 3_600;
    let within = finding("r", Severity::Low, 3, "web1", day);
    assert!(!state.record_findings(&system(2), &[within]).await.unwrap()[0].new);
    let after = finding("r", Severity::Low, 4, "web1", 2 * day + 1);
    let before = finding("r", Severity::Low, 5, "web1", -day - 1);
    assert!(state.record_findings(&system(3), &[after]).await.unwrap()[0].new);
    assert!(state.record_findings(&system(4), &[before]).await.unwrap()[0].new);
    let ids = AlertTarget::Ids(vec![changes[1].alert.id]);
    state.change_alerts(&system(5), &ids, &close()).await.unwrap();
    let again = finding("r", Severity::Low, 6, "web2", 1);
    let raised = state.record_findings(&system(6), &[again]).await.unwrap();
    assert!(raised[0].new);
    assert_ne!(raised[0].alert.id, changes[1].alert.id);
}

#[tokio::test]
async fn a_flood_keeps_the_count_exact_and_the_store_small() {
    let (_dir, state) = open().await;
    let flood: Vec<_> = (0..2_500).map(|n| finding("r", Severity::Low, n, "web1", 0)).collect();
    for batch in flood.chunks(500) {
        state.record_findings(&system(1), batch).await.unwrap();
    }
    assert_eq!(state.record_findings(&system(2), &flood).await.unwrap(), vec![]);
    let page = state.alerts(&system(3), &AlertQuery { limit: 10, ..AlertQuery::default() }).await.unwrap();
    assert_eq!((page.total, page.alerts[0].count), (1, 2_500));
    assert_eq!(state.findings(&system(3), page.alerts[0].id, 5_000).await.unwrap().len(), 1_000);
}

#[tokio::test]
async fn the_queue_filters_sorts_pages_and_counts() {
    let (_dir, state) = open().await;
    let ana = user(&state, "ana").await;
    let levels = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
    for n in 0..40u64 {
        let one = finding(&format!("r{}", n % 3), levels[n as usize % 4], n, &format!("h{n:02}"), n as i64);
        state.record_findings(&system(n as i64), &[one]).await.unwrap();
    }
    let query = AlertQuery { sort: AlertSort::Severity, limit: 7, ..AlertQuery::default() };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = state.alerts(&system(50), &AlertQuery { after, ..query.clone() }).await.unwrap();
        assert_eq!(page.total, 40);
        seen.extend(page.alerts);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 40);
    assert!(seen.is_sorted_by(|a, b| (a.severity, a.raised) >= (b.severity, b.raised)));
    let wrong = AlertQuery { after: Some("1.2".into()), ..query };
    assert!(matches!(state.alerts(&system(50), &wrong).await, Err(StateError::Invalid(_))));

    state
        .change_alerts(
            &person(ana, "ana", 60),
            &AlertTarget::Ids(seen[..5].iter().map(|a| a.id).collect()),
            &AlertChange { state: Some(AlertState::InProgress), ..AlertChange::default() },
        )
        .await
        .unwrap();
    let total = async |filter: AlertFilter| state.count_alerts(&system(70), &filter).await.unwrap();
    let none = AlertFilter::default;
    assert_eq!(
        total(AlertFilter { severities: vec![Severity::Critical, Severity::Low], ..none() }).await,
        20
    );
    assert_eq!(total(AlertFilter { rules: vec!["r0".into()], ..none() }).await, 14);
    assert_eq!(total(AlertFilter { states: vec![AlertState::InProgress], ..none() }).await, 5);
    assert_eq!(total(AlertFilter { states: vec![AlertState::Closed], ..none() }).await, 0);
    assert_eq!(total(AlertFilter { assigned: vec![Assigned::To(ana)], ..none() }).await, 5);
    assert_eq!(total(AlertFilter { assigned: vec![Assigned::Nobody], ..none() }).await, 35);
    assert_eq!(
        total(AlertFilter { assigned: vec![Assigned::Nobody, Assigned::To(ana)], ..none() }).await,
        40
    );
    assert_eq!(total(AlertFilter { techniques: vec!["T1110.001".into()], ..none() }).await, 40);
    assert_eq!(total(AlertFilter { text: Some("H0".into()), ..none() }).await, 10);
    assert_eq!(total(AlertFilter { text: Some("%".into()), ..none() }).await, 0);
    assert_eq!(total(AlertFilter { since: Some(at(10)), until: Some(at(19)), ..none() }).await, 10);
    let hosts = vec![entity(EntityKind::Host, "h01"), entity(EntityKind::Host, "h02")];
    assert_eq!(total(AlertFilter { entities: hosts.clone(), ..none() }).await, 2);

    let filter =
        AlertFilter { entities: hosts, states: vec![AlertState::New, AlertState::InProgress], ..none() };
    let facets = state.alert_facets(&system(70), &filter, &AlertField::ALL).await.unwrap();
    let counts = |field: AlertField| -> Vec<(String, u64)> {
        let facet = facets.iter().find(|facet| facet.field == field).unwrap();
        facet.values.iter().map(|v| (v.label.clone(), v.count)).collect()
    };
    // The hosts' own condition is left out of the hosts' facet, and of no other.
    assert_eq!(counts(AlertField::Host).len(), 12);
    assert_eq!(counts(AlertField::User), vec![("ana".to_owned(), 2)]);
    assert_eq!(counts(AlertField::Rule), vec![("Rule r1".to_owned(), 1), ("Rule r2".to_owned(), 1)]);
    assert_eq!(counts(AlertField::Severity).iter().map(|v| v.1).sum::<u64>(), 2);
    let facets = state.alert_facets(&system(70), &none(), &[AlertField::Assignee]).await.unwrap();
    assert_eq!((facets[0].values[0].value.as_str(), facets[0].values[0].count), ("", 35));
    assert_eq!((facets[0].values[1].label.as_str(), facets[0].values[1].count), ("ana", 5));
}

#[tokio::test]
async fn acting_assigns_closing_needs_a_disposition_and_all_is_in_the_history() {
    let (_dir, state) = open().await;
    let (ana, bo) = (user(&state, "ana").await, user(&state, "bo").await);
    let raised = state.record_findings(&system(1), &[finding("r", Severity::High, 1, "h", 0)]).await.unwrap();
    let id = raised[0].alert.id;
    let one = AlertTarget::Ids(vec![id]);
    let no_reason = AlertChange { state: Some(AlertState::Closed), ..AlertChange::default() };
    let refused = state.change_alerts(&person(ana, "ana", 2), &one, &no_reason).await;
    assert!(matches!(refused, Err(StateError::Invalid(_))));

    let note = AlertChange { note: Some("looks odd".into()), ..close() };
    let done = state.change_alerts(&person(ana, "ana", 3), &one, &note).await.unwrap();
    assert_eq!(done, Changed { matched: 1, changed: 1 });
    let alert = state.alert(&system(4), id).await.unwrap().unwrap();
    assert_eq!((alert.state, alert.disposition), (AlertState::Closed, Some(Disposition::FalsePositive)));
    assert_eq!((alert.assignee, alert.assignee_name.as_deref()), (Some(ana), Some("ana")));
    // The same again changes nothing.
    let again = state.change_alerts(&person(bo, "bo", 5), &one, &close()).await.unwrap();
    assert_eq!(again, Changed { matched: 1, changed: 0 });
    // Reopening keeps the assignee and drops the disposition.
    let reopen = AlertChange { state: Some(AlertState::InProgress), ..AlertChange::default() };
    state.change_alerts(&person(bo, "bo", 6), &one, &reopen).await.unwrap();
    let alert = state.alert(&system(7), id).await.unwrap().unwrap();
    assert_eq!((alert.disposition, alert.assignee), (None, Some(ana)));
    let hand_over = AlertChange { assignee: Some(Some(bo)), ..AlertChange::default() };
    state.change_alerts(&person(ana, "ana", 8), &one, &hand_over).await.unwrap();
    let stranger = AlertChange {
        assignee: Some(Some(covigil_model::UserId::derived(&[b"nobody"]))),
        ..AlertChange::default()
    };
    let refused = state.change_alerts(&person(ana, "ana", 8), &one, &stranger).await;
    assert!(matches!(refused, Err(StateError::NotFound(_))));
    let drop = AlertChange { assignee: Some(None), ..AlertChange::default() };
    state.change_alerts(&person(bo, "bo", 9), &one, &drop).await.unwrap();

    let history: Vec<_> =
        state.history(&system(10), id).await.unwrap().into_iter().map(|h| (h.actor, h.what)).collect();
    let expected = [
        ("pipeline", "raised"),
        ("ana", "closed as false positive"),
        ("ana", "assigned to ana"),
        ("bo", "set to in progress"),
        ("ana", "assigned to bo"),
        ("bo", "assigned to nobody"),
    ];
    assert_eq!(history, expected.map(|(who, what)| (who.to_owned(), what.to_owned())));
    let notes = state.notes(&system(10), id).await.unwrap();
    assert_eq!((notes.len(), notes[0].author.as_str(), notes[0].text.as_str()), (1, "ana", "looks odd"));
}

#[tokio::test]
async fn a_bulk_change_acts_on_exactly_what_was_agreed() {
    let (_dir, state) = open().await;
    let ana = user(&state, "ana").await;
    let findings: Vec<_> =
        (0..10).map(|n| finding("r", Severity::Low, n, &format!("h{n}"), n as i64)).collect();
    state.record_findings(&system(1), &findings).await.unwrap();
    let filter = AlertFilter { states: vec![AlertState::New], until: Some(at(5)), ..AlertFilter::default() };
    let wrong = AlertTarget::Query { filter: filter.clone(), expected: 9 };
    let refused = state.change_alerts(&person(ana, "ana", 6), &wrong, &close()).await;
    assert!(matches!(refused, Err(StateError::Conflict(_))));
    assert_eq!(state.count_alerts(&system(6), &filter).await.unwrap(), 10);
    let right = AlertTarget::Query { filter: filter.clone(), expected: 10 };
    let note = AlertChange { note: Some("all the same".into()), ..close() };
    let done = state.change_alerts(&person(ana, "ana", 7), &right, &note).await.unwrap();
    assert_eq!(done, Changed { matched: 10, changed: 10 });
    assert_eq!(state.count_alerts(&system(8), &filter).await.unwrap(), 0);
    // What is counted per value follows.
    let open_only =
        AlertFilter { states: vec![AlertState::New, AlertState::InProgress], ..AlertFilter::default() };
    let facets = state.alert_facets(&system(8), &open_only, &[AlertField::User]).await.unwrap();
    assert_eq!(facets[0].values, vec![]);
}

#[tokio::test]
async fn a_change_based_on_an_old_view_is_refused() {
    let (_dir, state) = open().await;
    let ana = user(&state, "ana").await;
    let raised = state.record_findings(&system(1), &[finding("r", Severity::Low, 1, "h", 0)]).await.unwrap();
    let id = raised[0].alert.id;
    let seen = state.alert_version(&system(1), id).await.unwrap();
    // Findings that join are no change by a person.
    state.record_findings(&system(2), &[finding("r", Severity::Low, 2, "h", 1)]).await.unwrap();
    let target = AlertTarget::Version(id, seen);
    state.change_alerts(&person(ana, "ana", 3), &target, &close()).await.unwrap();
    let late = state.change_alerts(&person(ana, "ana", 4), &target, &close()).await;
    assert!(matches!(late, Err(StateError::Conflict(_))));
}

#[tokio::test]
async fn what_people_say_of_an_entity_moves_the_risk_of_its_open_alerts() {
    let (_dir, state) = open().await;
    let raised =
        state.record_findings(&system(1), &[finding("r", Severity::High, 1, "db1", 0)]).await.unwrap();
    let db = entity(EntityKind::Host, "db1");
    let change = EntityChange {
        criticality: Criticality::Critical,
        owner: "dba".into(),
        remark: "payroll".into(),
        tags: vec!["pci".into()],
    };
    state.change_entity(&system(2), &db, &change).await.unwrap();
    let alert = state.alert(&system(3), raised[0].alert.id).await.unwrap().unwrap();
    assert_eq!(alert.risk, 85);
    let known = state.entity(&system(3), &db).await.unwrap();
    assert_eq!((known.alerts, known.open_alerts, known.first_seen), (1, 1, Some(at(0))));
    assert_eq!((known.owner.as_str(), known.tags.as_slice()), ("dba", ["pci".to_owned()].as_slice()));
    assert_eq!(state.entities(&system(3), 10).await.unwrap().len(), 1);
    // A later alert about it starts there.
    let more = state.record_findings(&system(4), &[finding("s", Severity::Low, 2, "db1", 0)]).await.unwrap();
    assert_eq!(more[0].alert.risk, 35);
    assert_eq!(
        state.related_alerts(&system(5), raised[0].alert.id, 5).await.unwrap()[0].id,
        more[0].alert.id
    );
    assert_eq!(state.entity(&system(5), &entity(EntityKind::User, "x")).await.unwrap().alerts, 0);
}

#[tokio::test]
async fn another_tenant_sees_and_changes_nothing() {
    let (_dir, state) = open().await;
    let raised = state.record_findings(&system(1), &[finding("r", Severity::Low, 1, "h", 0)]).await.unwrap();
    let id = raised[0].alert.id;
    let other = OpContext::system(TenantId::derived(&[b"other"]), "test", at(2));
    assert_eq!(state.alert(&other, id).await.unwrap(), None);
    assert_eq!(
        state.alerts(&other, &AlertQuery { limit: 5, ..AlertQuery::default() }).await.unwrap().total,
        0
    );
    assert_eq!(state.findings(&other, id, 5).await.unwrap(), vec![]);
    assert_eq!(state.history(&other, id).await.unwrap(), vec![]);
    assert_eq!(state.related_alerts(&other, id, 5).await.unwrap(), vec![]);
    let refused = state.change_alerts(&other, &AlertTarget::Ids(vec![id]), &close()).await;
    assert!(matches!(refused, Err(StateError::NotFound(_))));
    let facets = state.alert_facets(&other, &AlertFilter::default(), &AlertField::ALL).await.unwrap();
    assert!(facets.iter().all(|facet| facet.values.is_empty()));
    // The same finding at two tenants is two alerts.
    let theirs = state.record_findings(&other, &[finding("r", Severity::Low, 1, "h", 0)]).await.unwrap();
    assert_ne!(theirs[0].alert.id, id);
    assert_eq!(state.alert(&system(3), id).await.unwrap().unwrap().tenant, tenant());
}

#[tokio::test]
async fn what_is_old_and_closed_can_be_forgotten() {
    let (_dir, state) = open().await;
    let findings: Vec<_> = (0..4).map(|n| finding("r", Severity::Low, n, &format!("h{n}"), 0)).collect();
    let raised = state.record_findings(&system(1), &findings).await.unwrap();
    let two = AlertTarget::Ids(raised[..2].iter().map(|change| change.alert.id).collect());
    state.change_alerts(&system(2), &two, &close()).await.unwrap();
    assert_eq!(state.forget_before(&system(3), at(2)).await.unwrap(), 0);
    assert_eq!(state.forget_before(&system(3), at(3)).await.unwrap(), 2);
    assert_eq!(state.count_alerts(&system(4), &AlertFilter::default()).await.unwrap(), 2);
    assert_eq!(state.history(&system(4), raised[0].alert.id).await.unwrap(), vec![]);
}
