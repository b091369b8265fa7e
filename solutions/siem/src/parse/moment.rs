//! Times as logs write them. Each function reads one form from a text's begin or whole, and says
//! nothing where the text is another form.

use covigil_model::Time;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time in any form that stands alone in a field: RFC 3339 and its looser forms (without a zone:
/// `offset` seconds east of UTC), numbers since the epoch, the web servers' form, `/Date(ms)/`.
pub(crate) fn any(text: &str, offset: i32) -> Option<Time> {
    let text = text.trim();
    if let Some(time) = iso(text, offset) {
        return Some(time);
    }
    if text.bytes().next()?.is_ascii_digit() && text.len() <= 32 {
        if let Some(time) = epoch(text) {
            return Some(time);
        }
        return web(text).or_else(|| slashed(text, offset));
    }
    if let Some(millis) = text.strip_prefix("/Date(").and_then(|rest| rest.split(')').next()) {
        return millis.parse().ok().map(Time::from_millis);
    }
    None
}

/// RFC 3339 and its looser forms, the whole text; also with a space before the zone.
pub(crate) fn iso(text: &str, offset: i32) -> Option<Time> {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || bytes[4] != b'-' {
        return None;
    }
    // The shape is checked by the reader; here only whether a zone was written.
    if let Some((head, zone)) = text.get(19..).and_then(|rest| rest.rsplit_once(' '))
        && matches!(zone.as_bytes().first(), Some(b'+' | b'-'))
    {
        return Time::parse(&format!("{}{head}{zone}", text.get(..19)?));
    }
    let time = Time::parse(text)?;
    let zoned = bytes[19..].iter().any(|b| matches!(b, b'Z' | b'z' | b'+' | b'-' | b'U'));
    Some(if zoned { time } else { time.plus_secs(-i64::from(offset)) })
}

/// A number since the epoch, keeping the digits after its point: seconds, milliseconds,
/// microseconds or nanoseconds, told apart by size.
pub(crate) fn epoch(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || whole.len() > 19 || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return Time::from_epoch_number(text.parse().ok()?);
    }
    let number: i64 = whole.parse().ok()?;
    if number >= 100_000_000_000 {
        return Some(match number {
            n if n < 100_000_000_000_000 => Time::from_millis(n),
            n if n < 100_000_000_000_000_000 => Time::from_micros(n),
            n => Time::from_nanos(n),
        });
    }
    let mut nanos = 0i64;
    for place in 0..9 {
        let digit = match fraction.as_bytes().get(place) {
            None => 0,
            Some(b) if b.is_ascii_digit() => i64::from(b - b'0'),
            Some(_) => return Time::from_epoch_number(text.parse().ok()?),
        };
        nanos = nanos * 10 + digit;
    }
    Some(Time::from_secs(number).plus_nanos(nanos))
}

/// `10/Oct/2000:13:55:36 -0700`, as web servers log.
pub(crate) fn web(text: &str) -> Option<Time> {
    let b = text.as_bytes();
    if b.len() < 20 || b[2] != b'/' || b[6] != b'/' || b[11] != b':' {
        return None;
    }
    let date = (number(text.get(7..11)?)? as i32, month(text.get(3..6)?)?, number(text.get(0..2)?)? as u8);
    let time = Time::from_civil(date, clock(text.get(12..20)?)?, 0)?;
    let Some(zone) = text.get(21..26) else { return Some(time) };
    let minutes = number(zone.get(1..3)?)? * 60 + number(zone.get(3..5)?)?;
    let seconds = i64::from(minutes) * 60;
    match zone.as_bytes()[0] {
        b'-' => Some(time.plus_secs(seconds)),
        b'+' => Some(time.plus_secs(-seconds)),
        _ => None,
    }
}

/// `2024/01/02 03:04:05`, as nginx's error log has it.
pub(crate) fn slashed(text: &str, offset: i32) -> Option<Time> {
    let b = text.as_bytes();
    if b.len() < 19 || b[4] != b'/' || b[7] != b'/' || b[10] != b' ' {
        return None;
    }
    let date =
        (number(text.get(0..4)?)? as i32, number(text.get(5..7)?)? as u8, number(text.get(8..10)?)? as u8);
    Some(Time::from_civil(date, clock(text.get(11..19)?)?, 0)?.plus_secs(-i64::from(offset)))
}

