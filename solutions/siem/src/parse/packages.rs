//! Debian's package logs: `dpkg.log`, and apt's `history.log`.

use covigil_model::{Attr, Class, Event, Status};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};

use crate::parse::{draft::Draft, machine, moment};

/// The parser of `dpkg.log`.
pub struct Dpkg;

impl Parser for Dpkg {
    fn name(&self) -> &'static str {
        "dpkg"
    }

    fn sniff(&self, original: &str) -> Confidence {
        let Some((stamp, rest)) = dated(original) else { return Confidence::No };
        let word = rest.split(' ').next().unwrap_or("");
        let known = matches!(
            word,
            "install"
                | "upgrade"
                | "remove"
                | "purge"
                | "configure"
                | "trigproc"
                | "status"
                | "startup"
                | "conffile"
        );
        if known && moment::iso(stamp, 0).is_some() { Confidence::Strong } else { Confidence::No }
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        let mut draft = Draft::of(event);
        let text = event.original();
        let time = dated(text).and_then(|(stamp, _)| moment::iso(stamp, context.utc_offset));
        if let (Some(time), Some((_, rest))) = (time, dated(text)) {
            draft.time(time);
            dpkg(rest, &mut draft);
        }
        finish(draft, "dpkg", context, event);
        match time {
            Some(_) => Ok(()),
            None => Err(ParseFailure("not a line of dpkg.log: it does not begin with a time".into())),
        }
    }
}

/// `2024-01-02 03:04:05`, and what follows the space after it.
fn dated(text: &str) -> Option<(&str, &str)> {
    Some((text.get(..19)?, text.get(19..)?.strip_prefix(' ')?))
}

/// `install nginx:amd64 <none> 1.22`, `status installed nginx:amd64 1.22`.
fn dpkg(text: &str, draft: &mut Draft) {
    let mut words = text.split(' ');
    let act = words.next().unwrap_or("");
    draft.field("act", act);
    if act == "status" {
        draft.field("state", words.next().unwrap_or(""));
        package(words.next().unwrap_or(""), draft);
        draft.field("version", words.next().unwrap_or(""));
        return;
    }
    let (action, activity) = match act {
        "install" => ("package_installed", 1),
        "upgrade" => ("package_upgraded", 8),
        "remove" => ("package_removed", 2),
        "purge" => ("package_purged", 2),
        "configure" | "trigproc" | "startup" | "conffile" => return,
        _ => return,
    };
    draft.class(Class::APPLICATION_LIFECYCLE, activity);
    draft.status(Status::Success);
    draft.action(action);
    package(words.next().unwrap_or(""), draft);
    let (old, new) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    draft.field("old_version", old);
    draft.field("version", new);
}

/// `nginx:amd64`.
fn package(word: &str, draft: &mut Draft) {
    let (name, architecture) = word.split_once(':').unwrap_or((word, &word[..0]));
    draft.both("package", name, Attr::PackageName);
    if !architecture.is_empty() {
        draft.field("architecture", architecture);
    }
}

/// The parser of apt's `history.log`, whose paragraphs arrive line by line.
pub struct Apt;

impl Parser for Apt {
    fn name(&self) -> &'static str {
        "apt"
    }

    fn sniff(&self, original: &str) -> Confidence {
        match original.split_once(": ") {
            Some(("Start-Date" | "End-Date" | "Commandline" | "Requested-By", _)) => Confidence::Strong,
            _ => Confidence::No,
        }
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        let mut draft = Draft::of(event);
        let text = event.original();
        let pair = text.split_once(": ");
        match pair {
            Some((name @ ("Start-Date" | "End-Date"), stamp)) => {
                draft.pair(name, stamp);
                // Two spaces stand between date and time.
                if let Some((date, clock)) = stamp.split_once("  ")
                    && let Some(time) = moment::iso(&format!("{date} {clock}"), context.utc_offset)
                {
                    draft.time(time);
                }
            }
            Some((name @ "Commandline", command)) => {
                draft.pair(name, command);
                draft.column(Attr::ProcessCmdLine, command);
            }
            Some((name @ "Requested-By", who)) => {
                draft.pair(name, who);
                draft.both("user", who.split(' ').next().unwrap_or(who), Attr::ActorUserName);
            }
            Some((name @ ("Install" | "Upgrade" | "Remove" | "Purge" | "Reinstall" | "Downgrade"), list)) => {
                draft.pair(name, list);
                draft.class(
                    Class::APPLICATION_LIFECYCLE,
                    if matches!(name, "Remove" | "Purge") { 2 } else { 1 },
                );
                for item in list.split("), ").take(256) {
                    let name = item.split([':', ' ']).next().unwrap_or("");
                    draft.both("package", name, Attr::PackageName);
                }
            }
            Some((name @ "Error", detail)) => {
                draft.pair(name, detail);
                draft.status(Status::Failure);
                draft.column(Attr::StatusDetail, detail);
            }
            _ => {}
        }
        let understood = pair.is_some() || text.trim().is_empty();
        finish(draft, "apt", context, event);
        if understood {
            Ok(())
        } else {
            Err(ParseFailure("not a line of apt's history: it has no name before a colon".into()))
        }
    }
}

fn finish(mut draft: Draft, service: &'static str, context: &ParseContext, event: &mut Event) {
    draft.service(service);
    draft.column_word(Attr::Product, service);
    draft.both("message", event.original(), Attr::Message);
    draft.write(event);
    machine::name(context, event);
}

#[cfg(test)]
mod tests {
    use covigil_model::Time;

    use super::*;

    fn context() -> ParseContext {
        ParseContext { received: Time::default(), utc_offset: 0, peer: None, hostname: "h".into() }
    }

    #[test]
    fn dpkg_lines() {
        let mut event = Event::from_original("2024-01-02 03:04:05 install nginx:amd64 <none> 1.22.1-9");
        Dpkg.parse(&context(), &mut event).unwrap();
        assert_eq!(event.field("package").unwrap().text, "nginx");
        assert_eq!(event.field("action").unwrap().text, "package_installed");
        assert_eq!(event.time.to_string(), "2024-01-02T03:04:05Z");
        let mut event = Event::from_original("no");
        assert!(Dpkg.parse(&context(), &mut event).is_err());
    }

    #[test]
    fn apt_lines() {
        let mut event = Event::from_original("Install: nginx:amd64 (1.22), libx:amd64 (2, automatic)");
        Apt.parse(&context(), &mut event).unwrap();
        let packages: Vec<&str> =
            event.iter().filter(|(name, _)| *name == "package").map(|(_, v)| v.text).collect();
        assert_eq!(packages, ["nginx", "libx"]);
        let mut event = Event::from_original("Start-Date: 2024-01-02  03:04:05");
        Apt.parse(&context(), &mut event).unwrap();
        assert_eq!(event.time.to_string(), "2024-01-02T03:04:05Z");
    }
}
