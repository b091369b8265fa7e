//! Lines, and JSON in any layout: one document per line, documents over several lines one after
//! the other, a list of documents.
//!
//! A line that begins with `{` and ends with `}` is taken as a document without a closer look,
//! since that is what almost all files hold. Brackets are followed only where that does not hold.

use std::{
    io::{self, Read},
    ops::ControlFlow,
};

use super::{FileIssue, FileRecord, IssueKind, MAX_RECORD, RecordSink, json, unreadable};

const STEP: usize = 256 << 10;

/// Why reading stops before the end.
enum Stop {
    /// The sink wants no more.
    Asked,
    /// The stream failed.
    Failed(io::Error),
}

pub(super) fn read(path: &str, stream: &mut dyn Read, sink: &mut dyn RecordSink) -> ControlFlow<()> {
    let mut reader = Reader { path, stream, buffer: Vec::new(), at: 0, len: 0, line: 1, ended: false, sink };
    match reader.whole() {
        Ok(()) => ControlFlow::Continue(()),
        Err(Stop::Asked) => ControlFlow::Break(()),
        Err(Stop::Failed(error)) => {
            reader.sink.issue(unreadable(path, &error));
            ControlFlow::Continue(())
        }
    }
}

struct Reader<'a> {
    path: &'a str,
    stream: &'a mut dyn Read,
    buffer: Vec<u8>,
    /// What is read and not yet consumed is `buffer[at..len]`.
    at: usize,
    len: usize,
    /// The number of the line that `at` is on.
    line: u64,
    ended: bool,
    sink: &'a mut dyn RecordSink,
}

/// Where a bracketed value ends.
enum Extent {
    /// Just before this offset in the buffer.
    At(usize),
    /// Nowhere within [`MAX_RECORD`] bytes.
    TooLong(json::Scanner),
    /// Nowhere: the file ends first.
    Missing,
}

