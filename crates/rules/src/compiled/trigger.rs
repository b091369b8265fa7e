//! Which predicates wake a rule.
//!
//! A rule may be skipped unless something that it needs has happened. Of `A and (B or C) and not D`
//! both `{A}` and `{B, C}` are such needs. The cheapest is the one expected to happen least often;
//! how often a literal is found is guessed from its length, its position, the field, and from
//! values that every machine logs all day.

use super::{FieldId, scanner::Position};

/// Something that may wake a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Trigger {
    /// A predicate was hit by a literal.
    Predicate(u32),
    /// The event has the field.
    Present(FieldId),
}

/// A need: unless one of these happens, the rule cannot match.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Need {
    /// Expected happenings per event.
    pub cost: f32,
    /// What may wake the rule.
    pub triggers: Vec<Trigger>,
}

/// How often a field is there, among events of a partition that has rules about it.
pub(crate) const PRESENT: f32 = 0.7;

/// All must hold: the cheapest need of any part will do.
pub(crate) fn cheapest(parts: impl IntoIterator<Item = Option<Need>>) -> Option<Need> {
    parts.into_iter().flatten().min_by(|a, b| a.cost.total_cmp(&b.cost))
}

/// At least `n` of `of` parts must hold: of any `of - n + 1` parts, one does.
pub(crate) fn enough(n: usize, parts: Vec<Option<Need>>) -> Option<Need> {
    let wanted = (parts.len() + 1).checked_sub(n)?;
    let mut needs: Vec<Need> = parts.into_iter().flatten().collect();
    if needs.len() < wanted {
        return None;
    }
    needs.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    needs.truncate(wanted);
    let cost = needs.iter().map(|need| need.cost).sum();
    let mut triggers: Vec<Trigger> = needs.into_iter().flat_map(|need| need.triggers).collect();
    triggers.sort_unstable();
    triggers.dedup();
    Some(Need { cost, triggers })
}

/// How often a literal is expected in a value of the field.
pub(crate) fn frequency(field: &str, position: Position, literal: &str) -> f32 {
    if position == Position::Whole {
        // These tell kinds of events apart, and there are few kinds.
        match field {
            "EventID" | "event.code" | "eventName" | "LogonType" | "type" => return 0.15,
            "Channel" | "Provider_Name" | "eventSource" | "EventType" | "Initiated" | "IntegrityLevel" => {
                return 0.6;
            }
            _ => {}
        }
    }
    let by_length = match literal.chars().count() {
        0 => 1.0,
        1 => 0.8,
        2 => 0.4,
        3 => 0.15,
        4 => 0.06,
        5 => 0.03,
        6..=8 => 0.01,
        _ => 0.004,
    };
    let usual = USUAL.iter().any(|value| match position {
        Position::Whole => *value == literal,
        Position::Start => value.starts_with(literal),
        Position::End => value.ends_with(literal),
        Position::Anywhere => value.contains(literal),
    });
    match position {
        _ if usual => f32::max(by_length, 0.3),
        Position::Whole | Position::Start | Position::End => by_length * 0.5,
        Position::Anywhere => by_length,
    }
}

/// Values, lowered, that machines log all day.
pub(crate) const USUAL: [&str; 26] = [
    r"c:\windows\system32\svchost.exe",
    r"c:\windows\system32\svchost.exe -k netsvcs -p -s schedule",
    r"c:\windows\system32\services.exe",
    r"c:\windows\system32\lsass.exe",
    r"c:\windows\system32\wbem\wmiprvse.exe",
    r"c:\windows\system32\windowspowershell\v1.0\powershell.exe",
    r"c:\windows\system32\cmd.exe",
    r"c:\windows\system32\cmd.exe /c ",
    r"c:\windows\explorer.exe",
    r"c:\windows\system32\kernel32.dll",
    r"c:\windows\syswow64\ntdll.dll",
    r"c:\program files\common files\microsoft shared\clicktorun\officeclicktorun.exe",
    r"c:\program files (x86)\microsoft\edge\application\msedge.exe --type=renderer --lang=en-us",
    r"c:\users\administrator\appdata\local\temp\x.tmp",
    r"c:\programdata\microsoft\windows defender\platform\msmpeng.exe",
    r"hklm\software\microsoft\windows\currentversion\explorer",
    r"hklm\system\currentcontrolset\services\tcpip\parameters",
    r"hku\s-1-5-21-0-0-0-500\software\microsoft\windows nt\currentversion",
    r"nt authority\system",
    r"\registry\machine\system",
    "microsoft® windows® operating system",
    "microsoft corporation",
    "https://www.microsoft.com/en-us/index.html",
    "/usr/lib/systemd/systemd --user",
    "/bin/sh -c /usr/bin/python3 /etc/cron.daily/",
    "host process for windows services",
];
