//! Times as people type them: `now`, `-15m`, `-24h`, `-7d`, or RFC 3339.

use anyhow::{Result, bail};
use covigil_model::Time;

/// The time that a word means at `now`.
pub fn parse(word: &str, now: Time) -> Result<Time> {
    if word == "now" {
        return Ok(now);
    }
    if let Some(back) = word.strip_prefix('-') {
        let (at, unit) = back.char_indices().last().unwrap_or((0, ' '));
        let number = back[..at].parse::<i64>();
        let seconds = match unit {
            's' => Some(1),
            'm' => Some(60),
            'h' => Some(3_600),
            'd' => Some(86_400),
            'w' => Some(604_800),
            _ => None,
        };
        if let (Ok(number), Some(seconds)) = (number, seconds) {
            return Ok(now.plus_secs(-number.saturating_mul(seconds)));
        }
    } else if let Some(time) = Time::parse(word) {
        return Ok(time);
    } else if let Some(time) = Time::parse(&format!("{word}T00:00:00Z")) {
        return Ok(time);
    }
    bail!(
        "{word} is not a time. Write 2026-11-24T08:00:00Z, 2026-11-24, now, or back from now: -15m, -24h, -7d."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_back_from_now() {
        let now = Time::from_secs(1_000_000);
        assert_eq!(parse("now", now).unwrap(), now);
        assert_eq!(parse("-15m", now).unwrap(), Time::from_secs(1_000_000 - 900));
        assert_eq!(parse("1970-01-02", now).unwrap(), Time::from_secs(86_400));
        for bad in ["", "-", "-5", "-5y", "yesterday", "-é"] {
            assert!(parse(bad, now).is_err(), "{bad}");
        }
    }
}
