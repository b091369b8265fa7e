//! Windows event logs in their binary form, as JSON text of the form that Microsoft's XML maps to:
//! `{"Event":{"System":{…},"EventData":{…}}}`, attributes under `#attributes`.

use std::{
    error::Error as _,
    io::{Read, Seek},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use evtx::{EvtxParser, ParserSettings};

use super::{FileIssue, FileRecord, IssueKind, RecordSink};

/// After this many issues of one file, the rest are only counted.
const MAX_ISSUES: u64 = 1_000;

pub(super) fn read(path: &str, file: impl Read + Seek, sink: &mut dyn RecordSink) -> ControlFlow<()> {
    let issue = |kind, number, message| FileIssue { path: path.to_owned(), number, kind, message };
    // The decoder is another's code on hostile input: a panic in it ends this file, not the program.
    let opened = catch_unwind(AssertUnwindSafe(|| EvtxParser::from_read_seek(file)));
    let mut parser = match opened {
        Ok(Ok(parser)) => parser.with_configuration(ParserSettings::default().num_threads(1).indent(false)),
        Ok(Err(error)) => {
            sink.issue(issue(IssueKind::Unreadable, None, describe(&error)));
            return ControlFlow::Continue(());
        }
        Err(_) => {
            sink.issue(issue(IssueKind::Unreadable, None, "the file header breaks the EVTX decoder".into()));
            return ControlFlow::Continue(());
        }
    };
    let mut records = parser.serialized_records(|record| record.and_then(|r| r.into_json_bytes()));
    let mut issues = 0u64;
    let mut last = 0;
    loop {
        match catch_unwind(AssertUnwindSafe(|| records.next())) {
            Ok(None) => break,
            Ok(Some(Ok(record))) => {
                last = record.event_record_id;
                sink.record(FileRecord { path, number: last, parser: "windows", data: &record.data })?;
            }
            Ok(Some(Err(error))) => {
                issues += 1;
                if issues <= MAX_ISSUES {
                    let number = match &error {
                        evtx::err::EvtxError::FailedToParseRecord { record_id, .. } => Some(*record_id),
                        _ => None,
                    };
                    sink.issue(issue(IssueKind::Damaged, number, describe(&error)));
                }
            }
            Err(_) => {
                let message = format!("the EVTX decoder broke after record {last}; the rest is not read");
                sink.issue(issue(IssueKind::Damaged, None, message));
                break;
            }
        }
    }
    if issues > MAX_ISSUES {
        let more = format!("{} more damaged records or chunks", issues - MAX_ISSUES);
        sink.issue(issue(IssueKind::Damaged, None, more));
    }
    ControlFlow::Continue(())
}

/// The error with its causes. A chunk's number is also given as its byte offset in the file.
fn describe(error: &evtx::err::EvtxError) -> String {
    let mut text = match error {
        evtx::err::EvtxError::FailedToParseChunk { chunk_id, .. } => {
            format!("chunk {chunk_id} at byte {} is damaged", 4096 + chunk_id.saturating_mul(65536))
        }
        other => other.to_string(),
    };
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
