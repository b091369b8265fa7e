//! A point in time: nanoseconds since 1970-01-01 UTC. Covers 1677 to 2262; times outside are
//! clamped to the ends.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, in nanoseconds since the Unix epoch, UTC. Written as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

const NANOS: i64 = 1_000_000_000;

impl Time {
    /// The earliest time there is.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest time there is.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds since the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(NANOS))
    }

    /// The clock of this machine. The one place where time enters the pure crates: callers hand
    /// times on as arguments.
    pub fn now() -> Self {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)),
            Err(before) => Self(-i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX)),
        }
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Microseconds since the epoch, rounded down.
    pub const fn micros(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(NANOS)
    }

    /// The time `nanos` later (earlier, where negative).
    #[must_use]
    pub const fn plus_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// The time `secs` seconds later (earlier, where negative).
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        self.plus_nanos(secs.saturating_mul(NANOS))
    }

    /// Nanoseconds from `earlier` to `self`.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Year, month and day in UTC.
    pub fn date(self) -> (i32, u8, u8) {
        civil_from_days(self.secs().div_euclid(86_400))
    }

    /// The day in UTC as `2026-11-24`.
    pub fn date_text(self) -> String {
        let (year, month, day) = self.date();
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// The time of a civil date and time of day in UTC; `None` where the date does not exist.
    pub fn from_civil(date: (i32, u8, u8), (hour, minute, second): (u8, u8, u8), nanos: u32) -> Option<Self> {
        let (year, month, day) = date;
        if !(1..=12).contains(&month)
            || day == 0
            || day > days_in_month(year, month)
            || hour > 23
            || minute > 59
            || second > 60
            || nanos > 999_999_999
        {
            return None;
        }
        let days = days_from_civil(year, month, day);
        let secs = days * 86_400 + i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
        Some(Self(secs.saturating_mul(NANOS).saturating_add(i64::from(nanos))))
    }

    /// Reads RFC 3339 and its common looser forms: `T`, `t` or a space between date and time, a
    /// fraction of any length, `Z`, `±hh:mm`, `±hhmm`, or no zone at all, which is read as UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        if b.len() < 19 || b[4] != b'-' || b[7] != b'-' || b[13] != b':' || b[16] != b':' {
            return None;
        }
        if !matches!(b[10], b'T' | b't' | b' ') {
            return None;
        }
        let date = (i32::from(digits(&b[0..4])? as i16), digits(&b[5..7])? as u8, digits(&b[8..10])? as u8);
        let clock = (digits(&b[11..13])? as u8, digits(&b[14..16])? as u8, digits(&b[17..19])? as u8);
        let mut rest = &b[19..];
        let mut nanos = 0u32;
        if let [b'.' | b',', tail @ ..] = rest {
            let len = tail.iter().take_while(|c| c.is_ascii_digit()).count();
            if len == 0 {
                return None;
            }
            for place in 0..9 {
                let digit = if place < len { u32::from(tail[place] - b'0') } else { 0 };
                nanos = nanos * 10 + digit;
            }
            rest = &tail[len..];
        }
        let offset = match rest {
            [] | [b'Z' | b'z'] => 0,
            [b' ', b'U', b'T', b'C'] => 0,
            [sign @ (b'+' | b'-'), zone @ ..] => {
                let (hours, minutes) = match zone {
                    [h1, h2, b':', m1, m2] | [h1, h2, m1, m2] => (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?),
                    [h1, h2] => (digits(&[*h1, *h2])?, 0),
                    _ => return None,
                };
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let secs = i64::from(hours * 3_600 + minutes * 60);
                if *sign == b'-' { -secs } else { secs }
            }
            _ => return None,
        };
        Some(Self::from_civil(date, clock, nanos)?.plus_secs(-offset))
    }

    /// The time that a bare number since the epoch means, guessing its unit from its size:
    /// seconds, milliseconds, microseconds or nanoseconds for any time between 1973 and 2262.
    pub fn from_epoch_number(number: f64) -> Option<Self> {
        if !number.is_finite() || number < 0.0 {
            return None;
        }
        let nanos = match number {
            n if n < 1e11 => n * 1e9,
            n if n < 1e14 => n * 1e6,
            n if n < 1e17 => n * 1e3,
            n => n,
        };
        (nanos < i64::MAX as f64).then_some(Self(nanos as i64))
    }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    let mut value = 0u32;
    for &b in bytes {
        if !b.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u32::from(b - b'0');
    }
    Some(value)
}

const fn is_leap(year: i32) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

const fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date, counting years from March so that the leap
/// day comes last.
const fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let shifted = if month <= 2 { year as i64 - 1 } else { year as i64 };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_from_march = (month as i64 + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i64 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
const fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u8;
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year as i32, month, day)
}

/// RFC 3339 in UTC. The fraction has 0, 3, 6 or 9 digits, as few as lose nothing.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.secs();
        let nanos = self.0.rem_euclid(NANOS);
        let (year, month, day) = self.date();
        let clock = secs.rem_euclid(86_400);
        let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if nanos != 0 {
            if nanos % 1_000_000 == 0 {
                write!(f, ".{:03}", nanos / 1_000_000)?;
            } else if nanos % 1_000 == 0 {
                write!(f, ".{:06}", nanos / 1_000)?;
            } else {
                write!(f, ".{nanos:09}")?;
            }
        }
        f.write_str("Z")
    }
}

/// The text is not a time in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time: write it as 2026-11-24T15:04:05Z")]
pub struct InvalidTime;

impl FromStr for Time {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        Self::parse(text).ok_or(InvalidTime)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_forms_that_logs_use() {
        let expected = Time::from_nanos(1_700_000_000_123_456_700);
        for text in [
            "2023-11-14T22:13:20.1234567Z",
            "2023-11-14 22:13:20.1234567",
            "2023-11-14t22:13:20,1234567z",
            "2023-11-15T00:13:20.1234567+02:00",
            "2023-11-14T19:13:20.1234567-0300",
            "2023-11-14 22:13:20.1234567 UTC",
        ] {
            assert_eq!(Time::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_time() {
        for text in [
            "",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+1",
            "２023-11-14T22:13:20Z",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_since_the_epoch_are_told_apart_by_size() {
        for number in [1.7e9, 1.7e12, 1.7e15, 1.7e18] {
            assert_eq!(Time::from_epoch_number(number).map(Time::secs), Some(1_700_000_000));
        }
    }

    proptest! {
        #[test]
        fn text_form_round_trips(nanos in any::<i64>()) {
            let time = Time::from_nanos(nanos);
            prop_assert_eq!(Time::parse(&time.to_string()), Some(time));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = Time::parse(&text);
        }
    }
}