/// `Jan  2 03:04:05`, with a fraction and with a year before or after the clock where it has one,
/// at the begin of a text. Yields the time, and how many bytes it took. A year that is missing is
/// the latest that does not put the time more than two days after `received`.
pub(crate) fn syslog(text: &str, received: Time, offset: i32) -> Option<(Time, usize)> {
    let month = month(text.get(..3)?)?;
    let mut at = 3;
    let day = take_number(text, &mut at, 2)? as u8;
    let mut year = None;
    let before = at;
    if let Some(found) = take_number(text, &mut at, 4)
        && (1_970..2_262).contains(&found)
        && text.as_bytes().get(at) == Some(&b' ')
    {
        year = Some(found as i32);
    } else {
        at = before;
    }
    at += spaces(text, at)?;
    let clock = clock(text.get(at..at + 8)?)?;
    at += 8;
    let mut nanos = 0u32;
    if matches!(text.as_bytes().get(at), Some(b'.' | b',')) {
        let digits = text.as_bytes()[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if (1..=9).contains(&digits) {
            nanos = number(text.get(at + 1..at + 1 + digits)?)? * 10u32.pow(9 - digits as u32);
            at += 1 + digits;
        }
    }
    if year.is_none()
        && let Some(found) = text.get(at + 1..at + 5).and_then(number)
        && text.as_bytes()[at] == b' '
        && (1_970..2_262).contains(&found)
        && matches!(text.as_bytes().get(at + 5), None | Some(b' ' | b':'))
    {
        year = Some(found as i32);
        at += 5;
    }
    let read = |year| Some(Time::from_civil((year, month, day), clock, nanos)?.plus_secs(-i64::from(offset)));
    if let Some(year) = year {
        return Some((read(year)?, at));
    }
    let (this_year, ..) = received.plus_secs(172_800).date();
    // Eight years back finds a 29th of February, whatever the century.
    let time =
        (this_year - 8..=this_year).rev().filter_map(read).find(|t| *t <= received.plus_secs(172_800))?;
    Some((time, at))
}

/// The number of a month's English three-letter name.
fn month(name: &str) -> Option<u8> {
    MONTHS.iter().position(|m| m.eq_ignore_ascii_case(name)).map(|index| index as u8 + 1)
}

/// `03:04:05`.
fn clock(text: &str) -> Option<(u8, u8, u8)> {
    let b = text.as_bytes();
    if b.len() != 8 || b[2] != b':' || b[5] != b':' {
        return None;
    }
    Some((number(text.get(0..2)?)? as u8, number(text.get(3..5)?)? as u8, number(text.get(6..8)?)? as u8))
}

/// Decimal digits only, at most nine.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// How many spaces stand at `at`; none is no match.
fn spaces(text: &str, at: usize) -> Option<usize> {
    let count = text.as_bytes().get(at..)?.iter().take_while(|b| **b == b' ').count();
    (count > 0).then_some(count)
}

/// Spaces and a number of at most `most` digits.
fn take_number(text: &str, at: &mut usize, most: usize) -> Option<u32> {
    let start = *at + spaces(text, *at)?;
    let digits = text.as_bytes()[start..].iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || digits > most {
        return None;
    }
    *at = start + digits;
    number(text.get(start..*at)?)
}

#[cfg(test)]
mod tests {
    use proptest::proptest;

    use super::*;

    fn at(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    #[test]
    fn a_missing_year_is_the_one_that_fits() {
        let received = at("2026-01-01T00:10:00Z");
        let read = |text| syslog(text, received, 0).map(|(time, _)| time);
        assert_eq!(read("Dec 31 23:59:59 h"), Some(at("2025-12-31T23:59:59Z")));
        assert_eq!(read("Jan  1 00:09:59 h"), Some(at("2026-01-01T00:09:59Z")));
        assert_eq!(read("Jan  2 03:00:00 h"), Some(at("2026-01-02T03:00:00Z")));
        assert_eq!(read("Feb 29 03:00:00 h"), Some(at("2024-02-29T03:00:00Z")));
        assert_eq!(read("Jan 1 2019 03:00:00.250: h"), Some(at("2019-01-01T03:00:00.250Z")));
        assert_eq!(read("Jan 1 03:00:00 2019 h"), Some(at("2019-01-01T03:00:00Z")));
        assert_eq!(read("Foo 1 03:00:00 h"), None);
        assert_eq!(read("Feb 30 03:00:00 h"), None);
    }

    #[test]
    fn local_times_are_moved_to_utc() {
        let received = at("2026-05-01T12:00:00Z");
        let time = syslog("May  1 14:00:00 h", received, 7_200).map(|(time, _)| time);
        assert_eq!(time, Some(received));
        assert_eq!(any("2026-05-01 14:00:00.5", 7_200), Some(at("2026-05-01T12:00:00.5Z")));
        assert_eq!(any("2026-05-01T14:00:00+0200", 0), Some(received));
        assert_eq!(any("2026-05-01 14:00:00 +0200", 0), Some(received));
    }

    #[test]
    fn forms_of_fields() {
        let expected = Some(at("2023-11-14T22:13:20.123456Z"));
        assert_eq!(any("1700000000.123456", 0), expected);
        assert_eq!(any("1700000000123456", 0), expected);
        assert_eq!(any("14/Nov/2023:23:13:20 +0100", 0), Some(at("2023-11-14T22:13:20Z")));
        assert_eq!(any("/Date(1700000000123)/", 0), Some(at("2023-11-14T22:13:20.123Z")));
        assert_eq!(any("2023/11/14 22:13:20", 0), Some(at("2023-11-14T22:13:20Z")));
        assert_eq!(any("yesterday", 0), None);
        assert_eq!(any("", 0), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}", shape in "[JF][ae][nb] {1,2}[0-9é]{1,2} [0-9:. ]{0,24}") {
            let received = Time::from_secs(1_700_000_000);
            let _ = any(&text, 0);
            let _ = syslog(&text, received, 0);
            let _ = syslog(&shape, received, 0);
        }
    }
}
