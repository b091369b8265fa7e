//! The one list of families. Nothing else in the workspace names a family.

use covigil_solution::Solution;

// One line a family: `cargo xtask new-solution` adds its own.
#[rustfmt::skip]
static SOLUTIONS: &[&Solution] = &[
    &covigil_siem::SOLUTION,
];

/// All families of this build, in alphabetical order.
pub fn solutions() -> &'static [&'static Solution] {
    SOLUTIONS
}
