//! Reading log files where they lie: for `covigil detect` and `covigil replay`.
//!
//! Files are opened by content, not by name: EVTX, JSON in any layout, plain lines, gzip and zip of
//! these. Nothing here needs a runtime, follows a growing file (that is [`crate::intake`]'s), or
//! understands a record (that is a parser's). Every size is bounded, and what cannot be read is
//! reported as a [`FileIssue`] while the rest goes on.

mod archive;
mod evtx;
mod json;
mod text;
mod utf16;
mod walk;

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::ControlFlow,
    path::Path,
};

pub use walk::{Found, walk};

/// A line or JSON document may be this long, in bytes; longer ones are reported and left out.
pub const MAX_RECORD: usize = 16 << 20;

/// Bytes looked at to tell what a file is.
const HEAD: usize = 8 << 10;

/// One record of a file, valid during the call that hands it over.
#[derive(Debug, Clone, Copy)]
pub struct FileRecord<'a> {
    /// The file; a member of an archive is written `archive.zip!member`.
    pub path: &'a str,
    /// Where in the file: the line on which the record begins, from 1; the EVTX record id; or, in
    /// a JSON array, the element's place from 1.
    pub number: u64,
    /// The parser to use: `windows` for EVTX, else `auto`.
    pub parser: &'static str,
    /// The record, without its line end. Need not be UTF-8.
    pub data: &'a [u8],
}

/// What kind of trouble a [`FileIssue`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueKind {
    /// The file or member could not be opened or read to its end.
    Unreadable,
    /// A part is damaged; the parts around it were read.
    Damaged,
    /// A record or an archive is larger than allowed.
    TooLarge,
    /// The content is not a log (a program, a packet capture, a picture, …).
    NotALog,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileIssue {
    /// The file, as in [`FileRecord::path`].
    pub path: String,
    /// Where in it, as [`FileRecord::number`] counts; `None` for the whole file, or where the
    /// message gives the offset.
    pub number: Option<u64>,
    /// What kind of trouble.
    pub kind: IssueKind,
    /// What happened, and what to do about it.
    pub message: String,
}

impl fmt::Display for FileIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "{}:{number}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

