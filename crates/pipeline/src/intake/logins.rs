//! Login records (utmp(5)) to JSON, as `{"type":7,"user":"bob","line":"pts/0",…}`.
//!
//! The layout is glibc's. Where `time_t` in these records is 32 bits wide (x86-64 and most others),
//! a record has 384 bytes; on 64-bit ARM, 400.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use covigil_model::{Time, json::escape_into};

const WIDE: bool = cfg!(target_arch = "aarch64");
/// Bytes of one record.
pub(super) const RECORD: usize = if WIDE { 400 } else { 384 };
const SESSION: usize = 336;
const SECONDS: usize = if WIDE { 344 } else { 340 };
const ADDRESS: usize = if WIDE { 360 } else { 348 };

/// The record as JSON; `None` for an empty slot.
pub(super) fn json(record: &[u8]) -> Option<String> {
    let record: &[u8; RECORD] = record.try_into().ok()?;
    let int = |at: usize| i32::from_ne_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
    let long = |at: usize| {
        let (low, high) = (i64::from(int(at)) & 0xffff_ffff, i64::from(int(at + 4)));
        if WIDE { high << 32 | low } else { i64::from(int(at)) }
    };
    let kind = i16::from_ne_bytes([record[0], record[1]]);
    if kind == 0 {
        return None;
    }
    let text = |at: usize, len: usize| {
        let bytes = &record[at..at + len];
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(len);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    // Seconds are unsigned where they have 32 bits: the field is used beyond 2038.
    let seconds = if WIDE { long(SECONDS) } else { i64::from(int(SECONDS) as u32) };
    let micros = long(SECONDS + if WIDE { 8 } else { 4 });
    let time = Time::from_secs(seconds).plus_nanos(micros.clamp(0, 999_999) * 1_000);
    let mut out = format!("{{\"type\":{kind},\"pid\":{},\"session\":{}", int(4), int(SESSION));
    for (name, value) in [
        ("line", text(8, 32)),
        ("id", text(40, 4)),
        ("user", text(44, 32)),
        ("host", text(76, 256)),
        ("addr", address(&record[ADDRESS..ADDRESS + 16])),
        ("time", time.to_string()),
    ] {
        if !value.is_empty() {
            let _ = write!(out, ",\"{name}\":\"");
            escape_into(&mut out, &value);
            out.push('"');
        }
    }
    out.push('}');
    Some(out)
}

/// An IPv4 address stands in the first four bytes alone.
fn address(bytes: &[u8]) -> String {
    let Ok(bytes) = <[u8; 16]>::try_from(bytes) else { return String::new() };
    let ip = match bytes {
        [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        six => IpAddr::V6(Ipv6Addr::from(six)).to_canonical(),
    };
    if ip.is_unspecified() { String::new() } else { ip.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_read_and_an_empty_slot_is_not() {
        let mut record = [0u8; RECORD];
        assert_eq!(json(&record), None);
        record[0] = 7;
        record[4..8].copy_from_slice(&4_242i32.to_ne_bytes());
        record[8..13].copy_from_slice(b"pts/0");
        record[44..47].copy_from_slice(b"b\"b");
        record[76..85].copy_from_slice(b"10.0.0.99");
        record[SECONDS..SECONDS + 4].copy_from_slice(&1_700_000_000i32.to_ne_bytes());
        record[ADDRESS..ADDRESS + 4].copy_from_slice(&[10, 0, 0, 99]);
        let expected = "{\"type\":7,\"pid\":4242,\"session\":0,\"line\":\"pts/0\",\"user\":\"b\\\"b\",\
                        \"host\":\"10.0.0.99\",\"addr\":\"10.0.0.99\",\"time\":\"2023-11-14T22:13:20Z\"}";
        assert_eq!(json(&record).as_deref(), Some(expected));
        assert_eq!(json(&record[1..]), None);
        assert!(json(&[0xff; RECORD]).is_some());
    }
}
