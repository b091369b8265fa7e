//! Sockets that wait for peers, with the program that owns them, from `/proc`.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use covigil_solution::Host;

/// What must be readable for this picture.
pub(super) const PROBE: &str = "/proc/net/tcp";

/// A table of sockets is read up to this length.
const TABLE_LIMIT: usize = 16 << 20;

/// UDP sockets at or above this port are mostly answers' addresses of clients, not services: the
/// kernel hands out ports from here.
const FIRST_EPHEMERAL: u16 = 32_768;

/// One table row that waits for peers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Listener {
    protocol: &'static str,
    address: IpAddr,
    port: u16,
    uid: u32,
    inode: u64,
}

/// One JSON object per listening address.
pub(super) fn take(host: &dyn Host) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for (table, protocol) in [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp")] {
        let path = Path::new("/proc/net").join(table);
        match host.read(&path, TABLE_LIMIT) {
            Ok(text) => rows(&String::from_utf8_lossy(&text), protocol, &mut found),
            // A machine without IPv6 lacks its tables.
            Err(error) if error.kind() == io::ErrorKind::NotFound && table != "tcp" => {}
            Err(error) => return Err(error),
        }
    }
    let owners = owners(host, &found);
    let mut objects = BTreeMap::new();
    for listener in found {
        let (process, path) = owners.get(&listener.inode).cloned().unwrap_or_default();
        let key = match listener.address {
            IpAddr::V4(address) => format!("{}/{address}:{}", listener.protocol, listener.port),
            IpAddr::V6(address) => format!("{}/[{address}]:{}", listener.protocol, listener.port),
        };
        let object = serde_json::json!({
            "key": key,
            "kind": "listener",
            "protocol": listener.protocol,
            "address": listener.address.to_string(),
            "port": listener.port,
            "exposed": !listener.address.is_loopback(),
            "uid": listener.uid,
            "process": process,
            "path": path,
        });
        objects.entry(key).or_insert_with(|| object.to_string());
    }
    Ok(objects.into_values().collect())
}

/// The rows of a table (proc(5)) that wait for peers: TCP in state 0A, UDP without a peer.
fn rows(table: &str, protocol: &'static str, found: &mut Vec<Listener>) {
    for line in table.lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
        let [_, local, _, state, _, _, _, uid, _, inode] = words[..] else { continue };
        if state != if protocol == "tcp" { "0A" } else { "07" } {
            continue;
        }
        let Some((address, port)) = endpoint(local) else { continue };
        if protocol == "udp" && port >= FIRST_EPHEMERAL {
            continue;
        }
        let (Ok(uid), Ok(inode)) = (uid.parse(), inode.parse()) else { continue };
        found.push(Listener { protocol, address, port, uid, inode });
    }
}

/// `0100007F:0016`: the address in words of the machine's byte order, the port in hexadecimal.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let address = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    Some((address, port))
}

/// Name and path of the programs that hold the sockets, as far as this user may see.
fn owners(host: &dyn Host, wanted: &[Listener]) -> BTreeMap<u64, (String, String)> {
    let mut owners = BTreeMap::new();
    let is_process =
        |p: &PathBuf| p.file_name().is_some_and(|n| n.as_encoded_bytes().iter().all(u8::is_ascii_digit));
    for process in host.list(Path::new("/proc")).unwrap_or_default().iter().filter(|p| is_process(p)) {
        if owners.len() == wanted.len() {
            break;
        }
        for handle in host.list(&process.join("fd")).unwrap_or_default() {
            let Ok(target) = host.read_link(&handle) else { continue };
            let Some(inode) = socket_inode(&target) else { continue };
            if owners.contains_key(&inode) || !wanted.iter().any(|l| l.inode == inode) {
                continue;
            }
            let name = host.read(&process.join("comm"), 64).unwrap_or_default();
            let path = host.read_link(&process.join("exe")).unwrap_or_default();
            owners.insert(
                inode,
                (String::from_utf8_lossy(&name).trim().to_owned(), path.to_string_lossy().into_owned()),
            );
        }
    }
    owners
}

/// `socket:[4711]`.
fn socket_inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_wait_are_told_from_others() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
            1: 0100007F:0017 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
            garbage\n";
        let mut found = Vec::new();
        rows(table, "tcp", &mut found);
        assert_eq!(
            found,
            [Listener {
                protocol: "tcp",
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                port: 22,
                uid: 0,
                inode: 4711
            }]
        );
        let mut found = Vec::new();
        let table = "header\n 0: 00000000000000000000000001000000:0035 0:0 07 0:0 0:0 0 101 0 9 2\n 1: 00000000:FFFF 0:0 07 0:0 0:0 0 101 0 10 2";
        rows(table, "udp", &mut found);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].address, found[0].port), (IpAddr::V6(Ipv6Addr::LOCALHOST), 53));
    }
}
