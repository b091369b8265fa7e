//! What a search over events collects: the newest rows, counts over time, and counts of values.

use std::{cmp::Reverse, collections::BinaryHeap};

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Int64Type},
};
use covigil_model::Time;
use rustc_hash::FxHashMap;
use serde::Serialize;

/// How many events there are in each stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Histogram {
    /// Begin of the first stretch.
    pub from: Time,
    /// Length of each stretch in seconds.
    pub step_seconds: u64,
    /// Events in each.
    pub counts: Vec<u64>,
}

/// How often a field has which value among the events found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facet {
    /// The field, as it was asked for.
    pub field: String,
    /// The most frequent values, most frequent first.
    pub values: Vec<(String, u64)>,
    /// Events with other values.
    pub other: u64,
    /// Events without a value.
    pub missing: u64,
    /// There were more distinct values than are kept: a value's count may be too low.
    pub approximate: bool,
}

/// Lengths of stretches that read well, in seconds.
const STEPS: [u64; 22] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
    172_800, 604_800, 2_592_000, 31_536_000,
];

/// The shortest step that reads well and covers `micros` microseconds in at most `most` steps.
pub(super) fn step_for(micros: i64, most: usize) -> u64 {
    let seconds = (micros.max(0) as u64).div_ceil(1_000_000);
    let fits = |step: &u64| seconds.div_ceil(*step) <= most.max(1) as u64;
    STEPS.iter().copied().find(fits).unwrap_or_else(|| {
        let longest = STEPS[STEPS.len() - 1];
        longest * seconds.div_ceil(longest * most.max(1) as u64).max(1)
    })
}

/// Counts over time while they grow.
#[derive(Debug)]
pub(super) struct Buckets {
    start: i64,
    step: i64,
    counts: Vec<u64>,
}

impl Buckets {
    /// At most `most` stretches (give or take the alignment to whole steps) over `from..to`.
    pub(super) fn new(from: i64, to: i64, most: usize) -> Self {
        let step = step_for(to.saturating_sub(from), most) as i64 * 1_000_000;
        let start = from.div_euclid(step) * step;
        let count = (to.saturating_sub(start).max(1) as u64).div_ceil(step as u64) as usize;
        Self { start, step, counts: vec![0; count.min(most.saturating_add(2))] }
    }

    fn at(&self, time: i64) -> usize {
        let at = time.saturating_sub(self.start).div_euclid(self.step).max(0) as usize;
        at.min(self.counts.len().saturating_sub(1))
    }

    /// Whether both times count in the same stretch.
    pub(super) fn same(&self, a: i64, b: i64) -> bool {
        self.at(a) == self.at(b)
    }

    pub(super) fn add(&mut self, time: i64, count: u64) {
        let at = self.at(time);
        if let Some(have) = self.counts.get_mut(at) {
            *have += count;
        }
    }

    pub(super) fn add_all(&mut self, times: &[i64]) {
        for time in times {
            self.add(*time, 1);
        }
    }

    pub(super) fn histogram(&self) -> Histogram {
        Histogram {
            from: Time::from_micros(self.start),
            step_seconds: (self.step / 1_000_000) as u64,
            counts: self.counts.clone(),
        }
    }
}

/// Distinct values counted of one facet.
const MAX_VALUES: usize = 50_000;
/// A value's text is kept to this many bytes.
const MAX_VALUE: usize = 512;

/// Counts of values while they grow.
#[derive(Debug, Default)]
pub(super) struct Counts {
    values: FxHashMap<Box<str>, u64>,
    missing: u64,
    beyond: u64,
}

impl Counts {
    fn add(&mut self, value: &str, count: u64) {
        let mut end = value.len().min(MAX_VALUE);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        let value = &value[..end];
        if let Some(have) = self.values.get_mut(value) {
            *have += count;
        } else if self.values.len() < MAX_VALUES {
            self.values.insert(value.into(), count);
        } else {
            self.beyond += count;
        }
    }

