//! State of the machine that is looked at again and again: what is new, changed or gone since the
//! last look becomes a record with `change` set to `added`, `changed` or `removed`. The first look
//! of all gives each thing as `present`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use covigil_model::{Time, health::SourceState, id::Id};
use covigil_solution::{Host, source::TakeSnapshot};
use covigil_store::wal::{Batch, MAX_CHECKPOINT, NewRecord};
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval};

use super::{BATCH_BYTES, BATCH_RECORDS, Delivery, Stopping};

/// Things in one picture, at most.
const MOST: usize = 50_000;

/// A state to look at.
#[derive(Clone)]
pub struct Snapshot {
    /// The source's name in event ids.
    pub source: Arc<str>,
    /// What it is, for people.
    pub description: String,
    /// The parser of its records.
    pub parser: Arc<str>,
    /// Time between two looks.
    pub every: Duration,
    /// Takes the picture.
    pub take: TakeSnapshot,
}

/// Looks at a state until stopped.
pub async fn snapshot(snapshot: Snapshot, host: Arc<dyn Host>, delivery: Delivery) {
    let health = delivery.sources().of(&snapshot.source);
    // Nothing changes for days on a quiet machine: silence says nothing.
    health.describe(snapshot.description.clone(), false);
    let mut ticks = interval(snapshot.every.max(Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let prefix = format!("snapshot:{}:", snapshot.source);
    let mut known = Known::load(&prefix, &delivery);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = delivery.stop().cancelled() => return,
        }
        let (take, looked_at) = (snapshot.take, Arc::clone(&host));
        let taken = tokio::task::spawn_blocking(move || take(looked_at.as_ref())).await;
        let objects = match taken {
            Ok(Ok(objects)) => objects,
            Ok(Err(error)) => {
                health.set_state(SourceState::Unreadable, error.to_string());
                continue;
            }
            Err(_) => {
                health.set_state(SourceState::Unreadable, "taking the picture failed; see the program's log");
                continue;
            }
        };
        let (changes, now_known) = known.changes(&objects);
        health.set_state(SourceState::Live, "");
        if changes.is_empty() {
            continue;
        }
        let checkpoints = now_known.pages(&prefix, known.page_count());
        if deliver(&snapshot, changes, checkpoints, &delivery).await.is_err() {
            return;
        }
        known = now_known;
    }
}

/// Hands changes over in batches. The state goes with the last, so that a crash in between repeats
/// some changes rather than losing any.
async fn deliver(
    snapshot: &Snapshot,
    changes: Vec<String>,
    checkpoints: Vec<(String, Vec<u8>)>,
    delivery: &Delivery,
) -> Result<(), Stopping> {
    let health = delivery.sources().of(&snapshot.source);
    let received = Time::now();
    let mut batch = Batch::default();
    let mut bytes = 0;
    for change in changes {
        if batch.records.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES {
            delivery.deliver(std::mem::take(&mut batch), &health).await?;
            bytes = 0;
        }
        bytes += change.len();
        batch.records.push(NewRecord {
            source: Arc::clone(&snapshot.source),
            parser: Arc::clone(&snapshot.parser),
            peer: None,
            received,
            data: Bytes::from(change),
        });
    }
    batch.checkpoints = checkpoints;
    delivery.deliver(batch, &health).await
}

/// What names a thing in its object.
#[derive(Deserialize)]
struct Named {
    key: String,
    #[serde(default)]
    kind: String,
}

/// Marks the digest of an object.
enum Object {}

/// The things of the last picture: kind and key, and a digest of the object.
#[derive(Debug, Default, PartialEq)]
struct Known {
    things: BTreeMap<(String, String), u64>,
    /// Whether there was a picture before.
    begun: bool,
}

impl Known {
    /// What is new against these things, as records, and the things there are now. Objects without
    /// a key are passed over.
    fn changes(&self, objects: &[String]) -> (Vec<String>, Self) {
        let mut now = Self { begun: true, ..Self::default() };
        let mut records = Vec::new();
        for object in objects.iter().take(MOST) {
            let Ok(Named { key, kind }) = serde_json::from_str(object) else { continue };
            let digest = Id::<Object>::derived(&[object.as_bytes()]).bits() as u64;
            let name = (kind, key);
            let change = match self.things.get(&name) {
                Some(before) if *before == digest => None,
                Some(_) => Some("changed"),
                None if self.begun => Some("added"),
                None => Some("present"),
            };
            let inside = object.trim_start().strip_prefix('{').unwrap_or(object);
            if let Some(change) = change {
                records.push(format!("{{\"change\":\"{change}\",{inside}"));
            }
            now.things.insert(name, digest);
        }
        for (kind, key) in self.things.keys().filter(|name| !now.things.contains_key(*name)) {
            records.push(serde_json::json!({ "change": "removed", "kind": kind, "key": key }).to_string());
        }
        (records, now)
    }

