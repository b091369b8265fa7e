//! The programs that change accounts and groups.

use covigil_model::{Attr, Class, Status};

use crate::parse::{draft::Draft, keyvalue};

/// Reads a message of `program`.
pub(super) fn read(program: &str, text: &str, draft: &mut Draft) {
    if let Some(data) = text.strip_prefix("new user: ") {
        account(1, "user_created", draft);
        for pair in keyvalue::pairs(data) {
            match pair.name {
                "name" => draft.both("user", pair.value, Attr::UserName),
                "UID" => draft.both("uid", pair.value, Attr::UserUid),
                _ => draft.pair(pair.name, pair.value),
            }
        }
    } else if let Some(data) =
        text.strip_prefix("new group: ").or_else(|| text.strip_prefix("group added to /etc/group: "))
    {
        draft.class(Class::GROUP, 6);
        draft.action("group_created");
        for pair in keyvalue::pairs(data) {
            if pair.name == "name" {
                draft.field("group", pair.value);
            } else {
                draft.pair(pair.name, pair.value);
            }
        }
    } else if let Some(rest) = text.strip_prefix("add '") {
        // `add 'bob' to group 'sudo'`; the shadow group repeats it.
        let Some((user, to)) = rest.split_once("' to ") else { return };
        if let Some(group) = to.strip_prefix("group '") {
            member(3, "group_member_added", user, group.trim_end_matches('\''), draft);
        }
    } else if let Some(rest) = text.strip_prefix("user ")
        && let Some((user, rest)) = rest.split_once(" added by ")
        && let Some((by, group)) = rest.split_once(" to group ")
    {
        draft.both("by_user", by, Attr::ActorUserName);
        member(3, "group_member_added", user, group, draft);
    } else if let Some(rest) = text.strip_prefix("user ")
        && let Some((user, rest)) = rest.split_once(" removed by ")
        && let Some((by, group)) = rest.split_once(" from group ")
    {
        draft.both("by_user", by, Attr::ActorUserName);
        member(4, "group_member_removed", user, group, draft);
    } else if let Some(rest) = text.strip_prefix("delete '")
        && let Some((user, from)) = rest.split_once("' from group '")
    {
        member(4, "group_member_removed", user, from.trim_end_matches('\''), draft);
    } else if let Some(user) = quoted(text, "delete user '") {
        account(6, "user_deleted", draft);
        draft.both("user", user, Attr::UserName);
    } else if let Some(user) = quoted(text, "lock user '") {
        account(5, "user_locked", draft);
        draft.both("user", user, Attr::UserName);
    } else if let Some(user) = quoted(text, "unlock user '") {
        account(2, "user_unlocked", draft);
        draft.both("user", user, Attr::UserName);
    } else if let Some(user) = quoted(text, "change user '")
        .or_else(|| quoted(text, "changed user '"))
        .or_else(|| quoted(text, "password for '"))
    {
        let (activity, action) = if text.contains("password") || program == "passwd" {
            (3, "password_changed")
        } else if text.contains("shell") {
            (99, "shell_changed")
        } else if text.contains("UID") {
            (99, "uid_changed")
        } else {
            (99, "user_changed")
        };
        account(activity, action, draft);
        draft.both("user", user, Attr::UserName);
        if let Some((_, to)) = text.rsplit_once(" to '") {
            draft.field("to", to.trim_end_matches('\''));
        }
    } else if let Some(user) = text.strip_prefix("changed password expiry for ") {
        account(99, "password_expiry_changed", draft);
        draft.both("user", user, Attr::UserName);
    } else if text.contains("removed")
        && let Some(group) = quoted(text, "group '").or_else(|| quoted(text, "removed group '"))
    {
        draft.class(Class::GROUP, 5);
        draft.action("group_deleted");
        draft.field("group", group);
    }
}

fn account(activity: u8, action: &'static str, draft: &mut Draft) {
    draft.class(Class::ACCOUNT_CHANGE, activity);
    draft.status(Status::Success);
    draft.action(action);
}

fn member(activity: u8, action: &'static str, user: &str, group: &str, draft: &mut Draft) {
    draft.class(Class::GROUP, activity);
    draft.status(Status::Success);
    draft.action(action);
    draft.both("user", user, Attr::UserName);
    draft.field("group", group);
}

/// What stands between `head` at the text's begin and the next quote.
fn quoted<'a>(text: &'a str, head: &str) -> Option<&'a str> {
    text.strip_prefix(head)?.split('\'').next()
}
