//! Local accounts, with whether they may become root through a group.

use std::{io, path::Path};

use covigil_solution::Host;

/// Where accounts stand.
pub(super) const PASSWD: &str = "/etc/passwd";

const LIMIT: usize = 16 << 20;

/// Groups whose members may become root on common systems.
const ADMINISTRATORS: [&str; 5] = ["sudo", "wheel", "admin", "root", "docker"];

/// One JSON object per account.
pub(super) fn take(host: &dyn Host) -> io::Result<Vec<String>> {
    let accounts = host.read(Path::new(PASSWD), LIMIT)?;
    let groups = host.read(Path::new("/etc/group"), LIMIT).unwrap_or_default();
    Ok(objects(&String::from_utf8_lossy(&accounts), &String::from_utf8_lossy(&groups)))
}

fn objects(accounts: &str, groups: &str) -> Vec<String> {
    let mut objects = Vec::new();
    for line in accounts.lines() {
        let parts: Vec<&str> = line.split(':').collect();
        let [user, _, uid, gid, _, home, shell] = parts[..] else { continue };
        let member_of: Vec<&str> = groups
            .lines()
            .filter_map(|group| {
                let mut parts = group.split(':');
                let name = parts.next()?;
                let members = parts.nth(2)?;
                members.split(',').any(|member| member == user).then_some(name)
            })
            .collect();
        let admin = uid == "0" || member_of.iter().any(|group| ADMINISTRATORS.contains(group));
        objects.push(
            serde_json::json!({
                "key": user,
                "kind": "user",
                "user": user,
                "uid": uid,
                "gid": gid,
                "home": home,
                "shell": shell,
                "groups": member_of.join(","),
                "admin": admin,
                "can_login": !(shell.ends_with("/nologin") || shell.ends_with("/false")),
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
    fn administrators_are_told() {
        let objects = objects(
            "root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1000::/home/bob:/bin/sh\nbad line\nwww:x:33:33:w:/v:/usr/sbin/nologin",
            "sudo:x:27:ann,bob\nx:x:28:bobby",
        );
        assert_eq!(objects.len(), 3);
        assert!(objects[1].contains(r#""admin":true"#) && objects[1].contains(r#""groups":"sudo""#));
        assert!(objects[2].contains(r#""can_login":false"#));
    }
}
