//! cron and crontab: `(root) CMD (/usr/bin/true)`.

use covigil_model::{Attr, Class, Status};

use crate::parse::draft::Draft;

/// Reads one message.
pub(super) fn read(text: &str, draft: &mut Draft) {
    let Some((user, rest)) = text.strip_prefix('(').and_then(|t| t.split_once(") ")) else { return };
    let Some((act, data)) = rest.split_once(" (") else { return };
    let data = data.strip_suffix(')').unwrap_or(data);
    draft.both("user", user, Attr::ActorUserName);
    draft.field("act", act);
    match act {
        "CMD" => {
            let command = data.trim_start();
            draft.both("command", command, Attr::ProcessCmdLine);
            draft.class(Class::SCHEDULED_JOB, 6);
            draft.action("job_run");
        }
        "REPLACE" | "END EDIT" => changed(2, "crontab_changed", data, draft),
        "DELETE" => changed(3, "crontab_deleted", data, draft),
        "RELOAD" => changed(2, "crontab_reloaded", data, draft),
        "LIST" => changed(0, "crontab_listed", data, draft),
        "BEGIN EDIT" => changed(0, "crontab_opened", data, draft),
        "AUTH" => {
            changed(0, "crontab_denied", data, draft);
            draft.status(Status::Failure);
        }
        _ => draft.field("detail", data),
    }
}

fn changed(activity: u8, action: &'static str, what: &str, draft: &mut Draft) {
    draft.class(Class::SCHEDULED_JOB, activity);
    draft.action(action);
    draft.both("crontab", what, Attr::JobName);
}
