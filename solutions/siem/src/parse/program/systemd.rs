//! The service manager and the login manager.

use covigil_model::{Attr, Class, Severity, Status};

use crate::parse::draft::Draft;

/// Reads a message of the service manager.
pub(super) fn manager(text: &str, draft: &mut Draft) {
    const ACTS: [(&str, &str, u8); 6] = [
        ("Started ", "service_started", 3),
        ("Stopped ", "service_stopped", 4),
        ("Reloaded ", "service_reloaded", 8),
        ("Finished ", "service_finished", 3),
        ("Mounted ", "mounted", 0),
        ("Unmounted ", "unmounted", 0),
    ];
    for (words, action, activity) in ACTS {
        if let Some(what) = text.strip_prefix(words) {
            draft.class(Class::APPLICATION_LIFECYCLE, activity);
            draft.status(Status::Success);
            draft.action(action);
            unit(what, draft);
            return;
        }
    }
    if let Some(what) = text.strip_prefix("Failed to start ") {
        draft.class(Class::APPLICATION_LIFECYCLE, 3);
        draft.status(Status::Failure);
        draft.severity(Severity::Low);
        draft.action("service_failed");
        unit(what, draft);
        return;
    }
    let Some((name, said)) = text.split_once(": ") else { return };
    if name.contains(' ') || !name.contains('.') {
        return;
    }
    draft.both("unit", name, Attr::ServiceName);
    if let Some(result) = said.strip_prefix("Failed with result '") {
        draft.class(Class::APPLICATION_LIFECYCLE, 4);
        draft.status(Status::Failure);
        draft.severity(Severity::Low);
        draft.action("service_failed");
        draft.both("reason", result.trim_end_matches(['.', '\'']), Attr::StatusDetail);
    } else if said.starts_with("Main process exited") {
        draft.action("process_exited");
        for pair in crate::parse::keyvalue::pairs(said) {
            draft.pair(pair.name, pair.value);
        }
    } else if said.starts_with("Deactivated successfully") || said.starts_with("Succeeded") {
        draft.class(Class::APPLICATION_LIFECYCLE, 4);
        draft.status(Status::Success);
        draft.action("service_stopped");
    }
}

/// `cron.service - Regular background program processing daemon.`, or the description alone.
fn unit(what: &str, draft: &mut Draft) {
    let what = what.trim_end_matches('.');
    match what.split_once(" - ") {
        Some((name, description)) if !name.contains(' ') && name.contains('.') => {
            draft.both("unit", name, Attr::ServiceName);
            draft.field("description", description);
        }
        _ => draft.both("description", what, Attr::ServiceName),
    }
}

/// Reads a message of the login manager.
pub(super) fn logind(text: &str, draft: &mut Draft) {
    if let Some(rest) = text.strip_prefix("New session ") {
        let Some((id, user)) = rest.split_once(" of user ") else { return };
        draft.class(Class::AUTHENTICATION, 1);
        draft.status(Status::Success);
        draft.action("session_opened");
        draft.both("session", id.trim_matches('\''), Attr::SessionUid);
        let user = user.split(" with class").next().unwrap_or(user);
        draft.both("user", user.trim_end_matches('.').trim_matches('\''), Attr::UserName);
    } else if let Some(rest) = text.strip_prefix("Removed session ") {
        draft.class(Class::AUTHENTICATION, 2);
        draft.action("session_closed");
        draft.both("session", rest.trim_end_matches('.'), Attr::SessionUid);
    } else if text.starts_with("System is rebooting") || text.starts_with("The system will reboot") {
        draft.action("reboot");
        draft.class(Class::APPLICATION_LIFECYCLE, 5);
    } else if text.starts_with("System is powering down") || text.starts_with("The system will power off") {
        draft.action("shutdown");
        draft.class(Class::APPLICATION_LIFECYCLE, 4);
    }
}
