//! Where a JSON document ends, found without understanding it.

/// Follows brackets and strings byte by byte; feed it a document in pieces.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scanner {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

impl Scanner {
    /// Scans on through `bytes`, which continue what was fed before. Yields the offset just past
    /// the document's closing bracket, where it is in `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                if self.escaped {
                    self.escaped = false;
                    at += 1;
                    continue;
                }
                match memchr::memchr2(b'"', b'\\', &bytes[at..]) {
                    None => return None,
                    Some(found) => {
                        at += found;
                        if bytes[at] == b'"' {
                            self.in_string = false
                        } else {
                            self.escaped = true
                        }
                        at += 1;
                    }
                }
                continue;
            }
            match bytes[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        None
    }
}

/// Where the records of a file begin that is one JSON value holding many: after `[` of a list, or
/// of the list under the one key `Records` (as AWS CloudTrail writes). `None` for anything else;
/// a text line such as `[Sun Mar 10 …]` is anything else.
pub(super) fn list_begin(bytes: &[u8]) -> Option<usize> {
    let after_space = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        at
    };
    let mut at = after_space(0);
    if bytes.get(at) == Some(&b'{') {
        at = after_space(at + 1);
        at = after_space(bytes.get(at..)?.starts_with(b"\"Records\"").then_some(at + 9)?);
        at = after_space((bytes.get(at) == Some(&b':')).then_some(at + 1)?);
    }
    let begin = (bytes.get(at) == Some(&b'[')).then_some(at + 1)?;
    matches!(bytes.get(after_space(begin)), Some(b'{' | b']')).then_some(begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        let text = br#"{"a":"}\"}","b":[{"c":"\\"}]} {"#;
        assert_eq!(Scanner::default().feed(text), Some(text.len() - 2));
        let mut piecewise = Scanner::default();
        let ends: Vec<usize> = (0..text.len()).filter(|i| piecewise.feed(&text[*i..=*i]).is_some()).collect();
        assert_eq!(ends, [text.len() - 3]);
    }

    #[test]
    fn lists_are_told_from_text_in_brackets() {
        assert_eq!(list_begin(b"[\n {\"a\":1}]"), Some(1));
        assert_eq!(list_begin(b"[]"), Some(1));
        assert_eq!(list_begin(b"{ \"Records\" : [{}]}"), Some(15));
        assert_eq!(list_begin(b"[Sun Mar 10] [error]"), None);
        assert_eq!(list_begin(b"{\"Records\":1}"), None);
        assert_eq!(list_begin(b"{}"), None);
    }
}
