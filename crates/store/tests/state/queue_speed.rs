//! The queue with many alerts (`COVIGIL_ALERTS`, 2,000 if unset; the figures of record use 100,000).
//! Times are printed, not judged.

use std::time::{Duration, Instant};

use covigil_model::{AlertState, Disposition, EntityKind, Severity};
use covigil_store::state::{AlertChange, AlertField, AlertFilter, AlertQuery, AlertSort, AlertTarget, State};

use super::{at, entity, finding, open, system};

async fn p95(state: &State, query: AlertQuery) -> (Duration, u64) {
    let (mut times, mut total) = (Vec::new(), 0);
    for _ in 0..20 {
        let begun = Instant::now();
        total = state.alerts(&system(0), &query).await.unwrap().total;
        times.push(begun.elapsed());
    }
    times.sort();
    (times[18], total)
}

#[tokio::test]
async fn pages_and_facets_of_a_long_queue() {
    let alerts: u64 = std::env::var("COVIGIL_ALERTS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let batches = alerts.div_ceil(500);
    let (_dir, state) = open().await;
    let levels = [Severity::Low, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
    let begun = Instant::now();
    for batch in 0..batches {
        let findings: Vec<_> = (0..500)
            .map(|n| {
                let n = batch * 500 + n;
                let mut one = finding(
                    &format!("rule{}", n % 97),
                    levels[n as usize % 5],
                    n,
                    &format!("host{}", n % 2_003),
                    0,
                );
                one.group = format!("{n}");
                one.entities.push(entity(EntityKind::Address, &format!("10.0.{}.{}", n % 200, n % 251)));
                one
            })
            .collect();
        state.record_findings(&system(batch as i64), &findings).await.unwrap();
    }
    println!("{} findings, each a new alert: {:?}", batches * 500, begun.elapsed());
    let open_states = vec![AlertState::New, AlertState::InProgress];
    let with_open = AlertFilter { states: open_states, ..AlertFilter::default() };
    let filters = [
        ("all", AlertFilter::default()),
        ("open", with_open.clone()),
        ("open critical", AlertFilter { severities: vec![Severity::Critical], ..with_open.clone() }),
        ("one host", AlertFilter { entities: vec![entity(EntityKind::Host, "host7")], ..with_open.clone() }),
        ("text", AlertFilter { text: Some("host77".into()), ..with_open.clone() }),
        ("rule", AlertFilter { rules: vec!["rule5".into()], ..with_open.clone() }),
    ];
    for round in ["all open", "nine of ten closed"] {
        for (name, filter) in &filters {
            for sort in [
                AlertSort::Newest,
                AlertSort::Risk,
                AlertSort::Severity,
                AlertSort::LastSeen,
                AlertSort::Count,
            ] {
                let query = AlertQuery { filter: filter.clone(), sort, limit: 50, ..AlertQuery::default() };
                let (time, total) = p95(&state, query).await;
                println!("{round}: {name} by {sort:?}: {time:?} of {total}");
            }
            let begun = Instant::now();
            let facets = state.alert_facets(&system(0), filter, &AlertField::ALL).await.unwrap();
            println!("{round}: {name} facets: {:?}", begun.elapsed());
            assert_eq!(facets.len(), AlertField::ALL.len());
            for field in AlertField::ALL {
                let begun = Instant::now();
                state.alert_facets(&system(0), filter, &[field]).await.unwrap();
                println!("    {field:?}: {:?}", begun.elapsed());
            }
        }
        if round == "all open" {
            let close = AlertChange {
                state: Some(AlertState::Closed),
                disposition: Some(Disposition::Benign),
                ..AlertChange::default()
            };
            let filter = AlertFilter { until: Some(at(batches as i64 * 9 / 10 - 1)), ..with_open.clone() };
            let expected = batches * 9 / 10 * 500;
            let target = AlertTarget::Query { filter, expected };
            let begun = Instant::now();
            assert_eq!(state.change_alerts(&system(1_000), &target, &close).await.unwrap().changed, expected);
            println!("closing {expected}: {:?}", begun.elapsed());
        }
    }
}