impl Reader<'_> {
    fn whole(&mut self) -> Result<(), Stop> {
        while self.len - self.at < 8 << 10 && self.more()? {}
        if self.rest().starts_with(b"\xef\xbb\xbf") {
            self.at += 3;
        }
        if let Some(begin) = json::list_begin(self.rest()) {
            self.list(begin)?;
        }
        let first = self.rest().iter().find(|b| !b.is_ascii_whitespace());
        if first == Some(&b'{') { self.documents() } else { self.lines() }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..self.len]
    }

    /// Reads on. Yields whether there was more.
    fn more(&mut self) -> Result<bool, Stop> {
        if self.ended {
            return Ok(false);
        }
        if self.at > 0 && (self.at == self.len || self.at >= STEP) {
            self.buffer.copy_within(self.at..self.len, 0);
            self.len -= self.at;
            self.at = 0;
        }
        if self.buffer.len() < self.len + STEP {
            self.buffer.resize(self.len + STEP, 0);
        }
        loop {
            match self.stream.read(&mut self.buffer[self.len..]) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(false);
                }
                Ok(n) => {
                    self.len += n;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::Failed(error)),
            }
        }
    }

    fn emit(&mut self, number: u64, start: usize, end: usize) -> Result<(), Stop> {
        let record = FileRecord { path: self.path, number, parser: "auto", data: &self.buffer[start..end] };
        match self.sink.record(record) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Asked),
        }
    }

    fn issue(&mut self, number: u64, kind: IssueKind, message: String) {
        self.sink.issue(FileIssue { path: self.path.to_owned(), number: Some(number), kind, message });
    }

    /// Makes sure that the buffer holds the whole line at the cursor. Yields its length without
    /// and with its end, or `None` at the end of the file. Overlong lines are passed over.
    fn line(&mut self) -> Result<Option<(usize, usize)>, Stop> {
        let mut searched = 0;
        loop {
            let rest = self.rest();
            if let Some(found) = memchr::memchr(b'\n', &rest[searched..]) {
                let end = searched + found;
                let text = if end > 0 && rest[end - 1] == b'\r' { end - 1 } else { end };
                return Ok(Some((text, end + 1)));
            }
            searched = rest.len();
            if searched > MAX_RECORD {
                self.pass_over_line()?;
                searched = 0;
            } else if !self.more()? {
                let len = self.rest().len();
                return Ok((len > 0).then_some((len, len)));
            }
        }
    }

    fn pass_over_line(&mut self) -> Result<(), Stop> {
        let number = self.line;
        loop {
            if let Some(found) = memchr::memchr(b'\n', self.rest()) {
                self.at += found + 1;
                self.line += 1;
                break;
            }
            self.at = self.len;
            if !self.more()? {
                break;
            }
        }
        let message = format!("a line longer than {} MiB is left out", MAX_RECORD >> 20);
        self.issue(number, IssueKind::TooLarge, message);
        Ok(())
    }

    fn lines(&mut self) -> Result<(), Stop> {
        while let Some((len, whole)) = self.line()? {
            self.take_line(len, whole)?;
        }
        Ok(())
    }

    fn take_line(&mut self, len: usize, whole: usize) -> Result<(), Stop> {
        let text = &self.buffer[self.at..self.at + len];
        // A rotation by truncation can leave a hole of NULs before the first new line.
        let hole = if text.first() == Some(&0) { text.iter().take_while(|b| **b == 0).count() } else { 0 };
        if !text[hole..].iter().all(u8::is_ascii_whitespace) {
            self.emit(self.line, self.at + hole, self.at + len)?;
        }
        self.at += whole;
        self.line += 1;
        Ok(())
    }

    /// A file that begins with an object.
    fn documents(&mut self) -> Result<(), Stop> {
        // The first line decides whether lines are documents.
        let mut follow = match self.line()? {
            None => return Ok(()),
            Some((len, _)) => {
                let first = self.buffer[self.at..self.at + len].trim_ascii();
                json::Scanner::default().feed(first) != Some(first.len())
            }
        };
        while let Some((len, whole)) = self.line()? {
            let text = self.buffer[self.at..self.at + len].trim_ascii();
            let opens = matches!(text, [b'{', ..]) || (follow && matches!(text, [b',', ..]));
            if opens && (follow || text.last() != Some(&b'}')) {
                if self.document()? {
                    continue;
                }
                // Not JSON after all, or broken: its lines are records.
                follow = false;
                if matches!(self.rest().first(), Some(b'{' | b',')) {
                    let message = "a JSON document begins here and never ends; read as lines".to_owned();
                    self.issue(self.line, IssueKind::Damaged, message);
                    return self.lines();
                }
                continue;
            }
            self.take_line(len, whole)?;
        }
        Ok(())
    }

    fn skip_separators(&mut self) -> Result<bool, Stop> {
        loop {
            while self.at < self.len {
                match self.buffer[self.at] {
                    b'\n' => self.line += 1,
                    b',' | b' ' | b'\t' | b'\r' => {}
                    _ => return Ok(true),
                }
                self.at += 1;
            }
            if !self.more()? {
                return Ok(false);
            }
        }
    }

    /// Where the bracketed value at the cursor ends.
    fn extent(&mut self) -> Result<Extent, Stop> {
        let mut scanner = json::Scanner::default();
        let mut scanned = 0;
        loop {
            let rest = &self.buffer[self.at..self.len];
            if let Some(end) = scanner.feed(&rest[scanned..]) {
                return Ok(Extent::At(self.at + scanned + end));
            }
            scanned = rest.len();
            if scanned > MAX_RECORD {
                return Ok(Extent::TooLong(scanner));
            }
            if !self.more()? {
                return Ok(Extent::Missing);
            }
        }
    }

    /// Emits the document at the cursor. `false` where it has no end; then nothing is consumed.
    fn document(&mut self) -> Result<bool, Stop> {
        if !self.skip_separators()? || self.buffer[self.at] != b'{' {
            return Ok(self.at == self.len);
        }
        let Extent::At(end) = self.extent()? else { return Ok(false) };
        self.emit(self.line, self.at, end)?;
        self.consume(end);
        Ok(true)
    }

    fn consume(&mut self, end: usize) {
        self.line += memchr::memchr_iter(b'\n', &self.buffer[self.at..end]).count() as u64;
        self.at = end;
    }

    /// A list whose elements begin `begin` bytes after the cursor.
    fn list(&mut self, begin: usize) -> Result<(), Stop> {
        let wrapped = self.rest().trim_ascii_start().first() == Some(&b'{');
        self.consume(self.at + begin);
        let mut number = 0;
        loop {
            if !self.skip_separators()? {
                self.issue(number, IssueKind::Damaged, "the list of records has no end".to_owned());
                return Ok(());
            }
            match self.buffer[self.at] {
                b']' => break,
                b'{' => {
                    number += 1;
                    match self.extent()? {
                        Extent::At(end) => {
                            self.emit(number, self.at, end)?;
                            self.consume(end);
                        }
                        Extent::TooLong(scanner) => {
                            let message =
                                format!("a record longer than {} MiB is left out", MAX_RECORD >> 20);
                            self.issue(number, IssueKind::TooLarge, message);
                            self.at = self.len;
                            self.discard(scanner)?;
                        }
                        Extent::Missing => {
                            self.issue(number, IssueKind::Damaged, "the last record has no end".to_owned());
                            self.at = self.len;
                            return Ok(());
                        }
                    }
                }
                _ => {
                    let message = "not a record: the list holds something other than objects; \
                                   the rest of the file is left out";
                    self.issue(number + 1, IssueKind::Damaged, message.to_owned());
                    self.at = self.len;
                    while self.more()? {
                        self.at = self.len;
                    }
                    return Ok(());
                }
            }
        }
        self.at += 1;
        if wrapped {
            // What stands beside the list in its object is no record.
            let mut scanner = json::Scanner::default();
            scanner.feed(b"{");
            self.discard(scanner)?;
        }
        self.skip_separators()?;
        Ok(())
    }

    /// Passes over the rest of a bracketed value.
    fn discard(&mut self, mut scanner: json::Scanner) -> Result<(), Stop> {
        loop {
            if let Some(end) = scanner.feed(&self.buffer[self.at..self.len]) {
                self.consume(self.at + end);
                return Ok(());
            }
            self.consume(self.len);
            if !self.more()? {
                return Ok(());
            }
        }
    }
}
