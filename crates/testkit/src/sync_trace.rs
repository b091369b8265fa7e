//! Reads a trace of system calls and checks that data was synced before it was acknowledged.
//!
//! The trace is what `strace -f -e trace=write,pwrite64,fdatasync,fsync,sendto,writev -o FILE` writes.
//! With several threads a call may be split in two lines (`<unfinished ...>`, `<... resumed>`); a
//! sync counts from the line that shows its result.

use std::collections::{BTreeMap, BTreeSet};

/// The system calls that `strace` is to show.
pub const TRACED: &str = "trace=openat,write,writev,pwrite64,fdatasync,fsync,sendto";

/// Checks a trace in which every write (or send) that contains `ack` acknowledges what was written by
/// `pwrite64` before. Answers with the number of acknowledgements.
///
/// # Errors
///
/// A sentence that shows the first acknowledgement that came while a write was not yet synced, or
/// that had no write and sync of its own before it.
pub fn sync_before_ack(trace: &str, ack: &str) -> Result<usize, String> {
    // Descriptors with data that is not synced yet.
    let mut dirty: BTreeSet<String> = BTreeSet::new();
    // Syncs under way: which thread syncs which descriptor.
    let mut syncing: BTreeMap<String, String> = BTreeMap::new();
    let mut written_since_ack = false;
    let mut acks = 0;
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let descriptor = |call: &str| -> String {
            let arguments = call.split_once('(').map_or("", |(_, arguments)| arguments);
            arguments.chars().take_while(char::is_ascii_digit).collect()
        };
        let succeeded = call.trim_end().ends_with("= 0");
        if call.starts_with("pwrite64(") {
            dirty.insert(descriptor(call));
            written_since_ack = true;
        } else if call.starts_with("fdatasync(") || call.starts_with("fsync(") {
            if call.contains("<unfinished") {
                syncing.insert(thread.to_owned(), descriptor(call));
            } else if succeeded {
                dirty.remove(&descriptor(call));
            }
        } else if call.starts_with("<... fdatasync resumed>") || call.starts_with("<... fsync resumed>") {
            if let Some(descriptor) = syncing.remove(thread)
                && succeeded
            {
                dirty.remove(&descriptor);
            }
        } else if ["write(", "writev(", "sendto("].iter().any(|name| call.starts_with(name))
            && call.contains(ack)
        {
            if let Some(descriptor) = dirty.first() {
                return Err(format!("acknowledged before descriptor {descriptor} was synced: {line}"));
            }
            if !written_since_ack {
                return Err(format!("acknowledged without a write before it: {line}"));
            }
            written_since_ack = false;
            acks += 1;
        }
    }
    Ok(acks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_right_order_from_wrong() {
        let right = "\
7 pwrite64(5, \"x\", 1, 0) = 1\n\
7 fdatasync(5) = 0\n\
8 write(1, \"ack 1\\n\", 6) = 6\n\
7 pwrite64(5, \"y\", 1, 1) = 1\n\
7 fdatasync(5 <unfinished ...>\n\
8 write(2, \"noise\", 5) = 5\n\
7 <... fdatasync resumed>) = 0\n\
8 sendto(9, \"ack 2\", 5, 0, NULL, 0) = 5\n";
        assert_eq!(sync_before_ack(right, "ack "), Ok(2));
        let unsynced = right.replace("7 fdatasync(5) = 0\n", "");
        assert!(sync_before_ack(&unsynced, "ack ").is_err());
        let failed = right.replace("resumed>) = 0", "resumed>) = -1 EIO (Input/output error)");
        assert!(sync_before_ack(&failed, "ack ").is_err());
        let too_soon = right.replace("noise", "ack 2");
        assert!(sync_before_ack(&too_soon, "ack ").is_err());
        let nothing_written = "8 write(1, \"ack 1\\n\", 6) = 6\n";
        assert!(sync_before_ack(nothing_written, "ack ").is_err());
        let another_file = right.replacen("fdatasync(5) = 0", "fdatasync(6) = 0", 1);
        assert!(sync_before_ack(&another_file, "ack ").is_err());
    }
}
