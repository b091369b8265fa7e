//! sudo: `bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/id`. The fields keep
//! sudo's names, which Sigma's rules use.

use covigil_model::{Attr, Class, Status};

use crate::parse::draft::Draft;

/// Reads one message.
pub(super) fn read(text: &str, draft: &mut Draft) {
    let Some((user, mut rest)) = text.trim_start().split_once(" : ") else { return };
    draft.both("user", user.trim(), Attr::ActorUserName);
    draft.class(Class::PROCESS, 1);
    let mut reason = "";
    // The command comes last and may contain anything.
    loop {
        if let Some(command) = rest.strip_prefix("COMMAND=") {
            draft.both("COMMAND", command, Attr::ProcessCmdLine);
            let path = command.split(' ').next().unwrap_or(command);
            draft.column(Attr::ProcessPath, path);
            break;
        }
        let (part, after) = rest.split_once(" ; ").unwrap_or((rest, ""));
        match part.split_once('=') {
            Some(("USER", value)) => draft.both("USER", value, Attr::UserName),
            Some((name @ ("TTY" | "PWD" | "GROUP" | "HOST" | "TSID" | "ENV" | "CWD" | "CHROOT"), value)) => {
                draft.pair(name, value);
            }
            _ if reason.is_empty() => reason = part,
            _ => {}
        }
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    if reason.is_empty() {
        draft.status(Status::Success);
        draft.action("command_run");
        return;
    }
    draft.status(Status::Failure);
    draft.both("reason", reason, Attr::StatusDetail);
    if reason.contains("incorrect password attempt") {
        draft.class(Class::AUTHENTICATION, 1);
        draft.action("too_many_failures");
    } else {
        draft.class(Class::AUTHORIZE_SESSION, 1);
        draft.action("command_denied");
    }
}
