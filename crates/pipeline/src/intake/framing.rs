//! Syslog framing over a stream (RFC 6587): octet counting and newline, told apart frame by frame.
//! Pure: bytes in, records out.
//!
//! A sender can lie about a count. A count that is too small leaves a remainder, which becomes a
//! record of its own; one that is too large swallows what follows, which stays in that record, or is
//! cut at newlines where the connection ends first; one
//! over the limit is not believed, and the frame is read up to its newline. So no byte is dropped
//! except those of a record over the limit, which is counted.

/// Digits that a count may have.
const MAX_DIGITS: usize = 9;

/// Cuts one connection's bytes into records.
#[derive(Debug)]
pub struct SyslogFraming {
    buffer: Vec<u8>,
    at: usize,
    /// How far the frame at `at` has been searched for its newline.
    searched: usize,
    limit: usize,
    /// Inside a record over the limit, whose rest is passed over up to the next newline.
    skipping: bool,
    too_long: u64,
}

/// How the frame at the cursor begins.
enum Begin {
    /// A count of this many bytes, which begin after this many.
    Counted { len: usize, after: usize },
    /// Anything else: up to the newline.
    Line,
    /// Not decided yet.
    Unknown,
}

impl SyslogFraming {
    /// Framing for one connection, with records of at most `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), at: 0, searched: 0, limit, skipping: false, too_long: 0 }
    }

    /// Takes what was read from the connection.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 && (self.at == self.buffer.len() || self.at > 64 << 10) {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Records that were over the limit since the last call.
    pub fn take_too_long(&mut self) -> u64 {
        std::mem::take(&mut self.too_long)
    }

    /// The next complete record.
    pub fn next_record(&mut self) -> Option<&[u8]> {
        loop {
            if self.skipping {
                match memchr::memchr(b'\n', &self.buffer[self.at..]) {
                    None => {
                        self.at = self.buffer.len();
                        return None;
                    }
                    Some(found) => {
                        self.at += found + 1;
                        self.skipping = false;
                    }
                }
            }
            // What stands between frames: a newline that a sender adds to counted frames, too.
            while matches!(self.buffer.get(self.at), Some(b'\n' | b'\r' | 0)) {
                self.at += 1;
            }
            let rest = &self.buffer[self.at..];
            let (start, end, next) = match begin(rest, self.limit) {
                Begin::Unknown => return None,
                Begin::Counted { len, after } => {
                    if rest.len() < after + len {
                        return None;
                    }
                    (after, after + len, after + len)
                }
                Begin::Line => match memchr::memchr(b'\n', &rest[self.searched..]) {
                    Some(found) => {
                        let end = self.searched + found;
                        self.searched = 0;
                        if end > self.limit {
                            self.too_long += 1;
                            self.at += end + 1;
                            continue;
                        }
                        (0, end, end + 1)
                    }
                    None => {
                        self.searched = rest.len();
                        if rest.len() > self.limit {
                            self.searched = 0;
                            self.too_long += 1;
                            self.skipping = true;
                            continue;
                        }
                        return None;
                    }
                },
            };
            let (start, end) = (self.at + start, self.at + end);
            self.at += next;
            let record = trim(&self.buffer[start..end]);
            if !record.is_empty() {
                let end = start + record.len();
                return Some(&self.buffer[start..end]);
            }
        }
    }

    /// The connection has ended: what is left is cut at newlines, and handed out by
    /// [`next_record`](Self::next_record); a count that promised more than came is not believed. To be called
    /// until it yields `false`.
    pub fn finish(&mut self) -> bool {
        if self.skipping || self.at >= self.buffer.len() {
            return false;
        }
        if let Begin::Counted { after, .. } = begin(&self.buffer[self.at..], self.limit) {
            self.at += after;
        }
        if self.buffer.last() != Some(&b'\n') {
            self.buffer.push(b'\n');
        }
        true
    }
}

/// The record without the ends that senders add to it.
fn trim(mut record: &[u8]) -> &[u8] {
    while let [head @ .., b'\n' | b'\r' | 0] = record {
        record = head;
    }
    record
}

