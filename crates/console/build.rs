//! Bundles the browser's assets from `web/` with the npm packages that its lock file pins. Works in
//! `OUT_DIR` alone: nothing is written into the source tree.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=web");
    println!("cargo:rerun-if-changed=askama.toml");
    match bundle() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("the console's browser assets could not be built: {message}");
            ExitCode::FAILURE
        }
    }
}

fn bundle() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let web = out.join("web");
    copy(Path::new("web"), &web).map_err(|e| format!("copying web/: {e}"))?;
    install(&web)?;
    run(&web, "node", &["build.mjs", &out.join("dist").to_string_lossy()])
}

/// Copies the sources, leaving what npm installed beside them in place.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_name() == "node_modules" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            if target.exists() {
                fs::remove_dir_all(&target)?;
            }
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Installs the packages, unless those installed are the lock file's already.
fn install(web: &Path) -> Result<(), String> {
    let lock = fs::read(web.join("package-lock.json")).map_err(|e| format!("package-lock.json: {e}"))?;
    let installed = web.join("node_modules/.installed-lock");
    if fs::read(&installed).is_ok_and(|have| have == lock) {
        return Ok(());
    }
    run(web, "npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"])?;
    fs::write(&installed, lock).map_err(|e| format!("{}: {e}", installed.display()))
}

fn run(dir: &Path, program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).current_dir(dir).output().map_err(|e| {
        format!("{program} cannot be started ({e}). Install Node.js 18 or later with npm, for example with `apt-get install nodejs npm`")
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "`{program} {}` failed:\n{}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}
