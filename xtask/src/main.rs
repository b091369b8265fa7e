//! The project's own tasks: `cargo xtask tidy | new-solution NAME | bench [WHAT…] | soak`.

mod bench;
mod new_solution;
mod soak;
mod tidy;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

const USAGE: &str = "\
The project's own tasks.

  cargo xtask tidy               check the house rules: dependency arrows, folder shape, file size, licences
  cargo xtask new-solution NAME  add a solution family from solutions/_template
  cargo xtask bench [WHAT…]      measure in release builds; WHAT: detect, storage, pipeline (default: all)
  cargo xtask soak [KILLS]       the long tests: 1,000 kills under load, and the full reference comparison
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = root();
    let result = match words.as_slice() {
        ["tidy"] => tidy::run(&root),
        ["new-solution", name] => new_solution::run(&root, name),
        ["bench", what @ ..] => bench::run(&root, what),
        ["soak"] => soak::run(&root, 1_000),
        ["soak", kills] => match kills.parse() {
            Ok(kills) => soak::run(&root, kills),
            Err(_) => Err(anyhow::anyhow!("soak: {kills} is not a number of kills")),
        },
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root: the parent of this package's folder, as cargo says it when it runs this program.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().map_or_else(|| here.clone(), Path::to_owned)
}
