//! Installed packages, from dpkg's status file.

use std::{io, path::Path};

use covigil_solution::Host;

/// Where dpkg keeps what is installed.
pub(super) const STATUS: &str = "/var/lib/dpkg/status";

/// The file is read up to this length; a large desktop's is 10 MiB.
const LIMIT: usize = 64 << 20;

/// One JSON object per installed package.
pub(super) fn take(host: &dyn Host) -> io::Result<Vec<String>> {
    let text = host.read(Path::new(STATUS), LIMIT)?;
    Ok(installed(&String::from_utf8_lossy(&text)))
}

fn installed(status: &str) -> Vec<String> {
    let mut objects = Vec::new();
    for paragraph in status.split("\n\n") {
        let value = |name: &str| {
            paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("")
        };
        let (package, architecture) = (value("Package"), value("Architecture"));
        if package.is_empty() || !value("Status").ends_with(" installed") {
            continue;
        }
        objects.push(
            serde_json::json!({
                "key": format!("{package}:{architecture}"),
                "kind": "package",
                "package": package,
                "version": value("Version"),
                "architecture": architecture,
            })
            .to_string(),
        );
    }
    objects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_packages_are_left_out() {
        let objects = installed(
            "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\nDescription: x\n Package: z\n\n\
             Package: b\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 2\n",
        );
        assert_eq!(objects.len(), 1);
        assert!(objects[0].contains(r#""key":"a:amd64""#));
    }
}
