//! Real records of many products: every one gets a time of its own, labels, and columns.

use std::collections::BTreeMap;

use covigil_model::{Attr, Class, Event};
use evtx::EvtxParser;

use crate::{context, files, read, shared_data};

/// The JSON of every record of an EVTX file, as far as the file is whole.
pub(crate) fn evtx_records(path: &std::path::Path) -> Vec<String> {
    let mut parser = EvtxParser::from_path(path).unwrap();
    parser.records_json().filter_map(Result::ok).map(|record| record.data).collect()
}

#[test]
fn every_evtx_record_is_understood() {
    let Some(data) = shared_data() else { return };
    let mut services: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = 0;
    for path in files(&data.join("evtx"), "evtx") {
        for record in evtx_records(&path) {
            let (event, failure) = read("windows", &record);
            assert_eq!(failure, None, "{}: {record}", path.display());
            assert_eq!(event.log_source.product, "windows");
            // Records salvaged from a damaged chunk may be empty.
            if event.field("Channel").is_none() {
                continue;
            }
            let channel = event.attr(Attr::LogName).unwrap_or("");
            assert!(!channel.is_empty(), "{}: {record}", path.display());
            let id: u32 = event.field("EventID").unwrap().text.parse().unwrap();
            let _ = id;
            assert_ne!(event.time, context().received, "{}: {record}", path.display());
            for field in event.fields() {
                let name = event.name(field);
                assert!(!name.starts_with("Event.") && !name.contains('#'), "{name} in {}", path.display());
            }
            *services.entry(format!("{channel} -> {:?}", event.log_source.services)).or_default() += 1;
            count += 1;
        }
    }
    for (channel, records) in services {
        println!("{records:8} {channel}");
    }
    assert!(count > 5_000, "only {count} records");
}

#[test]
fn flat_windows_records_are_understood() {
    let Some(data) = shared_data() else { return };
    let mut count = 0;
    let mut without_time = 0;
    for path in files(&data.join("windows-json"), "zip") {
        let file = std::fs::File::open(&path).unwrap();
        let Ok(mut archive) = zip::ZipArchive::new(file) else { continue };
        for index in 0..archive.len() {
            let mut member = archive.by_index(index).unwrap();
            if !member.name().ends_with(".json") {
                continue;
            }
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
            for line in String::from_utf8_lossy(&bytes).lines().take(1_000) {
                if !line.contains("\"EventID\"") && !line.contains("\"event_id\"") {
                    continue;
                }
                let (event, failure) = read("auto", line);
                assert_eq!(failure, None, "{}: {line}", path.display());
                assert_eq!(event.log_source.product, "windows", "{}: {line}", path.display());
                assert_eq!(&*event.parser, "windows");
                without_time += usize::from(event.time == context().received);
                assert!(event.field("EventID").is_some() && event.field("Channel").is_some(), "{line}");
                count += 1;
            }
        }
    }
    assert_eq!(without_time, 0);
    assert!(count > 10_000, "only {count} records");
}

/// The JSON of the member `log` of one line, unless it says that it is of another type: some rules
/// are tried on several.
fn log_member(line: &str, kind: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let log = value.get("log")?;
    let same = log.get("p_log_type").is_none_or(|own| own == kind);
    same.then(|| log.to_string())
}

