//! How values reach a page: the one escaper, and values that need more than escaping (times,
//! counts, sizes, addresses within the console).
//!
//! Text from logs is hostile. [`Visible`] is the escaper of every template: it escapes markup, and
//! shows control and bidirectional characters instead of letting them act.

use std::fmt::{self, Write};

use covigil_model::{Alert, AlertState, Disposition, Severity, Time, health::SourceState};

/// The escaper of all templates.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visible;

impl askama::filters::Escaper for Visible {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let mut clean = 0;
        for (at, c) in text.char_indices() {
            let Some(shown) = replacement(c) else { continue };
            dest.write_str(&text[clean..at])?;
            shown.write(c, &mut dest)?;
            clean = at + c.len_utf8();
        }
        dest.write_str(&text[clean..])
    }
}

/// The names of the control characters U+0000 to U+001F (ECMA-48).
const C0: [&str; 32] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI",
    "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS",
    "US",
];

enum Shown {
    Markup(&'static str),
    Named,
    Code,
}

impl Shown {
    fn write<W: Write>(&self, c: char, dest: &mut W) -> fmt::Result {
        match self {
            Self::Markup(entity) => dest.write_str(entity),
            Self::Named => write!(dest, "⟨{}⟩", C0.get(c as usize).copied().unwrap_or("DEL")),
            Self::Code => write!(dest, "⟨U+{:04X}⟩", c as u32),
        }
    }
}

/// What is shown in place of a character; `None` for the character itself.
const fn replacement(c: char) -> Option<Shown> {
    Some(match c {
        '&' => Shown::Markup("&amp;"),
        '<' => Shown::Markup("&lt;"),
        '>' => Shown::Markup("&gt;"),
        '"' => Shown::Markup("&quot;"),
        '\'' => Shown::Markup("&#39;"),
        '\t' | '\n' => return None,
        '\u{0}'..='\u{1f}' | '\u{7f}' => Shown::Named,
        // C1 controls, joiners and marks without width, line and paragraph separators, embeddings,
        // overrides and isolates (Unicode UAX 9), invisible operators, the byte order mark, tags.
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => Shown::Code,
        _ => return None,
    })
}

/// A value that goes back to the server as it is: in a hidden field, or for a script to read.
/// Escaped for an attribute, and otherwise unchanged.
pub struct Exact<'a>(pub &'a str);

impl fmt::Display for Exact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\0' => f.write_str("\u{fffd}")?,
                // Written as references, so that the page's own text stays free of what acts unseen
                // (a log of it, or a tool that shows it). References to C1 controls would be
                // read as Windows-1252.
                '\u{80}'..='\u{9f}' => f.write_char(c)?,
                c if c.is_control() || replacement(c).is_some() => write!(f, "&#{};", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// [`Exact`] for templates, used as `{{ exact(value)|safe }}`.
pub const fn exact(text: &str) -> Exact<'_> {
    Exact(text)
}

