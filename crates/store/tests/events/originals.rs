//! Originals come back byte for byte, whatever they are.

use std::sync::Arc;

use covigil_model::{Attr, Event, EventId, Kind, Time, json::flatten};
use covigil_store::{events::Rows, wal::Position};
use proptest::prelude::*;

use super::{contents, context, events, expected, open};

/// Any event: any text, spans anywhere in it, columns of all sorts.
fn any_event() -> impl Strategy<Value = Event> {
    let original = prop_oneof![
        "\\PC{0,60}",
        ".{0,60}",
        r#"\{"a":"[a-z\\\\"/]{0,8}","b":[0-9]{1,20},"c":"2026-11-24T12:00:00[.0-9]{0,9}Z"\}"#,
        "<13>Nov 24 12:00:00 host [a-z]{1,8}\\[[0-9]{1,5}\\]: [ -~]{0,40}",
        "(\u{1}|time\\||#0|message){0,6}",
    ];
    let spans = proptest::collection::vec((any::<u16>(), 0u16..20, 0usize..60, any::<bool>(), 0u8..4), 0..12);
    (original, spans, any::<bool>(), -2_000_000_000i64..2_000_000_000).prop_map(
        |(original, spans, json, off)| {
            let mut event = Event::from_original(&original);
            event.time =
                Time::parse("2026-11-24T12:00:00Z").unwrap().plus_nanos(off / 1_000_000 * 1_000_000_000);
            event.received = Time::parse("2026-11-24T12:00:00Z").unwrap();
            event.parser = Arc::from("any");
            if json {
                let _ = flatten(&mut event, 0, original.len());
            }
            for (at, len, attr, field, kind) in spans {
                let start = usize::from(at) % (original.len() + 1);
                let span = event.span(start, (start + usize::from(len)).min(original.len()));
                let attr = Attr::ALL[attr % Attr::ALL.len()];
                if kind == 0 {
                    event.set_attr_text(attr, "\"\\\n\u{1}é 7");
                } else {
                    event.set_attr(attr, span);
                }
                if field {
                    let kind = [Kind::Text, Kind::Number, Kind::Bool, Kind::Null][usize::from(kind)];
                    let name = event.append(["a", "b", attr.path(), "\"\\"][usize::from(at % 4)]);
                    event.push_field(name, span, kind);
                }
            }
            event
        },
    )
}

fn check(events: &mut [Event]) {
    for (n, event) in events.iter_mut().enumerate() {
        event.id = EventId { source: Arc::from("any"), sequence: n as u64 + 1 };
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path()).await;
        // Twice, so that templates are used.
        store.append(events, Position(1)).await.unwrap();
        store.append(events, Position(2)).await.unwrap();
        let mut twice: Vec<Event> = events.to_vec();
        twice.extend_from_slice(events);
        let snapshot = store.snapshot(&context()).unwrap();
        assert_eq!(contents(&snapshot), expected(&twice));
        for batch in &snapshot.memory {
            let rows = Rows::new(batch).unwrap();
            for row in 0..batch.num_rows() {
                let event = &events[usize::try_from(rows.id(row).sequence).unwrap() - 1];
                let have = rows.source_fields(row);
                for (name, value) in event.iter() {
                    assert!(have.iter().any(|(n, v, _)| n == name && v == value.text), "{name} {have:?}");
                }
            }
        }
        store.flush().await.unwrap();
        let snapshot = store.snapshot(&context()).unwrap();
        assert!(snapshot.memory.is_empty());
        assert_eq!(contents(&snapshot), expected(&twice));
        // Any piece of any original is found by the sidecar.
        for event in events.iter() {
            let text: Vec<char> = event.original().chars().collect();
            for piece in text.chunks(7) {
                let piece: String = piece.iter().collect();
                let found = snapshot.files.iter().any(|f| f.candidate_chunks(&[&piece]).contains(0));
                assert!(found, "{piece:?}");
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_events_come_back_exactly(mut events in proptest::collection::vec(any_event(), 1..8)) {
        check(&mut events);
    }
}

#[test]
fn shapes_that_repeat_cost_little() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let stats = runtime.block_on(async {
        let (store, _) = open(dir.path()).await;
        let all = events(1..=30_000);
        let original: usize = all.iter().map(|e| e.original().len()).sum();
        assert!(original / all.len() > 190);
        for (n, part) in all.chunks(3_000).enumerate() {
            store.append(part, Position(n as u64 + 1)).await.unwrap();
        }
        store.flush().await.unwrap();
        store.stats()
    });
    // The text is 200 bytes an event, of which the numbers are new each time.
    assert!(stats.bytes / stats.rows < 40, "{} bytes an event", stats.bytes / stats.rows);
}
