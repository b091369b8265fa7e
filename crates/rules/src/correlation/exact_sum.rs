//! A sum of floating-point numbers without rounding.
//!
//! A window's sum is updated for every event that enters or leaves. With rounded additions the error
//! would grow with the number of events ever seen, and the sum would depend on their order. Here
//! every number is added to a fixed-point number wide enough for all of them, so that taking a
//! number out undoes its addition exactly, and the sum is a function of the window's content alone.

/// 32-bit digits of the fixed-point number: 2,098 bits hold every finite `f64`, and two digits more
/// take the carry of 2^60 additions.
const DIGITS: usize = 68;
/// Binary exponent of the lowest bit, that of the smallest subnormal number.
const LOWEST: i32 = -1074;

/// An exact sum of finite numbers.
#[derive(Debug, Clone)]
pub(super) struct ExactSum {
    /// Digits to the base 2^32, least first, each with its own sign and not yet carried. A digit's
    /// magnitude is at most 2^32 times the count of numbers that are in the sum now.
    digits: Box<[i64; DIGITS]>,
}

impl ExactSum {
    pub fn new() -> Self {
        Self { digits: Box::new([0; DIGITS]) }
    }

    /// Adds a finite number.
    pub fn add(&mut self, number: f64) {
        self.apply(number, if number.is_sign_negative() { -1 } else { 1 });
    }

    /// Takes out a number that was added.
    pub fn remove(&mut self, number: f64) {
        self.apply(number, if number.is_sign_negative() { 1 } else { -1 });
    }

    fn apply(&mut self, number: f64, sign: i64) {
        let bits = number.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as usize;
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, shift) =
            if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
        let wide = u128::from(mantissa) << (shift % 32);
        for piece in 0..3 {
            let part = (wide >> (32 * piece)) as u32;
            self.digits[shift / 32 + piece] += sign * i64::from(part);
        }
    }

    /// The sum, rounded once.
    pub fn value(&self) -> f64 {
        let (digits, negative) = match carried(&self.digits, 1) {
            Some(digits) => (digits, false),
            None => match carried(&self.digits, -1) {
                Some(digits) => (digits, true),
                None => return 0.0,
            },
        };
        let Some(top) = digits.iter().rposition(|d| *d != 0) else { return 0.0 };
        let base = top.saturating_sub(2);
        let mut leading = 0u128;
        for digit in digits[base..=top].iter().rev() {
            leading = leading << 32 | u128::from(*digit);
        }
        // One low bit stands for everything below, so that rounding goes the right way.
        if digits[..base].iter().any(|d| *d != 0) {
            leading |= 1;
        }
        let exponent = LOWEST + 32 * base as i32;
        let half = exponent / 2;
        let magnitude = leading as f64 * power_of_two(half) * power_of_two(exponent - half);
        if negative { -magnitude } else { magnitude }
    }
}

/// The digits times `sign` with carries done; `None` where that is negative.
fn carried(digits: &[i64; DIGITS], sign: i64) -> Option<[u32; DIGITS]> {
    let mut carry = 0i64;
    let mut out = [0u32; DIGITS];
    for (to, digit) in out.iter_mut().zip(digits) {
        let sum = sign * digit + carry;
        *to = sum as u32;
        carry = sum >> 32;
    }
    (carry == 0).then_some(out)
}

/// 2 to the power of `exponent`, which is a normal number's.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(numbers: &[f64]) -> f64 {
        let mut sum = ExactSum::new();
        numbers.iter().for_each(|n| sum.add(*n));
        sum.value()
    }

    #[test]
    fn cancellation_loses_nothing() {
        assert_eq!(sum(&[1e308, 1.0, 1e-300, -1e308, -1.0]), 1e-300);
        assert_eq!(sum(&[1e16, 1.0, 1.0]), 1e16 + 2.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[-5.0, 2.0]), -3.0);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[5e-324, 5e-324]), 1e-323);
        assert_eq!(sum(&[]), 0.0);
    }

    proptest! {
        #[test]
        fn one_number_is_itself(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            prop_assert_eq!(sum(&[number]), number);
        }

        #[test]
        fn removal_undoes_addition(
            kept in proptest::collection::vec(-1e9..1e9f64, 0..20),
            gone in proptest::collection::vec(-1e300..1e300f64, 0..20),
        ) {
            let mut both = ExactSum::new();
            gone.iter().chain(&kept).for_each(|n| both.add(*n));
            gone.iter().for_each(|n| both.remove(*n));
            let mut reversed = kept.clone();
            reversed.reverse();
            prop_assert_eq!(both.value(), sum(&reversed));
        }

        #[test]
        fn whole_numbers_sum_as_integers(numbers in proptest::collection::vec(any::<i32>(), 0..50)) {
            let exact: i64 = numbers.iter().map(|n| i64::from(*n)).sum();
            let floats: Vec<f64> = numbers.iter().map(|n| f64::from(*n)).collect();
            prop_assert_eq!(sum(&floats), exact as f64);
        }
    }
}
