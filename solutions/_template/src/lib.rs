//! The `template` family: door readers, as an example of a family that is small and whole.

pub mod collect;
pub mod parse;

use covigil_model::Class;
use covigil_solution::Solution;

/// The family's description.
pub static SOLUTION: Solution = Solution {
    name: "template",
    title: "Door readers",
    summary: "Reads who opened which door, and tells when one is forced.",
    classes: &[Class::BASE],
    parsers: &[&parse::Doors],
    discover: collect::discover,
    rules: &[("door_forced.yml", include_str!("../content/rules/door_forced.yml"))],
};
