//! Hostile records: no parser panics, hangs, or loses the original, on any text.

use std::time::Instant;

use covigil_model::Event;
use covigil_siem::parse::{PARSERS, parser};
use covigil_solution::Parser;
use proptest::prelude::*;

use crate::context;

/// Reads and checks what must hold of every event.
fn check(parser: &dyn Parser, record: &str) {
    let _ = parser.sniff(record);
    let mut event = Event::from_original(record);
    let _ = parser.parse(&context(), &mut event);
    assert_eq!(event.original(), record);
    for field in event.fields() {
        let (name, value) = (event.name(field), event.value(field));
        assert_eq!(name.len(), field.name.len(), "{} made a name outside the text", parser.name());
        assert_eq!(value.text.len(), field.value.len(), "{} made a value outside the text", parser.name());
    }
    for (attr, span) in event.attrs() {
        assert_eq!(event.slice(*span).len(), span.len(), "{}: {}", parser.name(), attr.path());
    }
}

/// Texts that have broken parsers before.
fn bad_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\0",
        "\0\0\0{\"a\":1}",
        "<",
        "<>",
        "<999>",
        "<34>",
        "<34>1 ",
        "<34>1 - - - - - [",
        "<34>1 - - - - - [a b=\"\\",
        "<34>1 - - - - - [a b=\"c\"",
        "99999999999 <34>1 - - - - - -",
        "{",
        "{\"a\":1e999,\"a\":2,\"b\":\"\\ud800\",\"c\":\"\\udc00\\ud800\"}",
        "{\"Event\":{}}",
        "{\"Event\":{\"System\":{\"EventID\":{}}}}",
        "{\"Event\":[[[[1]]]]}",
        "{\"Event\":{\"System\":null,\"EventData\":null,\"UserData\":{\"\":{\"\":\"\"}}}}",
        "{\"EventID\":99999999999999999999,\"Channel\":\"Security\"}",
        "{\"EventID\":4688,\"Channel\":\"Security\",\"NewProcessId\":\"0xzz\",\"Keywords\":\"0xgg\"}",
        "{\"EventID\":4657,\"Channel\":\"Security\",\"ObjectName\":\"\\\\REGISTRY\\\\MACHINÉ\"}",
        "{\"__REALTIME_TIMESTAMP\":\"99999999999999999999\",\"MESSAGE\":[256,-1,1e5]}",
        "{\"__REALTIME_TIMESTAMP\":\"1\",\"PRIORITY\":\"9\",\"SYSLOG_FACILITY\":\"255\",\"MESSAGE\":null}",
        "{\"eventSource\":\"x\",\"eventName\":\"é\",\"awsRegion\":\"r\",\"requestParameters\":{\"a\":\"}\\\"\"",
        "{\"type\":99,\"addr\":\"::\",\"time\":-1}",
        "{\"kind\":\"listener\",\"change\":\"exploded\"}",
        "type=EXECVE msg=audit(",
        "type=EXECVE msg=audit(x:y): a0=ZZ a1=6 a2=C3 a999999999999=41",
        "type=SOCKADDR msg=audit(1.1:1): saddr=02",
        "type=SOCKADDR msg=audit(1.1:1): saddr=0A00",
        "node= type=",
        "10.0.0.1 - - [99/Foo/9999:99:99:99 +9999] \"GET / HTTP/1.1\" 200 1",
        "10.0.0.1 - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\\",
        "10.0.0.1 - - [10/Oct/2023:13:55:36 +0000] \"\" 200 1 \"",
        "2024-13-45 99:99:99 install",
        "Feb 31 25:61:61 h a: b",
        "Feb  1 00:00:00",
        "Feb  1 00:00:00 é",
        "Feb  1 00:00:00 h sshd[]: Failed password for",
        "Feb  1 00:00:00 h sshd[1]: Failed password for  from  port  ssh2",
        "Feb  1 00:00:00 h sshd[1]: Disconnected from user  port ",
        "Feb  1 00:00:00 h sudo:  : ; COMMAND=",
        "Feb  1 00:00:00 h su[1]: + \u{202e}",
        "Feb  1 00:00:00 h kernel: [ ] SRC=DST=PROTO=",
        "Feb  1 00:00:00 h kernel: ]: segfault at 0",
        "Feb  1 00:00:00 h pam(: pam_unix(:: authentication failure; user",
        "Feb  1 00:00:00 h %-: x",
        "Feb  1 00:00:00 h useradd[1]: new user: name=",
        "\u{feff}<34>1 2026-01-01T00:00:00Z h a - - - \u{feff}",
        "<img src=x onerror=alert(1)>",
        "\u{1b}[31mred\u{1b}[0m\r\nX-Header: injected",
        "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\">]><lolz>&lol;</lolz>",
        "=cmd|' /C calc'!A0",
    ]
    .iter()
    .map(|t| (*t).to_owned())
    .collect();
    texts.push("{\"a\":".repeat(200_000));
    texts.push("[".repeat(100_000));
    texts.push(format!("{{\"a\":[{}1]}}", "1,".repeat(100_000)));
    texts
}

#[test]
fn bad_texts_break_no_parser() {
    for text in bad_texts() {
        for parser in PARSERS {
            check(parser, &text);
        }
    }
}

