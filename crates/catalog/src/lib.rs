//! The one list of families. Nothing else in the workspace names a family.

use covigil_solution::{Parser, Solution};

// One line a family: `cargo xtask new-solution` adds its own.
#[rustfmt::skip]
static SOLUTIONS: &[&Solution] = &[
    &covigil_siem::SOLUTION,
];

/// All families of this build, in alphabetical order.
pub fn solutions() -> &'static [&'static Solution] {
    SOLUTIONS
}

/// The parser of that name, of whatever family.
pub fn parser(name: &str) -> Option<&'static dyn Parser> {
    SOLUTIONS.iter().flat_map(|solution| solution.parsers).copied().find(|parser| parser.name() == name)
}
