//! gzip files and the members of zip files. Inflation is bounded in total, so that a bomb costs
//! little, and nothing is ever written to disk.

use std::{
    io::{self, Cursor, Read, Seek},
    ops::ControlFlow,
};

use flate2::read::MultiGzDecoder;

use super::{Content, FileIssue, HEAD, IssueKind, RecordSink, evtx, fill, read_known_stream, unreadable};

/// An archive may inflate to this many times its size, plus [`INFLATE_FREE`]. Real logs reach
/// about 60; a bomb 1,000 and more.
const INFLATE_RATIO: u64 = 250;
const INFLATE_FREE: u64 = 16 << 20;

/// What has to be in memory as a whole (EVTX that cannot be sought in) may be this large.
const MAX_IN_MEMORY: u64 = 1 << 30;

/// A zip file may have this many members.
const MAX_MEMBERS: usize = 100_000;

/// Passes reads on until a number of bytes is used up, then fails.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => {
                self.left = left;
                Ok(n)
            }
            None => Err(io::Error::other(format!(
                "it inflates to more than {INFLATE_RATIO} times its size, as a decompression bomb does; \
                 the rest is left out (unpack it first if it is not one)"
            ))),
        }
    }
}

const fn allowance(compressed: u64) -> u64 {
    compressed.saturating_mul(INFLATE_RATIO).saturating_add(INFLATE_FREE)
}

/// The whole stream, where it is small enough.
pub(super) fn into_memory(stream: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(MAX_IN_MEMORY + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_IN_MEMORY {
        return Err(io::Error::other("an event log larger than 1 GiB must be a plain file; unpack it first"));
    }
    Ok(bytes)
}

pub(super) fn read_gzip(path: &str, file: impl Read, len: u64, sink: &mut dyn RecordSink) -> ControlFlow<()> {
    read_inner(path, Bounded { inner: MultiGzDecoder::new(file), left: allowance(len) }, sink)
}

/// Reads what came out of an archive.
fn read_inner(path: &str, mut stream: impl Read, sink: &mut dyn RecordSink) -> ControlFlow<()> {
    let mut head = [0; HEAD];
    let n = match fill(&mut stream, &mut head) {
        Ok(n) => n,
        Err(error) => {
            sink.issue(unreadable(path, &error));
            return ControlFlow::Continue(());
        }
    };
    let content = Content::of(&head[..n]);
    let whole = Read::chain(&head[..n], stream);
    if content == Content::Evtx {
        return match into_memory(whole) {
            Ok(bytes) => evtx::read(path, Cursor::new(bytes), sink),
            Err(error) => {
                sink.issue(unreadable(path, &error));
                ControlFlow::Continue(())
            }
        };
    }
    read_known_stream(path, content, whole, sink)
}

pub(super) fn read_zip(
    path: &str,
    file: impl Read + Seek,
    len: u64,
    sink: &mut dyn RecordSink,
) -> ControlFlow<()> {
    let issue = |path: &str, kind, message| FileIssue { path: path.to_owned(), number: None, kind, message };
    let mut archive = match zip::ZipArchive::new(file) {
        Ok(archive) => archive,
        Err(error) => {
            sink.issue(issue(path, IssueKind::Unreadable, format!("not a readable zip file: {error}")));
            return ControlFlow::Continue(());
        }
    };
    if archive.len() > MAX_MEMBERS {
        let message = format!("more than {MAX_MEMBERS} members; unpack it first");
        sink.issue(issue(path, IssueKind::TooLarge, message));
        return ControlFlow::Continue(());
    }
    for index in 0..archive.len() {
        let member = match archive.by_index(index) {
            Ok(member) => member,
            Err(error) => {
                let message = format!("member {} cannot be opened: {error}", index + 1);
                sink.issue(issue(path, IssueKind::Unreadable, message));
                continue;
            }
        };
        // The resource forks that macOS adds beside each file are never logs.
        if !member.is_file() || member.name().starts_with("__MACOSX/") {
            continue;
        }
        let shown = format!("{path}!{}", member.name());
        // The size that a member claims to have packed is the archive's word.
        let left = allowance(member.compressed_size().min(len));
        read_inner(&shown, Bounded { inner: member, left }, sink)?;
    }
    ControlFlow::Continue(())
}