/// A time as markup: UTC for readers without scripts, which rewrite it relative and in the
/// reader's zone. Used as `{{ when(time)|safe }}`.
pub fn when(time: &Time) -> String {
    format!(r#"<time datetime="{time}">{}</time>"#, utc(time))
}

/// Like [`when`], with the absolute time beside the relative one.
pub fn when_full(time: &Time) -> String {
    format!(r#"<time datetime="{time}" data-form="full">{}</time>"#, utc(time))
}

/// Like [`when`], absolute to the millisecond: for rows of events.
pub fn when_exact(time: &Time) -> String {
    format!(r#"<time datetime="{time}" data-form="exact">{}</time>"#, utc(time))
}

/// Like [`when`], absolute to the second.
pub fn when_second(time: &Time) -> String {
    format!(r#"<time datetime="{time}" data-form="second">{}</time>"#, utc(time))
}

/// Day and time in UTC to the second, for people.
pub fn utc(time: &Time) -> String {
    let text = Time::from_secs(time.secs()).to_string();
    format!("{} {} UTC", &text[..10], text.get(11..19).unwrap_or(""))
}

/// A count with thin groups: `12,345`.
pub fn count(number: &u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count of things, with the word in singular or plural.
pub fn counted(number: &u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if *number == 1 { one } else { many })
}

/// A size: `1.4 GB`.
pub fn bytes(size: &u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = *size as f64;
    let mut unit = 0;
    while value >= 1_000.0 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    if unit == 0 { format!("{size} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A rate: `0.4`, `12`, `8,400`.
pub fn rate(per_second: &f64) -> String {
    if *per_second < 10.0 && *per_second > 0.0 {
        format!("{per_second:.1}")
    } else {
        count(&(per_second.round().max(0.0) as u64))
    }
}

/// A span of milliseconds: `40 ms`, `1.2 s`, `3 min`, `5 h`, `2 days`.
pub fn duration_ms(ms: &u64) -> String {
    let secs = ms / 1_000;
    match secs {
        0 => format!("{ms} ms"),
        1..60 => format!("{:.1} s", *ms as f64 / 1_000.0),
        60..3_600 => format!("{} min", secs / 60),
        3_600..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} days", secs / 86_400),
    }
}

/// A severity's mark: shape, colour and word. Markup without any value in it.
pub const fn severity(severity: &Severity) -> &'static str {
    match severity {
        Severity::Critical => {
            r#"<span class="sev sev-critical"><svg viewBox="0 0 12 12" aria-hidden="true"><path d="M3.8.8h4.4l3 3v4.4l-3 3H3.8l-3-3V3.8z"/></svg>Critical</span>"#
        }
        Severity::High => {
            r#"<span class="sev sev-high"><svg viewBox="0 0 12 12" aria-hidden="true"><path d="M6 .9 11.6 11H.4z"/></svg>High</span>"#
        }
        Severity::Medium => {
            r#"<span class="sev sev-medium"><svg viewBox="0 0 12 12" aria-hidden="true"><path d="m6 .6 5.4 5.4L6 11.4.6 6z"/></svg>Medium</span>"#
        }
        Severity::Low => {
            r#"<span class="sev sev-low"><svg viewBox="0 0 12 12" aria-hidden="true"><path d="M1.5 1.5h9v9h-9z"/></svg>Low</span>"#
        }
        Severity::Informational => {
            r#"<span class="sev sev-info"><svg viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="4.2" fill="none" stroke="currentColor" stroke-width="1.8"/></svg>Info</span>"#
        }
    }
}

/// A disposition, for people.
pub const fn disposition(disposition: &Disposition) -> &'static str {
    match disposition {
        Disposition::TruePositive => "true positive",
        Disposition::Benign => "benign",
        Disposition::FalsePositive => "false positive",
        Disposition::Duplicate => "duplicate",
    }
}

/// Where an alert stands, for people.
pub fn standing(alert: &Alert) -> String {
    match (alert.state, alert.disposition) {
        (AlertState::New, _) => "New".to_owned(),
        (AlertState::InProgress, _) => "In progress".to_owned(),
        (AlertState::Closed, Some(how)) => format!("Closed: {}", disposition(&how)),
        (AlertState::Closed, None) => "Closed".to_owned(),
    }
}

/// The state of a source, in a word.
pub const fn source_state(state: &SourceState) -> &'static str {
    match state {
        SourceState::Live => "live",
        SourceState::Silent => "silent",
        SourceState::Unreadable => "unreadable",
        SourceState::Off => "off",
    }
}

/// `text` for a query string or a path segment.
pub fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Cuts text to `max` characters for a line of a table.
pub fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use askama::filters::Escaper;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        Visible.write_escaped_str(&mut out, text).unwrap();
        out
    }

    #[test]
    fn markup_is_escaped_and_what_acts_unseen_is_shown() {
        assert_eq!(
            escaped(r#"<img src=x onerror='a("b")'>&"#),
            "&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;&amp;"
        );
        assert_eq!(escaped("a\x1b[31m\0\r\u{7f}b\tc\n"), "a⟨ESC⟩[31m⟨NUL⟩⟨CR⟩⟨DEL⟩b\tc\n");
        assert_eq!(escaped("gpj\u{202e}exe.\u{2066}x\u{feff}"), "gpj⟨U+202E⟩exe.⟨U+2066⟩x⟨U+FEFF⟩");
        assert_eq!(escaped("Grüße 東京 🦀"), "Grüße 東京 🦀");
    }

    #[test]
    fn exact_values_survive_an_attribute() {
        assert_eq!(exact("a\"b'<\n\u{202e}").to_string(), "a&quot;b&#39;&lt;&#10;&#8238;");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(&0), "0");
        assert_eq!(count(&1_234_567), "1,234,567");
        assert_eq!(counted(&1, "alert", "alerts"), "1 alert");
        assert_eq!(bytes(&999), "999 B");
        assert_eq!(bytes(&1_430_000_000), "1.4 GB");
        assert_eq!(rate(&0.44), "0.4");
        assert_eq!(duration_ms(&61_000), "1 min");
        assert_eq!(cut("äöü", 2), "äö…");
    }
}