#[test]
fn cloud_logs_get_their_labels() {
    let Some(data) = shared_data() else { return };
    let mut unlabelled = 0;
    for (file, product, service, least) in [
        ("AWS.CloudTrail", "aws", "cloudtrail", 95),
        ("AWS.GuardDuty", "aws", "guardduty", 90),
        ("AWS.VPCFlow", "aws", "vpcflow", 60),
        ("Azure.Audit", "azure", "", 90),
        ("Azure.MonitorActivity", "azure", "activitylogs", 90),
        ("GCP.AuditLog", "gcp", "gcp.audit", 80),
        ("GSuite.ActivityEvent", "gcp", "", 80),
        ("GitHub.Audit", "github", "audit", 90),
        ("Okta.SystemLog", "okta", "okta", 90),
        ("OneLogin.Events", "onelogin", "onelogin.events", 90),
        ("Microsoft365.Audit.SharePoint", "m365", "audit", 90),
        ("Microsoft365.Audit.Exchange", "m365", "audit", 90),
        ("Amazon.EKS.Audit", "kubernetes", "audit", 85),
        ("Duo.Authentication", "cisco", "duo", 60),
        ("Windows.EventLogs", "windows", "", 90),
    ] {
        let text = std::fs::read_to_string(data.join(format!("cloud-logs/panther/{file}.jsonl"))).unwrap();
        let (mut right, mut all) = (0, 0);
        for log in text.lines().filter_map(|line| log_member(line, file)) {
            let (event, failure) = read("auto", &log);
            assert_eq!(failure, None, "{log}");
            let fits = event.log_source.product == product
                && (service.is_empty() || event.log_source.services.iter().any(|s| s == service));
            all += 1;
            right += usize::from(fits);
            if !fits {
                unlabelled += 1;
                println!("{file}: {:?} {log:.200}", event.log_source);
            }
        }
        println!("{file}: {right} of {all}");
        assert!(right * 100 >= all * least, "{file}: only {right} of {all} are {product}/{service}");
    }
    println!("{unlabelled} records lack their label");
}

#[test]
fn appliance_and_service_lines_are_read() {
    let Some(data) = shared_data() else { return };
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    let mut messages = 0;
    for path in files(&data.join("wazuh/log-tests"), "ini") {
        let text = std::fs::read(&path).unwrap();
        for line in String::from_utf8_lossy(&text).lines() {
            let Some((key, record)) = line.split_once('=') else { continue };
            if !key.trim_start().starts_with("log ") {
                continue;
            }
            let (event, failure) = read("auto", record.trim());
            // Several objects in one record are refused, and its first one read all the same.
            assert!(failure.is_none() || record.contains("} {"), "{failure:?}: {record}");
            *shown.entry(format!("{} {:?}", event.parser, event.log_source)).or_default() += 1;
            messages += 1;
        }
    }
    for (label, count) in shown {
        println!("{count:5} {label}");
    }
    assert!(messages > 700, "only {messages}");
}

/// The event of one record that must be understood.
fn good(parser: &str, record: &str) -> Event {
    let (event, failure) = read(parser, record);
    assert_eq!(failure, None, "{record}");
    event
}

#[test]
fn process_creations_of_both_logs_look_alike() {
    let sysmon = good(
        "windows",
        r##"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"UtcTime":"2026-01-01 00:00:00.123","Image":"C:\\a.exe","CommandLine":"a -x","User":"D\\u","ParentImage":"C:\\p.exe"}"##,
    );
    let security = good(
        "windows",
        r##"{"Event":{"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Security-Auditing"}},"EventID":{"#attributes":{"Qualifiers":""},"#text":4688},"Channel":"Security","Computer":"w","Keywords":"0x8020000000000000","TimeCreated":{"#attributes":{"SystemTime":"2026-01-01T00:00:00.1234567Z"}}},"EventData":{"SubjectDomainName":"D","SubjectUserName":"u","NewProcessId":"0x10","NewProcessName":"C:\\a.exe","CommandLine":"a -x","ParentProcessName":"C:\\p.exe","ProcessId":"0x4","MandatoryLabel":"S-1-16-12288"}}}"##,
    );
    for event in [&sysmon, &security] {
        assert_eq!(event.field("Image").unwrap().text, "C:\\a.exe");
        assert_eq!(event.field("User").unwrap().text, "D\\u");
        assert_eq!(event.attr(Attr::ProcessPath), Some("C:\\a.exe"));
        assert_eq!(event.attr(Attr::ParentPath), Some("C:\\p.exe"));
        assert_eq!((event.class, event.activity), (Class::PROCESS, 1));
        assert!(event.log_source.covers(Some("windows"), None, Some("process_creation")));
    }
    assert_eq!(security.time.to_string(), "2026-01-01T00:00:00.123456700Z");
    assert_eq!(security.attr(Attr::ProcessPid), Some("16"));
    assert_eq!(security.field("EventID").unwrap().text, "4688");
    assert_eq!(security.field("IntegrityLevel").unwrap().text, "High");
}

