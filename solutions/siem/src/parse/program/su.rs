//! su, of util-linux and of shadow.

use covigil_model::{Attr, Class, Status};

use crate::parse::draft::Draft;

/// Reads one message.
pub(super) fn read(text: &str, draft: &mut Draft) {
    let (status, rest) = match text.strip_prefix("FAILED SU ").or_else(|| text.strip_prefix("FAILED su ")) {
        Some(rest) => (Status::Failure, rest),
        None => (Status::Success, text.strip_prefix("Successful su ").unwrap_or(text)),
    };
    if let Some(rest) = rest.strip_prefix("(to ") {
        // `(to root) bob on pts/0`
        let Some((target, by)) = rest.split_once(") ") else { return };
        let (by, tty) = by.rsplit_once(" on ").unwrap_or((by, &by[..0]));
        switched(target, by, tty, status, draft);
    } else if let Some(rest) = rest.strip_prefix("for ") {
        // `for root by bob`
        if let Some((target, by)) = rest.split_once(" by ") {
            switched(target, by, &by[..0], status, draft);
        }
    } else if let Some(mark @ ("+" | "-")) = text.get(..1) {
        // `+ /dev/pts/0 bob:root`; a minus is a failure.
        let mut words = text.split(' ').skip(1);
        if let (Some(tty), Some(who), None) = (words.next(), words.next(), words.next())
            && let Some((by, target)) = who.split_once(':')
        {
            let status = if mark == "+" { Status::Success } else { Status::Failure };
            switched(target, by, tty, status, draft);
        }
    }
}

fn switched(target: &str, by: &str, tty: &str, status: Status, draft: &mut Draft) {
    draft.class(Class::AUTHENTICATION, 7);
    draft.status(status);
    draft.action(if status == Status::Success { "user_switched" } else { "switch_failed" });
    draft.both("user", target, Attr::UserName);
    draft.both("by_user", by, Attr::ActorUserName);
    if !tty.is_empty() {
        draft.field("tty", tty);
    }
}
