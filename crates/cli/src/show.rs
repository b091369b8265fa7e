//! What goes to the terminal: columns, CSV, and text from outside made harmless.

use std::io::{self, Write};

/// Text of unknown origin for a terminal: control characters (so escape sequences too) and
/// bidirectional controls become visible escapes.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || is_bidi_control(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Marks, embeddings, overrides and isolates of the Unicode bidirectional algorithm (UAX #9).
const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One CSV cell (RFC 4180), with a leading apostrophe where a spreadsheet would take the text for a
/// formula. Numbers, negative ones too, stay as they are.
pub fn csv_cell(text: &str) -> String {
    let number = text.parse::<f64>().is_ok();
    let formula = !number && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Prints rows in columns as wide as their widest cell, the last one free, each at most `widest`.
pub fn columns(out: &mut impl Write, header: &[&str], rows: &[Vec<String>], widest: usize) -> io::Result<()> {
    let last = header.len().saturating_sub(1);
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count()).min(widest);
        }
    }
    let mut line = |cells: &mut dyn Iterator<Item = &str>| -> io::Result<()> {
        for (at, cell) in cells.enumerate() {
            if at == last {
                write!(out, "{cell}")?;
            } else {
                let cut: String = cell.chars().take(widths[at]).collect();
                write!(out, "{cut:<width$}  ", width = widths[at])?;
            }
        }
        writeln!(out)
    };
    line(&mut header.iter().copied())?;
    for row in rows {
        line(&mut row.iter().map(String::as_str))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_bidi_controls_do_not_reach_the_terminal() {
        assert_eq!(harmless("a\u{1b}[31mred\u{202e}x\r\n"), "a\\u{1b}[31mred\\u{202e}x\\r\\n");
    }

    #[test]
    fn formulas_are_disarmed_and_negative_numbers_survive() {
        assert_eq!(csv_cell("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0");
        assert_eq!(csv_cell("-1.5"), "-1.5");
        assert_eq!(csv_cell("a\"b,c"), "\"a\"\"b,c\"");
        assert_eq!(csv_cell("@x"), "'@x");
    }
}