/// Every place where a valid record is cut off, and every byte of it put wrong.
#[test]
fn damaged_records_break_no_parser() {
    for record in [
        "<34>1 2026-02-11T22:14:15.003Z web sshd 99 ID47 [a@1 k=\"v\"] Failed password for invalid user é from 10.0.0.1 port 22 ssh2",
        "Feb  2 22:14:15 h sudo:  bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh -c é",
        "Feb  2 22:14:15 h kernel: [1.5] [UFW BLOCK] IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 PROTO=TCP SPT=1 DPT=2",
        "type=EXECVE msg=audit(1700000000.243:24287): argc=3 a0=\"/bin/sh\" a1=\"-c\" a2=6563686F20E282AC2031",
        r##"10.0.0.1 - bob [10/Oct/2023:13:55:36 -0700] "GET /é?x=1 HTTP/1.1" 404 23 "http://r/" "Moz \"q\" 5""##,
        "2024-01-02 03:04:05 install nginx:amd64 <none> 1.22.1-9",
        r##"{"Event":{"System":{"Provider":{"#attributes":{"Name":"é"}},"EventID":4688,"Channel":"Security"},"EventData":{"NewProcessId":"0x10"}}}"##,
    ] {
        for end in (0..record.len()).filter(|at| record.is_char_boundary(*at)) {
            for parser in PARSERS {
                check(parser, &record[..end]);
            }
            for wrong in ["", "\0", "é", "\"", " "] {
                let mut text = String::from(&record[..end]);
                text.push_str(wrong);
                text.extend(record[end..].chars().skip(1));
                check(parser("auto").unwrap(), &text);
            }
        }
    }
}

/// One mebibyte in the shapes that make careless parsers quadratic. Times are not asserted, since
/// machines differ; but a quadratic reader needs minutes here, and the ratio between a text and
/// one of half its length is.
#[test]
fn long_lines_take_linear_time() {
    const MIB: usize = 1 << 20;
    let fill = |head: &str, unit: &str, tail: &str, size: usize| {
        format!("{head}{}{tail}", unit.repeat(size.saturating_sub(head.len() + tail.len()) / unit.len()))
    };
    for (head, unit, tail) in [
        ("Feb  2 22:14:15 h sshd[1]: Failed password for ", "a from ", " port 1 ssh2"),
        ("Feb  2 22:14:15 h kernel: SRC=1 DST=2 PROTO=3 ", "A=b ", ""),
        ("Feb  2 22:14:15 h sudo: bob : ", "X=y ; ", "COMMAND=z"),
        ("<34>1 2026-02-11T22:14:15.003Z w a 9 I [a ", "k=\"\\\"\" ", "] m"),
        ("type=EXECVE msg=audit(1.1:1): ", "a1=414243 ", ""),
        ("type=EXECVE msg=audit(1.1:1): a0=\"", "\\", "\""),
        ("10.0.0.1 - - [10/Oct/2023:13:55:36 +0000] \"GET /", "?a=../", " HTTP/1.1\" 200 1 \"-\" \"x\""),
        ("{\"EventID\":400,\"Channel\":\"Windows PowerShell\",\"Data\":\"", "HostName=x\\n", "\"}"),
        (
            "{\"EventID\":1116,\"Channel\":\"Microsoft-Windows-Windows Defender/Operational\",",
            "\"a b\":1,",
            "\"z\":2}",
        ),
        (
            "{\"eventSource\":\"a\",\"eventName\":\"b\",\"awsRegion\":\"c\",\"requestParameters\":{",
            "\"k\":[1],",
            "\"z\":2}}",
        ),
        (
            "{\"operationName\":\"a\",\"category\":\"b\",\"resourceId\":\"c\",",
            "\"properties.x\":1,",
            "\"z\":2}",
        ),
        ("{\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":[", "1,", "2]}"),
        ("Install: ", "a:b (1), ", ""),
        ("", " ", ""),
        ("", "[", ""),
        ("", "<34>", ""),
        ("", "Feb  2 22:14:15 ", ""),
        ("2024/01/02 03:04:05 [error] ", "client: ", ""),
    ] {
        for parser in PARSERS {
            let text = fill(head, unit, tail, MIB);
            let start = Instant::now();
            check(parser, &text);
            let whole = start.elapsed();
            if whole.as_millis() > 50 {
                println!("{} took {whole:?} for {head:?} + {unit:?}…", parser.name());
            }
            assert!(whole.as_secs() < 20, "{} took {whole:?} for {head:?} + {unit:?}…", parser.name());
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        for parser in PARSERS {
            check(parser, &text);
        }
    }

    #[test]
    fn texts_of_the_formats_words_are_read_or_refused(
        words in proptest::collection::vec(
            prop_oneof![
                Just("Failed password for "), Just("invalid user "), Just(" from "), Just(" port "), Just("10.0.0.1"),
                Just("Feb  2 22:14:15 "), Just("h "), Just("sshd[1]: "), Just("sudo: "), Just(" : "), Just(" ; "),
                Just("COMMAND="), Just("pam_unix("), Just("auth): "), Just("authentication failure; "), Just("user="),
                Just("kernel: "), Just("["), Just("] "), Just("\""), Just("\\"), Just("{"), Just("}"), Just("é"),
                Just("<34>"), Just("1 "), Just("- "), Just("type="), Just("audit("), Just("1.1:1): "), Just("a0="),
                Just("\"EventID\":"), Just("4688"), Just(","), Just("\"Channel\":\"Security\""), Just("name="),
            ],
            0..24,
        )
    ) {
        let text: String = words.concat();
        for parser in PARSERS {
            check(parser, &text);
        }
    }
}
