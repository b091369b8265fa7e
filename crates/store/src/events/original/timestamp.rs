//! Timestamps inside an original that can be written again from the event's time.
//!
//! A [`Format`] is found by looking for the event's minutes and seconds, or its seconds since the
//! epoch, and comparing what the format would write with what stands there, byte for byte. Offsets
//! from UTC are whole hours; others are left as text.

use std::{fmt::Write as _, ops::Range};

use covigil_model::Time;

/// How far into the original timestamps are looked for, in bytes.
const REACH: usize = 4_096;
/// Timestamps looked at in one original.
const MAX_HITS: usize = 4;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A way to write a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Format {
    style: Style,
    /// Hours that the written clock is ahead of UTC.
    offset: i8,
    /// Character before the fraction; 0 where there is none.
    point: u8,
    /// Digits of the fraction.
    digits: u8,
    zone: Zone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Style {
    /// `2026-11-24T15:04:05`, with this character between.
    Iso(u8),
    /// `Nov 24 15:04:05` or `Nov  4 15:04:05`.
    Syslog,
    /// `24/Nov/2026:15:04:05`.
    Clf,
    /// `15:04:05`.
    Clock,
    /// Seconds since the epoch.
    Epoch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Zone {
    /// Nothing.
    Silent,
    /// `Z`.
    Zulu,
    /// `+02:00`.
    Colon,
    /// `+0200`.
    Plain,
    /// ` +0200`.
    Spaced,
}

impl Format {
    /// Appends `time` as the format writes it.
    pub(crate) fn write(self, time: Time, out: &mut String) {
        let local = time.plus_secs(i64::from(self.offset) * 3_600);
        let (year, month, day) = local.date();
        let of_day = local.secs().rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        let name = MONTHS.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or("");
        let written = match self.style {
            Style::Iso(between) => {
                write!(
                    out,
                    "{year:04}-{month:02}-{day:02}{}{hour:02}:{minute:02}:{second:02}",
                    char::from(between)
                )
            }
            Style::Syslog => write!(out, "{name} {day:2} {hour:02}:{minute:02}:{second:02}"),
            Style::Clf => write!(out, "{day:02}/{name}/{year:04}:{hour:02}:{minute:02}:{second:02}"),
            Style::Clock => write!(out, "{hour:02}:{minute:02}:{second:02}"),
            Style::Epoch => write!(out, "{}", time.secs()),
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        if self.point != 0 {
            out.push(char::from(self.point));
        }
        push_fraction(time, self.digits, out);
        let (sign, hours) = (if self.offset < 0 { '-' } else { '+' }, self.offset.unsigned_abs());
        match self.zone {
            Zone::Silent => {}
            Zone::Zulu => out.push('Z'),
            Zone::Colon => drop(write!(out, "{sign}{hours:02}:00")),
            Zone::Plain => drop(write!(out, "{sign}{hours:02}00")),
            Zone::Spaced => drop(write!(out, " {sign}{hours:02}00")),
        }
    }

    /// Appends the format's own text form, such as `iT+0.7Z`.
    pub(crate) fn encode(self, out: &mut String) {
        match self.style {
            Style::Iso(between) => {
                out.push('i');
                out.push(char::from(between));
            }
            Style::Syslog => out.push('s'),
            Style::Clf => out.push('c'),
            Style::Clock => out.push('h'),
            Style::Epoch => out.push('e'),
        }
        let _ = write!(out, "{:+}", self.offset);
        if self.digits > 0 {
            out.push(if self.point == 0 { '_' } else { char::from(self.point) });
            let _ = write!(out, "{}", self.digits);
        }
        out.push_str(match self.zone {
            Zone::Silent => "",
            Zone::Zulu => "Z",
            Zone::Colon => ":",
            Zone::Plain => "p",
            Zone::Spaced => "s",
        });
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut next = || {
            let c = rest.chars().next()?;
            rest = &rest[c.len_utf8()..];
            Some(c)
        };
        let style = match next()? {
            'i' => Style::Iso(u8::try_from(next()?).ok()?),
            's' => Style::Syslog,
            'c' => Style::Clf,
            'h' => Style::Clock,
            'e' => Style::Epoch,
            _ => return None,
        };
        let sign = next()?;
        let len = rest.bytes().take_while(u8::is_ascii_digit).count();
        let hours: i8 = rest[..len].parse().ok()?;
        rest = &rest[len..];
        let offset = match sign {
            '+' => hours,
            '-' => -hours,
            _ => return None,
        };
        let (mut point, mut digits) = (0, 0);
        if let [mark @ (b'.' | b',' | b'_'), digit @ b'1'..=b'9', ..] = rest.as_bytes() {
            point = if *mark == b'_' { 0 } else { *mark };
            digits = digit - b'0';
            rest = &rest[2..];
        }
        let zone = match rest {
            "" => Zone::Silent,
            "Z" => Zone::Zulu,
            ":" => Zone::Colon,
            "p" => Zone::Plain,
            "s" => Zone::Spaced,
            _ => return None,
        };
        Some(Self { style, offset, point, digits, zone })
    }
}

/// Appends the first digits of the fraction of a second.
fn push_fraction(time: Time, digits: u8, out: &mut String) {
    let mut place = 100_000_000;
    let nanos = time.nanos().rem_euclid(1_000_000_000);
    for _ in 0..digits {
        out.push(char::from(b'0' + (nanos / place % 10) as u8));
        place = (place / 10).max(1);
    }
}

/// Finds the stretches of `original` that are a timestamp of `time`, ascending.
pub(crate) fn find(
    original: &str,
    time: Time,
    scratch: &mut String,
    found: &mut Vec<(Range<usize>, Format)>,
) {
    let mut end = original.len().min(REACH);
    while !original.is_char_boundary(end) {
        end -= 1;
    }
    let text = &original.as_bytes()[..end];
    let second = time.secs().rem_euclid(60);
    let minute = time.secs().div_euclid(60).rem_euclid(60);
    let two = |n: i64| [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
    let ([m1, m2], [s1, s2]) = (two(minute), two(second));
    let needle = [b':', m1, m2, b':', s1, s2];
    for at in memchr::memmem::find_iter(text, &needle).take(MAX_HITS) {
        if let Some((range, format)) = civil(text, at, time, scratch) {
            found.push((range, format));
        }
    }
    if time.secs() >= 1_000_000_000 {
        scratch.clear();
        let _ = write!(scratch, "{}", time.secs());
        let hits: Vec<usize> = memchr::memmem::find_iter(text, scratch.as_bytes()).take(MAX_HITS).collect();
        for at in hits {
            found.extend(epoch(text, at, time, scratch));
        }
    }
    found.sort_unstable_by_key(|(range, _)| range.start);
}

/// The timestamp whose `:mm:ss` is at `at`.
fn civil(text: &[u8], at: usize, time: Time, scratch: &mut String) -> Option<(Range<usize>, Format)> {
    let hour = number(text.get(at.checked_sub(2)?..at)?)?;
    let utc = time.secs().div_euclid(3_600).rem_euclid(24);
    let ahead = (i64::from(hour) - utc).rem_euclid(24);
    let fraction = fraction_at(text, at + 6, time, scratch);
    for offset in [ahead, ahead - 24] {
        if !(-12..=14).contains(&offset) || hour > 23 {
            continue;
        }
        for (back, style) in [
            (13, at.checked_sub(3).and_then(|p| text.get(p)).map(|b| Style::Iso(*b))),
            (14, Some(Style::Clf)),
            (9, Some(Style::Syslog)),
            (2, Some(Style::Clock)),
        ] {
            let (Some(style), Some(start)) = (style, at.checked_sub(back)) else { continue };
            if matches!(style, Style::Iso(between) if !matches!(between, b'T' | b't' | b' ' | b'_' | b'/')) {
                continue;
            }
            let mut format = Format { style, offset: offset as i8, point: 0, digits: 0, zone: Zone::Silent };
            if style == Style::Clock && offset != 0 {
                continue;
            }
            let matches = |format: Format, scratch: &mut String| {
                scratch.clear();
                format.write(time, scratch);
                text[start..].starts_with(scratch.as_bytes()).then_some(start + scratch.len())
            };
            let Some(mut end) = matches(format, scratch) else { continue };
            if let Some((point, digits)) = fraction {
                let with = Format { point, digits, ..format };
                if let Some(longer) = matches(with, scratch) {
                    (format, end) = (with, longer);
                }
            }
            for zone in [Zone::Zulu, Zone::Colon, Zone::Plain, Zone::Spaced] {
                if zone == Zone::Zulu && offset != 0 {
                    continue;
                }
                let with = Format { zone, ..format };
                if let Some(longer) = matches(with, scratch) {
                    (format, end) = (with, longer);
                    break;
                }
            }
            return Some((start..end, format));
        }
    }
    None
}

/// The seconds since the epoch whose first digit is at `at`.
fn epoch(text: &[u8], at: usize, time: Time, scratch: &mut String) -> Option<(Range<usize>, Format)> {
    if at > 0 && text[at - 1].is_ascii_digit() {
        return None;
    }
    let end = at + 10;
    let plain = Format { style: Style::Epoch, offset: 0, point: 0, digits: 0, zone: Zone::Silent };
    let run = text[end..].iter().take_while(|b| b.is_ascii_digit()).count();
    let format = match run {
        0 => match fraction_at(text, end, time, scratch) {
            Some((point, digits)) => Format { point, digits, ..plain },
            None => plain,
        },
        1..=9 => Format { digits: run as u8, ..plain },
        _ => return None,
    };
    scratch.clear();
    format.write(time, scratch);
    text[at..].starts_with(scratch.as_bytes()).then(|| (at..at + scratch.len(), format))
}

/// A point and digits at `at` that are the fraction of `time`'s second.
fn fraction_at(text: &[u8], at: usize, time: Time, scratch: &mut String) -> Option<(u8, u8)> {
    let point = *text.get(at).filter(|b| matches!(b, b'.' | b','))?;
    let run = text[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
    let digits = u8::try_from(run).ok().filter(|n| (1..=9).contains(n))?;
    scratch.clear();
    push_fraction(time, digits, scratch);
    text[at + 1..].starts_with(scratch.as_bytes()).then_some((point, digits))
}

fn number(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0u8, |n, b| b.is_ascii_digit().then(|| n.wrapping_mul(10).wrapping_add(b - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(original: &str, time: Time) -> Vec<(String, String)> {
        let (mut scratch, mut ranges) = (String::new(), Vec::new());
        find(original, time, &mut scratch, &mut ranges);
        ranges
            .into_iter()
            .map(|(range, format)| {
                let mut code = String::new();
                format.encode(&mut code);
                assert_eq!(Format::decode(&code), Some(format));
                let mut text = String::new();
                format.write(time, &mut text);
                assert_eq!(text, original[range.clone()]);
                (original[range].to_owned(), code)
            })
            .collect()
    }

    #[test]
    fn the_forms_that_logs_use_are_found() {
        let time = Time::from_nanos(1_700_000_000_123_456_700);
        for (text, stamp, code) in [
            ("at 2023-11-14T22:13:20.1234567Z ", "2023-11-14T22:13:20.1234567Z", "iT+0.7Z"),
            ("2023-11-15 00:13:20,123+02:00", "2023-11-15 00:13:20,123+02:00", "i +2,3:"),
            ("<13>Nov 14 22:13:20 host", "Nov 14 22:13:20", "s+0"),
            ("<13>Nov 14 17:13:20 host", "Nov 14 17:13:20", "s-5"),
            ("[14/Nov/2023:23:13:20 +0100]", "14/Nov/2023:23:13:20 +0100", "c+1s"),
            ("{\"ts\":1700000000123}", "1700000000123", "e+0_3"),
            ("{\"ts\":1700000000.123456}", "1700000000.123456", "e+0.6"),
            ("{\"ts\":1700000000}", "1700000000", "e+0"),
            ("x 22:13:20.9", "22:13:20", "h+0"),
        ] {
            assert_eq!(found(text, time), [(stamp.to_owned(), code.to_owned())], "{text}");
        }
        assert_eq!(found("91700000000 2023-11-14T22:14:20Z", time), []);
    }

    proptest! {
        #[test]
        fn what_is_found_can_be_written_again(nanos in any::<i64>(), before in ".{0,12}", after in ".{0,12}") {
            let time = Time::from_nanos(nanos);
            found(&format!("{before}{time}{after}"), time);
            found(&format!("{before}{}{after}", time.secs()), time);
        }

        #[test]
        fn any_code_is_read_or_refused(code in "[a-z+.,0-9_TZ:]{0,8}") {
            if let Some(format) = Format::decode(&code) {
                let mut out = String::new();
                format.write(Time::from_nanos(1_700_000_000_123_456_700), &mut out);
            }
        }
    }
}
