//! fail2ban's own log file: `2024-01-02 03:04:05,123 fail2ban.actions [77]: NOTICE [sshd] Ban 10.0.0.1`.

use covigil_model::{Attr, Event};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};

use crate::parse::{draft::Draft, machine, moment, program};

/// The parser of `fail2ban.log`.
pub struct Fail2ban;

impl Parser for Fail2ban {
    fn name(&self) -> &'static str {
        "fail2ban"
    }

    fn sniff(&self, original: &str) -> Confidence {
        match original.get(19..).and_then(|rest| rest.split_once(' ')) {
            Some((_, rest)) if rest.starts_with("fail2ban.") => Confidence::Strong,
            _ => Confidence::No,
        }
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        let mut draft = Draft::of(event);
        let text = event.original();
        let parts = text.split_once("]: ");
        if let Some((head, said)) = parts {
            if let Some(time) = head.get(..23).and_then(|stamp| moment::iso(stamp, context.utc_offset)) {
                draft.time(time);
            }
            program::fail2ban(said, &mut draft);
        }
        let understood = parts.is_some();
        draft.both("message", text, Attr::Message);
        draft.column_word(Attr::Product, "fail2ban");
        draft.write(event);
        machine::name(context, event);
        if understood {
            Ok(())
        } else {
            Err(ParseFailure("not a line of fail2ban.log: it lacks the process id in brackets".into()))
        }
    }
}
