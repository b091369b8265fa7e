//! Measures detection, and writes the made-up and the collected events that figures rest on. `cargo xtask bench` calls it.

mod detect;
mod synthetic;
mod usage;

use std::{
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::{Result, bail};
use covigil_model::Time;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["write-events", shared, to] => {
            println!("{} different events", detect::write_events(Path::new(shared), Path::new(to))?);
            Ok(())
        }
        ["write-synthetic", count, to] => {
            let mut out = BufWriter::new(std::fs::File::create(to)?);
            synthetic::write_events(&mut out, count.parse()?, Time::from_secs(1_760_000_000), 7)?;
            Ok(out.flush()?)
        }
        ["detect", shared, events] => detect::run(Path::new(shared), Path::new(events)),
        _ => bail!("covigil-bench write-events SHARED TO | write-synthetic COUNT TO | detect SHARED EVENTS"),
    }
}
