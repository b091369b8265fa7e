//! Base64 and UTF-16, bit by bit.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Six bits from bit `at` on; bits past the end are zero.
fn six_bits(bytes: &[u8], at: usize) -> char {
    let bit = |n: usize| bytes.get(n / 8).map_or(0, |byte| byte >> (7 - n % 8) & 1);
    let value = (at..at + 6).fold(0usize, |value, n| value << 1 | usize::from(bit(n)));
    char::from(ALPHABET[value])
}

/// Base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    let mut text: String = (0..bytes.len() * 8).step_by(6).map(|at| six_bits(bytes, at)).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// What is sure to stand in the Base64 of a longer text which has these bytes at a place that is
/// `offset` behind a multiple of three: the characters all of whose six bits are of these bytes.
pub fn base64_inside(bytes: &[u8], offset: usize) -> String {
    let mut shifted = vec![0; offset];
    shifted.extend_from_slice(bytes);
    let places = (0..shifted.len() * 8).step_by(6);
    places
        .filter(|at| *at >= offset * 8 && at + 6 <= shifted.len() * 8)
        .map(|at| six_bits(&shifted, at))
        .collect()
}

/// UTF-16 code units as bytes, high byte first where `big`.
pub fn utf16(text: &str, big: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for unit in text.encode_utf16() {
        let (high, low) = ((unit >> 8) as u8, (unit & 0xff) as u8);
        bytes.extend(if big { [high, low] } else { [low, high] });
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
