//! The `siem` family: logs in, events out, and the rules that every customer starts with.
//!
//! [`parse`] turns records into events, [`collect`] says what can be read on a machine, and the
//! rules of `content/rules` are embedded as they are. Detection itself is the rule engine's, search
//! the store's.

pub mod collect;
pub mod parse;
mod starter;

use covigil_model::Class;
use covigil_solution::Solution;

/// The family's description.
pub static SOLUTION: Solution = Solution {
    name: "siem",
    title: "Logs and detection",
    summary: "Collects the logs of machines, networks and services, and finds attacks in them.",
    classes: &[
        Class::DETECTION_FINDING,
        Class::AUTHENTICATION,
        Class::ACCOUNT_CHANGE,
        Class::PROCESS,
        Class::FILE,
        Class::NETWORK,
        Class::HTTP,
        Class::DNS,
        Class::API,
    ],
    parsers: &parse::PARSERS,
    discover: collect::discover,
    rules: starter::RULES,
};