fn begin(bytes: &[u8], limit: usize) -> Begin {
    match bytes.first() {
        None => return Begin::Unknown,
        Some(b'1'..=b'9') => {}
        Some(_) => return Begin::Line,
    }
    let digits = bytes.iter().take(MAX_DIGITS + 1).take_while(|b| b.is_ascii_digit()).count();
    if digits > MAX_DIGITS {
        return Begin::Line;
    }
    match bytes.get(digits) {
        None => return Begin::Unknown,
        Some(b' ') => {}
        Some(_) => return Begin::Line,
    }
    // Every syslog message begins with `<`: `7 sausages` is text.
    match bytes.get(digits + 1) {
        None => return Begin::Unknown,
        Some(b'<') => {}
        Some(_) => return Begin::Line,
    }
    let len = bytes[..digits].iter().fold(0usize, |n, b| n * 10 + usize::from(b - b'0'));
    if len > limit { Begin::Line } else { Begin::Counted { len, after: digits + 1 } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(input: &[u8], step: usize, limit: usize) -> (Vec<String>, u64) {
        let mut framing = SyslogFraming::new(limit);
        let mut out = Vec::new();
        for part in input.chunks(step) {
            framing.push(part);
            while let Some(record) = framing.next_record() {
                out.push(String::from_utf8_lossy(record).into_owned());
            }
        }
        while framing.finish() {
            while let Some(record) = framing.next_record() {
                out.push(String::from_utf8_lossy(record).into_owned());
            }
        }
        (out, framing.take_too_long())
    }

    #[test]
    fn both_framings_mix_on_one_connection_however_the_bytes_arrive() {
        let input = b"<13>one\r\n7 <13>two<13>three\n9 <13>a\nb c\n\n12345 is text\n<13>unfinished";
        let expected = ["<13>one", "<13>two", "<13>three", "<13>a\nb c", "12345 is text", "<13>unfinished"];
        for step in [1, 2, 3, 7, 1_000] {
            assert_eq!(frames(input, step, 100), (expected.map(String::from).to_vec(), 0), "step {step}");
        }
    }

    #[test]
    fn lying_counts_lose_nothing() {
        assert_eq!(frames(b"5 <13>hello\n<13>next\n", 4, 100).0, ["<13>h", "ello", "<13>next"]);
        assert_eq!(frames(b"20 <13>x\n<13>next\n", 4, 100).0, ["<13>x", "<13>next"]);
        assert_eq!(frames(b"20 <13>x\n90 <13>y", 4, 100).0, ["<13>x", "<13>y"]);
        assert_eq!(frames(b"999999999 <13>x\n<13>next\n", 4, 100).0, ["999999999 <13>x", "<13>next"]);
        assert_eq!(frames(b"99999999999999999999 <13>x\n", 4, 100).0, ["99999999999999999999 <13>x"]);
        assert_eq!(frames(b"0 <13>x\n-1 <13>y\n", 4, 100).0, ["0 <13>x", "-1 <13>y"]);
    }

    #[test]
    fn records_over_the_limit_are_counted_and_the_next_is_read() {
        let mut input = vec![b'<'; 300];
        input.extend_from_slice(b"\n<13>ok\n");
        for step in [1, 50, 1_000] {
            assert_eq!(frames(&input, step, 100), (vec!["<13>ok".to_owned()], 1), "step {step}");
        }
        let mut framing = SyslogFraming::new(100);
        for _ in 0..10_000 {
            framing.push(&[b'x'; 1_000]);
            assert!(framing.next_record().is_none());
            assert!(framing.buffer.capacity() < 256 << 10);
        }
    }

    #[test]
    fn any_bytes_are_framed() {
        let mut seed = 7u64;
        let mut input = Vec::new();
        for _ in 0..200_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            input.push(b"<1 9\n\0ax"[(seed >> 60) as usize % 8]);
        }
        let (whole, lost) = frames(&input, input.len(), 64);
        assert_eq!((whole, lost), frames(&input, 13, 64));
    }
}