    fn text(&self) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        for ((kind, key), digest) in &self.things {
            let _ = writeln!(text, "{}", serde_json::json!([kind, key, digest]));
        }
        text
    }

    fn page_count(&self) -> usize {
        if self.begun { self.text().len() / MAX_CHECKPOINT + 1 } else { 0 }
    }

    /// The state as checkpoints of allowed size. Pages that a larger state had before are emptied.
    fn pages(&self, prefix: &str, before: usize) -> Vec<(String, Vec<u8>)> {
        // The mark at the end keeps the last page from being empty, which would mean forgotten.
        let text = self.text() + "\n";
        let mut pages: Vec<(String, Vec<u8>)> = text
            .as_bytes()
            .chunks(MAX_CHECKPOINT)
            .enumerate()
            .map(|(n, page)| (format!("{prefix}{n}"), page.to_vec()))
            .collect();
        pages.extend((pages.len()..before + 1).map(|n| (format!("{prefix}{n}"), Vec::new())));
        pages
    }

    fn load(prefix: &str, delivery: &Delivery) -> Self {
        let pages =
            (0..).map_while(|n| delivery.checkpoint(&format!("{prefix}{n}")).filter(|p| !p.is_empty()));
        Self::of_pages(pages)
    }

    fn of_pages(pages: impl Iterator<Item = Vec<u8>>) -> Self {
        let text: Vec<u8> = pages.flatten().collect();
        let mut known = Self { begun: !text.is_empty(), ..Self::default() };
        for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            if let Ok((kind, key, digest)) = serde_json::from_slice(line) {
                known.things.insert((kind, key), digest);
            }
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, value: u32) -> String {
        format!("{{\"kind\":\"listener\",\"key\":\"{key}\",\"value\":{value}}}")
    }

    #[test]
    fn changes_are_told_apart_and_state_survives_a_restart() {
        let (first, known) = Known::default().changes(&[object("a", 1), object("b", 1)]);
        assert_eq!(first.len(), 2);
        assert!(first[0].starts_with("{\"change\":\"present\",\"kind\":\"listener\",\"key\":\"a\""));
        let reloaded = Known::of_pages(known.pages("s:", 0).into_iter().map(|(_, page)| page));
        assert_eq!(reloaded, known);
        let (none, _) = reloaded.changes(&[object("b", 1), object("a", 1)]);
        assert!(none.is_empty());
        let (changes, now) = reloaded.changes(&[object("b", 2), object("c", 1), "no object".into()]);
        assert_eq!(changes.len(), 3);
        assert!(changes[0].contains("changed") && changes[1].contains("added"));
        assert_eq!(changes[2], "{\"change\":\"removed\",\"kind\":\"listener\",\"key\":\"a\"}");
        assert_eq!(now.things.len(), 2);
    }

    #[test]
    fn large_states_take_several_pages_and_shrink_again() {
        let many: Vec<String> = (0..2_000).map(|n| object(&format!("key-{n:06}"), n)).collect();
        let (_, known) = Known::default().changes(&many);
        let pages = known.pages("s:", 0);
        assert!(pages.len() > 10 && pages.iter().all(|(_, page)| page.len() <= MAX_CHECKPOINT));
        assert_eq!(Known::of_pages(pages.into_iter().map(|(_, page)| page)), known);
        let (_, few) = known.changes(&many[..1]);
        let pages = few.pages("s:", known.page_count());
        let kept = pages.iter().map(|(_, page)| page.clone()).take_while(|page| !page.is_empty());
        assert_eq!(Known::of_pages(kept), few);
        assert!(pages.len() > known.page_count());
        let (_, empty) = few.changes(&[]);
        assert!(Known::of_pages(empty.pages("s:", 1).into_iter().map(|(_, page)| page)).begun);
    }
}
