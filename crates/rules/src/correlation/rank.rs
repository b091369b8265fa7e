//! A percentile of a changing multiset of numbers.
//!
//! The numbers are kept in two ordered halves, split at the wanted place, so that reading the
//! percentile looks at the split and an update moves at most a number or two across it.

use std::collections::BTreeMap;

/// The numbers, and the percentile that is asked of them.
#[derive(Debug, Clone)]
pub(super) struct Ranked {
    percentile: f64,
    low: Half,
    high: Half,
}

#[derive(Debug, Clone, Default)]
struct Half {
    counts: BTreeMap<u64, usize>,
    len: usize,
}

impl Half {
    fn add(&mut self, key: u64) {
        *self.counts.entry(key).or_insert(0) += 1;
        self.len += 1;
    }

    fn remove(&mut self, key: u64) -> bool {
        let Some(count) = self.counts.get_mut(&key) else { return false };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&key);
        }
        self.len -= 1;
        true
    }

    fn least(&self) -> Option<u64> {
        self.counts.first_key_value().map(|(key, _)| *key)
    }

    fn greatest(&self) -> Option<u64> {
        self.counts.last_key_value().map(|(key, _)| *key)
    }
}

impl Ranked {
    pub fn new(percentile: f64) -> Self {
        Self { percentile, low: Half::default(), high: Half::default() }
    }

    /// Adds a finite number.
    pub fn add(&mut self, number: f64) {
        let key = to_key(number);
        if self.low.greatest().is_none_or(|greatest| key <= greatest) {
            self.low.add(key);
        } else {
            self.high.add(key);
        }
        self.balance();
    }

    /// Takes out a number that was added.
    pub fn remove(&mut self, number: f64) {
        let key = to_key(number);
        if !self.low.remove(key) {
            self.high.remove(key);
        }
        self.balance();
    }

    /// The place of the percentile, from 0, and how far it is towards the next.
    fn place(&self) -> (usize, f64) {
        let last = (self.low.len + self.high.len).saturating_sub(1);
        let place = last as f64 * self.percentile / 100.0;
        (place.floor() as usize, place.fract())
    }

    fn balance(&mut self) {
        if self.low.len + self.high.len == 0 {
            return;
        }
        let wanted = self.place().0 + 1;
        while self.low.len > wanted {
            let Some(key) = self.low.greatest() else { return };
            self.low.remove(key);
            self.high.add(key);
        }
        while self.low.len < wanted {
            let Some(key) = self.high.least() else { return };
            self.high.remove(key);
            self.low.add(key);
        }
    }

    /// The percentile; `None` of nothing.
    pub fn value(&self) -> Option<f64> {
        let below = from_key(self.low.greatest()?);
        let towards = self.place().1;
        Some(match self.high.least() {
            Some(above) if towards > 0.0 => below + towards * (from_key(above) - below),
            _ => below,
        })
    }
}

/// Maps numbers to integers of the same order.
fn to_key(number: f64) -> u64 {
    // Both zeros are one number.
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn from_key(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_usual_medians() {
        let mut ranked = Ranked::new(50.0);
        assert_eq!(ranked.value(), None);
        for (number, median) in [(5.0, 5.0), (1.0, 3.0), (9.0, 5.0), (-3.0, 3.0)] {
            ranked.add(number);
            assert_eq!(ranked.value(), Some(median));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_sorting(
            percentile in 0.0..=100.0f64,
            numbers in proptest::collection::vec((-20..20i32, any::<bool>()), 1..60),
        ) {
            let mut ranked = Ranked::new(percentile);
            let mut plain: Vec<f64> = Vec::new();
            for (number, remove) in numbers {
                if remove && !plain.is_empty() {
                    let gone = plain.remove(number.unsigned_abs() as usize % plain.len());
                    ranked.remove(gone);
                } else {
                    ranked.add(f64::from(number) / 4.0);
                    plain.push(f64::from(number) / 4.0);
                }
                let mut sorted = plain.clone();
                sorted.sort_by(f64::total_cmp);
                let expected = (!sorted.is_empty()).then(|| {
                    let place = (sorted.len() - 1) as f64 * percentile / 100.0;
                    let at = place.floor() as usize;
                    let above = sorted.get(at + 1).copied().unwrap_or(sorted[at]);
                    sorted[at] + place.fract() * (above - sorted[at])
                });
                prop_assert_eq!(ranked.value(), expected);
            }
        }
    }
}