/// Takes what is read.
pub trait RecordSink {
    /// One record. [`ControlFlow::Break`] ends the reading.
    fn record(&mut self, record: FileRecord<'_>) -> ControlFlow<()>;

    /// One thing that could not be read; the reading goes on.
    fn issue(&mut self, issue: FileIssue);
}

/// Reads one file to its end, or until the sink breaks off. Trouble goes to the sink.
pub fn read_file(path: &Path, sink: &mut dyn RecordSink) -> ControlFlow<()> {
    let shown = path.display().to_string();
    let opened = File::open(path).and_then(|file| file.metadata().map(|meta| (file, meta)));
    match opened {
        Err(error) => {
            sink.issue(unreadable(&shown, &error));
            ControlFlow::Continue(())
        }
        // A pipe, such as a shell's `<(…)`, cannot be sought in: it is read as a stream.
        Ok((file, meta)) if !meta.is_file() => read_stream(&shown, file, sink),
        Ok((file, meta)) => read_seekable(&shown, file, meta.len(), sink),
    }
}

/// Cuts bytes in memory into records, as [`read_file`] does with the text of a file.
pub(crate) fn split(bytes: &[u8], sink: &mut dyn RecordSink) -> ControlFlow<()> {
    text::read("", &mut &*bytes, sink)
}

fn read_seekable(path: &str, mut file: File, len: u64, sink: &mut dyn RecordSink) -> ControlFlow<()> {
    let mut head = [0; HEAD];
    let looked = fill(&mut file, &mut head).and_then(|n| file.seek(SeekFrom::Start(0)).map(|_| n));
    let head = match looked {
        Ok(n) => &head[..n],
        Err(error) => {
            sink.issue(unreadable(path, &error));
            return ControlFlow::Continue(());
        }
    };
    match Content::of(head) {
        Content::Evtx => evtx::read(path, io::BufReader::with_capacity(64 << 10, file), sink),
        Content::Zip => archive::read_zip(path, io::BufReader::new(file), len, sink),
        Content::Gzip => archive::read_gzip(path, file, len, sink),
        other => read_known_stream(path, other, file, sink),
    }
}

/// Reads something that has no end known beforehand and cannot be sought in.
fn read_stream(path: &str, mut stream: impl Read, sink: &mut dyn RecordSink) -> ControlFlow<()> {
    let mut head = [0; HEAD];
    let head = match fill(&mut stream, &mut head) {
        Ok(n) => &head[..n],
        Err(error) => {
            sink.issue(unreadable(path, &error));
            return ControlFlow::Continue(());
        }
    };
    let content = Content::of(head);
    let whole = head.chain(stream);
    match content {
        Content::Evtx => match archive::into_memory(whole) {
            Ok(bytes) => evtx::read(path, io::Cursor::new(bytes), sink),
            Err(error) => {
                sink.issue(unreadable(path, &error));
                ControlFlow::Continue(())
            }
        },
        other => read_known_stream(path, other, whole, sink),
    }
}

fn read_known_stream(
    path: &str,
    content: Content,
    mut stream: impl Read,
    sink: &mut dyn RecordSink,
) -> ControlFlow<()> {
    match content {
        Content::Empty => ControlFlow::Continue(()),
        Content::Text => text::read(path, &mut stream, sink),
        Content::Utf16 { big_endian } => {
            text::read(path, &mut utf16::Decoder::new(&mut stream, big_endian), sink)
        }
        Content::Evtx | Content::Zip | Content::Gzip => {
            sink.issue(FileIssue {
                path: path.to_owned(),
                number: None,
                kind: IssueKind::NotALog,
                message: "an archive inside an archive or a pipe is not opened; unpack it first".into(),
            });
            ControlFlow::Continue(())
        }
        Content::Binary(what) => {
            sink.issue(FileIssue {
                path: path.to_owned(),
                number: None,
                kind: IssueKind::NotALog,
                message: format!("left out: {what}, not a log"),
            });
            ControlFlow::Continue(())
        }
    }
}

/// What the first bytes of a file say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Empty,
    Evtx,
    Zip,
    Gzip,
    Text,
    Utf16 { big_endian: bool },
    Binary(&'static str),
}

impl Content {
    fn of(head: &[u8]) -> Self {
        const MAGIC: [(&[u8], &str); 9] = [
            (b"\xd4\xc3\xb2\xa1", "a packet capture"),
            (b"\xa1\xb2\xc3\xd4", "a packet capture"),
            (b"\x4d\x3c\xb2\xa1", "a packet capture"),
            (b"\x0a\x0d\x0d\x0a", "a packet capture"),
            (b"\x7fELF", "a program"),
            (b"\x89PNG", "a picture"),
            (b"LPKSHHRH", "a binary systemd journal (export it: journalctl --file FILE -o json)"),
            (b"\x28\xb5\x2f\xfd", "zstd data (unpack it first)"),
            (b"\xfd7zXZ", "xz data (unpack it first)"),
        ];
        if head.is_empty() {
            return Self::Empty;
        }
        if head.starts_with(b"ElfFile\0") {
            return Self::Evtx;
        }
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return Self::Zip;
        }
        if head.starts_with(b"\x1f\x8b\x08") {
            return Self::Gzip;
        }
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return Self::Utf16 { big_endian: head[0] == 0xfe };
        }
        if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Self::Binary(what);
        }
        if head.get(257..262) == Some(b"ustar") {
            return Self::Binary("a tar archive (unpack it first)");
        }
        // A text log may begin with a hole of NULs that a rotation by truncation left, and may
        // hold stray control characters; binary data is full of them.
        let hole = head.iter().take_while(|b| **b == 0).count();
        let rest = &head[hole..];
        let control = rest.iter().filter(|b| matches!(b, 0..=8 | 11 | 12 | 14..=26 | 28..=31)).count();
        if control * 10 > rest.len() || (rest.is_empty() && head.len() < HEAD) {
            return Self::Binary("binary data");
        }
        Self::Text
    }
}

/// Reads until the buffer is full or the stream ends.
fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn unreadable(path: &str, error: &io::Error) -> FileIssue {
    let mend = match error.kind() {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied => "; run as a user who may read it",
        _ => "",
    };
    FileIssue {
        path: path.to_owned(),
        number: None,
        kind: IssueKind::Unreadable,
        message: format!("cannot be read: {error}{mend}"),
    }
}
