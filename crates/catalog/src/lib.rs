//! The one list of families. Nothing else in the workspace names a family.

use covigil_solution::Solution;

static SOLUTIONS: [&Solution; 1] = [&covigil_siem::SOLUTION];

/// All families of this build, in alphabetical order.
pub fn solutions() -> &'static [&'static Solution] {
    &SOLUTIONS
}
