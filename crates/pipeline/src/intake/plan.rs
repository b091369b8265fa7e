//! From what a family found on a host to running readers.

use std::{path::PathBuf, sync::Arc, time::Duration};

use covigil_model::health::SourceState;
use covigil_solution::{Access, Host, SourceKind, SourcePlan};
use tokio::task::JoinHandle;

use super::{Delivery, Framing, Journal, Snapshot, Tail, Watcher, journal, snapshot, tail};

/// Starts to read a source, or enters in the books why it cannot be read. The task ends with the
/// delivery's stop.
pub fn start(
    plan: &SourcePlan,
    host: &Arc<dyn Host>,
    watcher: &Arc<Watcher>,
    delivery: &Delivery,
) -> Option<JoinHandle<()>> {
    let row = delivery.sources().of(&plan.name);
    row.describe(plan.description.clone(), false);
    match &plan.access {
        Access::Ready => {}
        Access::Denied { reason, mend } => {
            row.set_state(SourceState::Unreadable, format!("{reason}; {mend}"));
            return None;
        }
        Access::Absent { mend } => {
            row.set_state(SourceState::Off, mend.clone());
            return None;
        }
    }
    let (source, parser): (Arc<str>, Arc<str>) = (plan.name.as_str().into(), plan.parser.into());
    let delivery = delivery.clone();
    let file = |path: &PathBuf, framing| Tail {
        path: path.clone(),
        source: source.clone(),
        parser: parser.clone(),
        framing,
    };
    Some(match &plan.kind {
        SourceKind::File { path } => {
            tokio::spawn(tail(file(path, Framing::Lines), Arc::clone(watcher), delivery))
        }
        SourceKind::Logins { path } => {
            tokio::spawn(tail(file(path, Framing::Logins), Arc::clone(watcher), delivery))
        }
        SourceKind::Journal => {
            let program = host.program("journalctl").unwrap_or_else(|| "journalctl".into());
            tokio::spawn(journal(Journal { program, source, parser }, delivery))
        }
        SourceKind::Snapshot { every, take } => {
            let state = Snapshot {
                source,
                description: plan.description.clone(),
                parser,
                every: Duration::from_secs(*every),
                take: *take,
            };
            tokio::spawn(snapshot(state, Arc::clone(host), delivery))
        }
    })
}
