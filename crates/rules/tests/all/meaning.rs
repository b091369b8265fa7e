//! Every modifier and condition form, and the traps in which other engines were caught.

use crate::{event, matches, matching};

/// Each row: a search's YAML map or list, events that match, events that do not.
fn check(rows: &[(&str, &[&str], &[&str])]) {
    for (search, yes, no) in rows {
        let detection = format!("  s: {search}\n  condition: s\n");
        for json in *yes {
            assert!(matches(&detection, json), "{search} should match {json}");
        }
        for json in *no {
            assert!(!matches(&detection, json), "{search} should not match {json}");
        }
    }
}

#[test]
fn text_places() {
    check(&[
        ("{f: aBc}", &[r#"{"f":"AbC"}"#], &[r#"{"f":"abcd"}"#, r#"{"g":"abc"}"#, r#"{"F":"abc"}"#]),
        ("{f|contains: bc}", &[r#"{"f":"aBCd"}"#, r#"{"f":"bc"}"#], &[r#"{"f":"b c"}"#]),
        ("{f|startswith: ab}", &[r#"{"f":"ABc"}"#, r#"{"f":"ab"}"#], &[r#"{"f":"cab"}"#]),
        ("{f|endswith: bc}", &[r#"{"f":"aBC"}"#, r#"{"f":"bc"}"#], &[r#"{"f":"bcd"}"#]),
        ("{f|contains|cased: bC}", &[r#"{"f":"abC"}"#], &[r#"{"f":"abc"}"#]),
        ("{f|cased: aB}", &[r#"{"f":"aB"}"#], &[r#"{"f":"ab"}"#, r#"{"f":"aBc"}"#]),
        (r"{f|endswith: '\cmd.exe'}", &[r#"{"f":"C:\\Windows\\CMD.exe"}"#], &[r#"{"f":"xcmd.exe"}"#]),
        (r"{f|contains: '\temp\'}", &[r#"{"f":"C:\\Temp\\x"}"#], &[r#"{"f":"C:\\Temp"}"#]),
        ("{f|contains: 'ÄÖ'}", &[r#"{"f":"xäÖx"}"#], &[r#"{"f":"ao"}"#]),
        ("{f|contains: ''}", &[r#"{"f":"x"}"#, r#"{"f":""}"#], &["{}", r#"{"f":null}"#]),
        ("{'Target User Name': bob}", &[r#"{"Target User Name":"bob"}"#], &[r#"{"TargetUserName":"bob"}"#]),
    ]);
}

#[test]
fn wildcards_and_escapes() {
    check(&[
        ("{f: 'a*c'}", &[r#"{"f":"abbc"}"#, r#"{"f":"a\nc"}"#, r#"{"f":"ac"}"#], &[r#"{"f":"abcd"}"#]),
        (
            "{f: 'a?c'}",
            &[r#"{"f":"abc"}"#, r#"{"f":"aéc"}"#, r#"{"f":"a\nc"}"#],
            &[r#"{"f":"ac"}"#, r#"{"f":"abbc"}"#],
        ),
        ("{f: '*'}", &[r#"{"f":""}"#, r#"{"f":1}"#], &["{}", r#"{"f":null}"#]),
        ("{f: '?'}", &[r#"{"f":"é"}"#], &[r#"{"f":""}"#, r#"{"f":"ab"}"#]),
        (r"{f: 'a\*'}", &[r#"{"f":"a*"}"#], &[r#"{"f":"ab"}"#]),
        (r"{f: 'a\\*'}", &[r#"{"f":"a\\b"}"#], &[r#"{"f":"a*"}"#]),
        (r"{f: 'a\\\*'}", &[r#"{"f":"a\\*"}"#], &[r#"{"f":"a\\b"}"#, r#"{"f":"a\\\\*"}"#]),
        (r"{f: 'a\\\\?'}", &[r#"{"f":"a\\\\b"}"#], &[r#"{"f":"a\\\\?x"}"#, r#"{"f":"a\\b"}"#]),
        (r"{f|contains: '\\\*'}", &[r#"{"f":"x\\*y"}"#], &[r#"{"f":"x\\y"}"#]),
        ("{f|contains: 'a*b?c'}", &[r#"{"f":"xaXbXcx"}"#], &[r#"{"f":"abc"}"#]),
        ("{f: '*a*a*b'}", &[r#"{"f":"aaaab"}"#], &[r#"{"f":"aaaa"}"#, r#"{"f":"ab"}"#]),
    ]);
}

#[test]
fn values_of_other_types() {
    check(&[
        ("{f: 1}", &[r#"{"f":1}"#, r#"{"f":"1"}"#], &[r#"{"f":11}"#, r#"{"f":"01"}"#]),
        ("{f: '1'}", &[r#"{"f":1}"#, r#"{"f":"1"}"#], &[r#"{"f":true}"#]),
        ("{f: 0x10}", &[r#"{"f":16}"#], &[r#"{"f":"0x10"}"#]),
        ("{f: true}", &[r#"{"f":true}"#, r#"{"f":"True"}"#], &[r#"{"f":1}"#]),
        ("{f|startswith: 46}", &[r#"{"f":4688}"#], &[r#"{"f":5461}"#]),
        ("{f: null}", &["{}", r#"{"f":null}"#], &[r#"{"f":""}"#, r#"{"f":"x"}"#]),
        ("{f: ''}", &[r#"{"f":""}"#], &["{}", r#"{"f":null}"#, r#"{"f":" "}"#]),
        ("{f: [null, '']}", &["{}", r#"{"f":null}"#, r#"{"f":""}"#], &[r#"{"f":"x"}"#]),
        ("{f|exists: true}", &[r#"{"f":""}"#, r#"{"f":null}"#], &["{}"]),
        ("{f|exists: false}", &["{}"], &[r#"{"f":""}"#, r#"{"f":null}"#]),
    ]);
}

#[test]
fn lists_and_maps() {
    check(&[
        ("{f: [a, b]}", &[r#"{"f":"b"}"#], &[r#"{"f":"c"}"#]),
        ("{f: a, g: b}", &[r#"{"f":"a","g":"b"}"#], &[r#"{"f":"a"}"#, r#"{"g":"b"}"#]),
        ("[{f: a}, {g: b, h: c}]", &[r#"{"f":"a"}"#, r#"{"g":"b","h":"c"}"#], &[r#"{"g":"b"}"#]),
        ("{f|contains|all: [a, b]}", &[r#"{"f":"xbxa"}"#, r#"{"f":["a","b"]}"#], &[r#"{"f":"a"}"#]),
        ("{f|all: [a, b]}", &[r#"{"f":["a","b"]}"#], &[r#"{"f":"ab"}"#, r#"{"f":["a"]}"#]),
        ("{f: a}", &[r#"{"f":["b","a"]}"#], &[r#"{"f":["b","c"]}"#]),
        ("{f.g: a}", &[r#"{"f":{"g":"a"}}"#], &[r#"{"f":"a"}"#]),
    ]);
}

#[test]
fn keywords() {
    check(&[
        ("[mimi, katz]", &[r#"{"x":"a MIMIkat"}"#, r#"{"a":{"b":["katz"]}}"#], &[r#"{"mimi":"x"}"#, "{}"]),
        ("{'|all': [a b, c]}", &[r#"{"x":"a b","y":"c"}"#], &[r#"{"x":"a b"}"#]),
        ("['a*b']", &[r#"{"x":"za-bz"}"#], &[r#"{"x":"ba"}"#]),
        (r"['C:\temp']", &[r#"{"x":"at C:\\Temp\\y"}"#], &[r#"{"x":"C:/temp"}"#]),
        ("[4688]", &[r#"{"x":4688}"#], &[r#"{"x":4689}"#]),
        ("{'|re': 'a\\d'}", &[r#"{"x":"za1"}"#], &[r#"{"x":"A1"}"#]),
        ("[foo, {f: a}]", &[r#"{"x":"foo"}"#, r#"{"f":"a"}"#], &[r#"{"f":"b"}"#]),
        ("just this", &[r#"{"x":"Just This one"}"#], &[r#"{"x":"just"}"#]),
    ]);
}

#[test]
fn keywords_look_into_plain_originals_too() {
    let mut event = covigil_model::Event::from_original("sshd: Failed password for root");
    event.log_source = covigil_model::LogSource::of("windows", &[], &[]);
    let set = || crate::compile(&crate::rule("  s: ['failed password']\n  condition: s\n"));
    assert_eq!(matching(set(), &event).len(), 1);
    assert_eq!(set().matched(covigil_rules::RuleIndex(0), &event)[0].field, "");
}

#[test]
fn encodings() {
    check(&[
        ("{f|base64: foobar}", &[r#"{"f":"Zm9vYmFy"}"#], &[r#"{"f":"foobar"}"#]),
        ("{f|base64|contains: foobar}", &[r#"{"f":"x Zm9vYmFy"}"#], &[r#"{"f":"x"}"#]),
        (
            "{f|base64offset|contains: '/bin/bash'}",
            &[r#"{"f":"L2Jpbi9iYXNo"}"#, r#"{"f":"IC9iaW4vYmFzaCA="}"#, r#"{"f":"ICAvYmluL2Jhc2ggIA=="}"#],
            &[r#"{"f":"/bin/bash"}"#],
        ),
        ("{f|wide|base64offset|contains: ping}", &[r#"{"f":"cABpAG4AZwA="}"#], &[r#"{"f":"cGluZw=="}"#]),
        ("{f|utf16le|base64: a}", &[r#"{"f":"YQA="}"#], &[r#"{"f":"AGE="}"#]),
        ("{f|utf16be|base64: a}", &[r#"{"f":"AGE="}"#], &[r#"{"f":"YQA="}"#]),
        ("{f|utf16|base64: a}", &[r#"{"f":"//5hAA=="}"#], &[r#"{"f":"YQA="}"#]),
        ("{f|wide|contains: ab}", &[r#"{"f":"xa\u0000b\u0000"}"#], &[r#"{"f":"ab"}"#]),
    ]);
}

#[test]
fn windash_respells_flags_but_not_words() {
    check(&[
        (
            "{f|windash|contains: ' -enc '}",
            &[r#"{"f":"x -enc y"}"#, r#"{"f":"x /enc y"}"#, r#"{"f":"x –ENC y"}"#, r#"{"f":"x ―enc y"}"#],
            &[r#"{"f":"x enc y"}"#],
        ),
        (
            "{f|contains|windash|all: ['a-b -c', ' -d']}",
            &[r#"{"f":"a-b /c —d"}"#.replace("—d", " —d").as_str()],
            &[r#"{"f":"a/b /c /d"}"#],
        ),
    ]);
}

#[test]
fn regular_expressions() {
    check(&[
        ("{f|re: 'a.c'}", &[r#"{"f":"xabcx"}"#], &[r#"{"f":"ABC"}"#, r#"{"f":"a\nc"}"#]),
        ("{f|re|i: 'a.c'}", &[r#"{"f":"xABCx"}"#], &[r#"{"f":"ac"}"#]),
        ("{f|re|s: 'a.c'}", &[r#"{"f":"a\nc"}"#], &[r#"{"f":"ac"}"#]),
        ("{f|re|m: '^b$'}", &[r#"{"f":"a\nb\nc"}"#], &[r#"{"f":"ab"}"#]),
        ("{f|re: ['x1', 'y\\d{2}']}", &[r#"{"f":"zy22"}"#], &[r#"{"f":"y2"}"#]),
        ("{f|re: '^$'}", &[r#"{"f":""}"#], &["{}", r#"{"f":null}"#]),
        ("{f|re: '(?i)foo|bar'}", &[r#"{"f":"xFOO"}"#, r#"{"f":"Bar"}"#], &[r#"{"f":"fo"}"#]),
        ("{f|re: '(ab)+c?'}", &[r#"{"f":"xab"}"#], &[r#"{"f":"a"}"#]),
        ("{f|re: '.{5,}'}", &[r#"{"f":"12345"}"#], &[r#"{"f":"1234"}"#]),
    ]);
}

#[test]
fn networks() {
    check(&[
        (
            "{f|cidr: 10.0.0.0/8}",
            &[r#"{"f":"10.1.2.3"}"#, r#"{"f":"::ffff:10.1.2.3"}"#],
            &[r#"{"f":"11.0.0.1"}"#, r#"{"f":"10"}"#],
        ),
        (
            "{f|cidr: '::1/128'}",
            &[r#"{"f":"::1"}"#, r#"{"f":"0:0:0:0:0:0:0:1"}"#],
            &[r#"{"f":"::2"}"#, r#"{"f":"127.0.0.1"}"#],
        ),
        (
            "{f|cidr: [fe80::/10, 192.168.0.0/16]}",
            &[r#"{"f":"fe80::1"}"#, r#"{"f":["x","192.168.1.1"]}"#],
            &[r#"{"f":"-"}"#],
        ),
    ]);
}

#[test]
fn numbers_and_times() {
    check(&[
        (
            "{f|gt: 5}",
            &[r#"{"f":6}"#, r#"{"f":"5.5"}"#, r#"{"f":"1e3"}"#],
            &[r#"{"f":5}"#, r#"{"f":"x"}"#, "{}", r#"{"f":"nan"}"#],
        ),
        ("{f|gte: 5}", &[r#"{"f":5}"#], &[r#"{"f":4.9}"#]),
        ("{f|lt: -1.5}", &[r#"{"f":-2}"#], &[r#"{"f":-1}"#]),
        ("{f|lte: '5'}", &[r#"{"f":5.0}"#], &[r#"{"f":6}"#]),
        (
            "{f|gt: 18446744073709551615}",
            &[r#"{"f":18446744073709551616}"#],
            &[r#"{"f":18446744073709551615}"#],
        ),
        ("{f|neq: a}", &[r#"{"f":"b"}"#, "{}"], &[r#"{"f":"A"}"#]),
        ("{f|neq: [1, 2]}", &[r#"{"f":3}"#], &[r#"{"f":1}"#, r#"{"f":2}"#]),
        (
            "{f|hour: 3}",
            &[r#"{"f":"2026-11-24T03:59:59Z"}"#, r#"{"f":"2026-11-24 05:00:00+02:00"}"#],
            &[r#"{"f":"2026-11-24T13:00:00Z"}"#, r#"{"f":"3"}"#],
        ),
        ("{f|hour|gte: 22}", &[r#"{"f":"2026-11-24T23:00:00Z"}"#], &[r#"{"f":"2026-11-24T21:59:59Z"}"#]),
        ("{f|minute: 7}", &[r#"{"f":"2026-11-24T03:07:00Z"}"#], &[r#"{"f":"2026-11-24T07:08:00Z"}"#]),
        ("{f|day: [1, 24]}", &[r#"{"f":"2026-11-24T03:07:00Z"}"#], &[r#"{"f":"2026-11-23T03:07:00Z"}"#]),
        ("{f|week: 48}", &[r#"{"f":"2026-11-24T03:07:00Z"}"#], &[r#"{"f":"2026-11-22T03:07:00Z"}"#]),
        ("{f|month: 11}", &[r#"{"f":"2026-11-24T03:07:00Z"}"#], &[r#"{"f":"2026-12-24T03:07:00Z"}"#]),
        ("{f|year|lt: 2026}", &[r#"{"f":"2025-11-24T03:07:00Z"}"#], &[r#"{"f":"2026-11-24T03:07:00Z"}"#]),
    ]);
}

#[test]
fn references_to_fields() {
    check(&[
        (
            "{f|fieldref: g}",
            &[r#"{"f":"aB","g":"Ab"}"#, r#"{"f":["x","a"],"g":["a","y"]}"#],
            &[r#"{"f":"a","g":"b"}"#, r#"{"f":"a"}"#, r#"{"g":"a"}"#, "{}", r#"{"f":null,"g":null}"#],
        ),
        ("{f|fieldref|endswith: g}", &[r#"{"f":"xab","g":"AB"}"#], &[r#"{"f":"abx","g":"ab"}"#]),
        ("{f|fieldref|startswith: g}", &[r#"{"f":"abx","g":"ab"}"#], &[r#"{"f":"xab","g":"ab"}"#]),
        ("{f|fieldref|contains: g}", &[r#"{"f":"xabx","g":"ab"}"#], &[r#"{"f":"ab","g":"xab"}"#]),
        ("{f|fieldref|cased: g}", &[r#"{"f":"aB","g":"aB"}"#], &[r#"{"f":"aB","g":"ab"}"#]),
        ("{f|fieldref|neq: g}", &[r#"{"f":"a","g":"b"}"#, "{}"], &[r#"{"f":"a","g":"a"}"#]),
    ]);
}

#[test]
fn conditions() {
    let searches = "  s1: {a: 1}\n  s2: {b: 1}\n  s3: {c: 1}\n  _h: {d: 1}\n  filter: {x: 1}\n";
    for (condition, yes, no) in [
        ("s1 and not filter", r#"{"a":1}"#, r#"{"a":1,"x":1}"#),
        ("s1 or s2 and s3", r#"{"a":1}"#, r#"{"b":1}"#),
        ("(s1 or s2) and s3", r#"{"b":1,"c":1}"#, r#"{"a":1}"#),
        ("1 of s*", r#"{"c":1}"#, r#"{"x":1}"#),
        ("2 of s*", r#"{"a":1,"c":1}"#, r#"{"a":1}"#),
        ("all of s*", r#"{"a":1,"b":1,"c":1}"#, r#"{"a":1,"b":1}"#),
        ("1 of them", r#"{"x":1}"#, r#"{"d":1}"#),
        ("all of them", r#"{"a":1,"b":1,"c":1,"x":1}"#, r#"{"a":1,"b":1,"c":1,"d":1}"#),
        ("not 1 of s*", "{}", r#"{"b":1}"#),
        ("not (s1 and s2)", r#"{"a":1}"#, r#"{"a":1,"b":1}"#),
        ("not not s1", r#"{"a":1}"#, "{}"),
        ("s1 and not 2 of s*", r#"{"a":1}"#, r#"{"a":1,"b":1}"#),
        ("[s1 and s2, s3]", r#"{"c":1}"#, r#"{"a":1}"#),
    ] {
        let detection = format!("{searches}  condition: {condition}\n");
        assert!(matches(&detection, yes), "{condition} {yes}");
        assert!(!matches(&detection, no), "{condition} {no}");
    }
}

#[test]
fn only_rules_of_the_events_log_source_are_asked() {
    let rules: String = [
        "{product: windows}",
        "{product: windows, category: process_creation}",
        "{category: process_creation}",
        "{service: sysmon}",
        "{product: linux}",
        "{product: windows, service: security}",
        "{product: windows, category: image_load}",
    ]
    .iter()
    .enumerate()
    .map(|(n, source)| {
        format!("title: t\nid: r{n}\nlogsource: {source}\ndetection: {{s: {{f: 1}}, condition: s}}\n---\n")
    })
    .collect();
    assert_eq!(matching(crate::compile(&rules), &event(r#"{"f":1}"#)), ["r0", "r1", "r2", "r3"]);
    let mut both = event(r#"{"f":1}"#);
    both.log_source = covigil_model::LogSource::of("windows", &[], &["image_load", "process_creation"]);
    assert_eq!(matching(crate::compile(&rules), &both), ["r0", "r1", "r2", "r6"]);
}

#[test]
fn a_finding_shows_what_matched_and_nothing_of_filters() {
    let set = crate::compile(&crate::rule(
        "  s: {f|contains: [b, z], g: 1}\n  t: {h: x}\n  filter: {k: 1}\n  condition: (s or t) and not filter\n",
    ));
    let event = event(r#"{"f":["abc","q"],"g":1,"h":"y","k":2}"#);
    let finding = set.finding(covigil_rules::RuleIndex(0), &event).unwrap();
    let shown: Vec<_> = finding.matched.iter().map(|m| (m.field.as_str(), m.value.as_str())).collect();
    assert_eq!(shown, [("f", "abc"), ("g", "1")]);
    assert_eq!(finding.id, set.finding(covigil_rules::RuleIndex(0), &event).unwrap().id);
}
