//! What can be read on a host.

use std::{io, path::Path};

use covigil_solution::{Access, Host, SourceKind, SourcePlan};

const LOG: &str = "/var/log/doors.log";

/// The log of the door readers, where it exists.
pub fn discover(host: &dyn Host) -> Vec<SourcePlan> {
    let access = match host.check_readable(Path::new(LOG)) {
        Ok(()) => Access::Ready,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => Access::Denied {
            reason: format!("{LOG} cannot be read: {error}"),
            mend: "run as root, or add the user to group adm and sign in again: sudo usermod -aG adm USER"
                .into(),
        },
    };
    vec![SourcePlan {
        name: "doors.log".into(),
        description: "Door readers".into(),
        parser: "template",
        kind: SourceKind::File { path: LOG.into() },
        access,
    }]
}
