//! `covigil detect`: rules over files, without a node.
//!
//! Files are read in parallel, records parsed and matched in parallel, findings printed in the order of
//! the files. Events that a correlation counts are kept and correlated at the end in the order of their own
//! times, over all files together.

mod correlate;
mod output;
mod work;

use std::{process::ExitCode, sync::Arc, time::Instant};

use anyhow::Result;
use covigil_node::rules::read_rules;
use covigil_rules::{Options, RuleSet, RuleText};

use crate::{args::Detect, rules::placeholders, show::harmless};

/// Runs `covigil detect`.
pub fn run(args: &Detect) -> Result<ExitCode> {
    let begun = Instant::now();
    let mut unusable = false;
    let mut texts: Vec<RuleText> = Vec::new();
    for from in &args.rules {
        let (found, unread) = read_rules(from);
        texts.extend(found);
        for file in unread {
            eprintln!("{}: {}", harmless(&file.path.display().to_string()), harmless(&file.reason));
            unusable = true;
        }
    }
    let options = Options { placeholders: placeholders(&args.placeholder)?, ..Options::default() };
    let rules = RuleSet::compile(&texts, &options);
    for failure in &rules.report().failed {
        eprintln!(
            "{}:{}: rule not loaded: {}",
            harmless(&failure.path),
            failure.line,
            harmless(&failure.reason)
        );
    }
    if rules.report().loaded == 0 {
        eprintln!("no rules to run: --rules names no folder or file with a rule that loads");
        return Ok(ExitCode::from(2));
    }
    let (loaded, failed) = (rules.report().loaded, rules.report().failed.len());
    let compiled = begun.elapsed();

    let rules = Arc::new(rules);
    let threads =
        args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    let mut out = output::Output::new(args.format);
    let searched = Instant::now();
    let counts = work::run(&rules, &args.paths, threads, &mut out)?;
    out.finish()?;
    for issue in &counts.issues {
        eprintln!("{}", harmless(issue));
    }
    let seconds = searched.elapsed().as_secs_f64();
    eprintln!(
        "{} events in {seconds:.2} s ({:.0} events/s), {loaded} rules loaded in {:.2} s, {failed} failed, {} findings",
        counts.events,
        counts.events as f64 / seconds.max(1e-9),
        compiled.as_secs_f64(),
        counts.findings,
    );
    if counts.unparsed > 0 {
        eprintln!("{} records were not understood; rules saw their text only", counts.unparsed);
    }
    Ok(if unusable || counts.unusable > 0 { ExitCode::from(2) } else { ExitCode::SUCCESS })
}