#[test]
fn winlogbeat_of_both_generations() {
    for record in [
        r##"{"@timestamp":"2026-01-01T00:00:00.5Z","winlog":{"channel":"Security","event_id":4625,"provider_name":"Microsoft-Windows-Security-Auditing","computer_name":"w","event_data":{"TargetUserName":"bob","IpAddress":"10.0.0.1","LogonType":"3"}},"message":"m"}"##,
        r##"{"@timestamp":"2026-01-01T00:00:00.5Z","log_name":"Security","event_id":"4625","source_name":"Microsoft-Windows-Security-Auditing","computer_name":"w","event_data":{"TargetUserName":"bob","IpAddress":"10.0.0.1","LogonType":"3"},"message":"m"}"##,
    ] {
        let event = good("auto", record);
        assert_eq!(event.field("TargetUserName").unwrap().text, "bob");
        assert_eq!(event.field("EventID").unwrap().text, "4625");
        assert_eq!(event.attr(Attr::SrcIp), Some("10.0.0.1"));
        assert_eq!(event.attr(Attr::Message), Some("m"));
        assert_eq!(event.time.to_string(), "2026-01-01T00:00:00.500Z");
        assert!(event.log_source.covers(Some("windows"), Some("security"), None));
    }
}

#[test]
fn user_data_and_unnamed_data() {
    let event = good(
        "windows",
        r##"{"Event":{"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Eventlog"}},"EventID":104,"Channel":"System"},"UserData":{"LogFileCleared":{"#attributes":{"xmlns":"x"},"SubjectUserName":"bob","Channel":"Application"}}}}"##,
    );
    let channels: Vec<&str> = event.iter().filter(|(n, _)| *n == "Channel").map(|(_, v)| v.text).collect();
    assert_eq!(channels, ["System", "Application"]);
    assert_eq!(event.attr(Attr::LogName), Some("System"));
    assert_eq!(event.attr(Attr::ActorUserName), Some("bob"));
    let event = good(
        "windows",
        r##"{"Event":{"System":{"EventID":400,"Channel":"Windows PowerShell"},"EventData":{"Data":{"#text":["Available","None","\tNewEngineState=Available\r\n\tHostApplication=powershell -enc x\r\n"]}}}}"##,
    );
    assert_eq!(event.iter().filter(|(n, _)| *n == "Data").count(), 3);
    assert_eq!(event.field("HostApplication").unwrap().text, "powershell -enc x");
    let separate = good(
        "windows",
        r##"{"Event_attributes":{"xmlns":"x"},"Event":{"System":{"Provider_attributes":{"Name":"P"},"EventID":1,"EventID_attributes":{"Qualifiers":0},"TimeCreated_attributes":{"SystemTime":"2026-01-01T00:00:00Z"},"Channel":"Microsoft-Windows-Sysmon/Operational"},"EventData":{"Image":"x"}}}"##,
    );
    assert_eq!(separate.field("Provider_Name").unwrap().text, "P");
    assert_eq!(separate.time.to_string(), "2026-01-01T00:00:00Z");
}

#[test]
fn a_changed_value_of_the_security_log_looks_like_sysmons() {
    let event = good(
        "windows",
        r##"{"Channel":"Security","EventID":4657,"ObjectName":"\\REGISTRY\\MACHINE\\SOFTWARE\\X","ObjectValueName":"Run","NewValue":"evil","ProcessName":"C:\\r.exe"}"##,
    );
    assert_eq!(event.field("TargetObject").unwrap().text, "HKLM\\SOFTWARE\\X\\Run");
    assert_eq!(event.field("Details").unwrap().text, "evil");
    assert!(event.log_source.covers(Some("windows"), None, Some("registry_set")));
    assert!(event.log_source.covers(Some("windows"), None, Some("registry_event")));
}