    /// Counts the values of an output's array, the first column of `batch`.
    pub(super) fn add_array(&mut self, array: &dyn Array) {
        self.missing += array.null_count() as u64;
        match array.data_type() {
            DataType::Utf8View => {
                let texts = array.as_string_view();
                // Within an array, equal views are equal values; a file's dictionary makes them so.
                let mut views: FxHashMap<u128, (usize, u64)> = FxHashMap::default();
                for row in (0..texts.len()).filter(|row| texts.is_valid(*row)) {
                    views.entry(texts.views()[row]).or_insert((row, 0)).1 += 1;
                }
                for (row, count) in views.into_values() {
                    self.add(texts.value(row), count);
                }
            }
            DataType::Int64 => {
                let mut numbers: FxHashMap<i64, u64> = FxHashMap::default();
                for number in array.as_primitive::<Int64Type>().iter().flatten() {
                    *numbers.entry(number).or_insert(0) += 1;
                }
                for (number, count) in numbers {
                    self.add(&number.to_string(), count);
                }
            }
            _ => {
                for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
                    if let Ok(text) = arrow::util::display::array_value_to_string(array, row) {
                        self.add(&text, 1);
                    }
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.missing += other.missing;
        self.beyond += other.beyond;
        for (value, count) in other.values {
            self.add(&value, count);
        }
    }

    pub(super) fn facet(&self, field: &str, most: usize) -> Facet {
        let mut order: Vec<(&str, u64)> =
            self.values.iter().map(|(value, count)| (&**value, *count)).collect();
        let by_count = |a: &(&str, u64), b: &(&str, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0));
        if order.len() > most && most > 0 {
            order.select_nth_unstable_by(most - 1, by_count);
        }
        let other: u64 = order.iter().skip(most).map(|(_, count)| count).sum::<u64>() + self.beyond;
        order.truncate(most);
        order.sort_unstable_by(by_count);
        Facet {
            field: field.to_owned(),
            values: order.into_iter().map(|(value, count)| (value.to_owned(), count)).collect(),
            other,
            missing: self.missing,
            approximate: self.beyond > 0,
        }
    }
}

/// Where a row is: unit, and row in it.
pub(super) type Address = (usize, usize);

/// The newest rows while they are found.
#[derive(Debug)]
pub(super) struct Newest {
    limit: usize,
    heap: BinaryHeap<Reverse<(i64, Address)>>,
}

impl Newest {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::new() }
    }

    /// The least time that still gets in; none while there is room.
    pub(super) fn least(&self) -> Option<i64> {
        if self.heap.len() < self.limit { None } else { self.heap.peek().map(|Reverse((time, _))| *time) }
    }

    /// Offers a unit's rows: their times and their places in it.
    pub(super) fn offer(&mut self, unit: usize, rows: &[(i64, usize)]) {
        for (time, row) in rows {
            if self.heap.len() < self.limit {
                self.heap.push(Reverse((*time, (unit, *row))));
            } else if self.heap.peek().is_some_and(|Reverse((least, _))| time > least) {
                self.heap.pop();
                self.heap.push(Reverse((*time, (unit, *row))));
            }
        }
    }

    /// Units that have a row among the newest.
    pub(super) fn units(&self) -> impl Iterator<Item = usize> {
        self.heap.iter().map(|Reverse((_, (unit, _)))| *unit)
    }

    /// The rows, newest first.
    pub(super) fn take(&mut self) -> Vec<(i64, Address)> {
        let mut rows: Vec<(i64, Address)> =
            std::mem::take(&mut self.heap).into_iter().map(|Reverse(row)| row).collect();
        rows.sort_unstable_by(|a, b| b.cmp(a));
        rows
    }
}

/// The newest `limit` of a unit's rows, in no order.
pub(super) fn newest_of(mut rows: Vec<(i64, usize)>, limit: usize) -> Vec<(i64, usize)> {
    if rows.len() > limit {
        if limit == 0 {
            return Vec::new();
        }
        rows.select_nth_unstable_by(limit - 1, |a, b| b.cmp(a));
        rows.truncate(limit);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_read_well_and_cover() {
        assert_eq!(step_for(60_000_000, 60), 1);
        assert_eq!(step_for(3_600_000_000, 60), 60);
        assert_eq!(
            step_for(i64::MAX, 100),
            31_536_000 * i64::MAX.unsigned_abs().div_ceil(1_000_000).div_ceil(31_536_000 * 100)
        );
        let mut buckets = Buckets::new(90_000_000, 3_690_000_000, 60);
        buckets.add_all(&[90_000_000, 119_999_999, 120_000_000, 3_689_999_999]);
        let histogram = buckets.histogram();
        assert_eq!(histogram.step_seconds, 60);
        assert_eq!(histogram.from, Time::from_micros(60_000_000));
        assert_eq!(
            (histogram.counts[0], histogram.counts[1], histogram.counts.iter().sum::<u64>()),
            (2, 1, 4)
        );
        assert_eq!(histogram.counts.len(), 61);
    }

    #[test]
    fn the_newest_are_kept_and_values_counted() {
        let mut newest = Newest::new(2);
        newest.offer(0, &[(5, 0), (1, 1)]);
        assert_eq!(newest.least(), Some(1));
        newest.offer(1, &[(3, 7), (1, 8)]);
        assert_eq!(newest.take(), [(5, (0, 0)), (3, (1, 7))]);
        let mut counts = Counts::default();
        for (value, count) in [("a", 3), ("b", 5), ("c", 1)] {
            counts.add(value, count);
        }
        let facet = counts.facet("x", 2);
        assert_eq!(facet.values, [("b".to_owned(), 5), ("a".to_owned(), 3)]);
        assert_eq!(facet.other, 1);
    }
}
