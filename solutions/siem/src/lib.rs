//! The `siem` family: logs in, events out, and the rules that every customer starts with.

use covigil_model::Class;
use covigil_solution::Solution;

/// The family's description.
pub static SOLUTION: Solution = Solution {
    name: "siem",
    title: "Logs and detection",
    summary: "Collects the logs of machines, networks and services, and finds attacks in them.",
    classes: &[Class::DETECTION_FINDING, Class::AUTHENTICATION, Class::API],
    parsers: &[],
    discover: covigil_solution::no_sources,
    rules: &[],
};
