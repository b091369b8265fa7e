//! Reading files where they lie.

use std::{
    fs,
    io::Write,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use covigil_pipeline::files::{FileIssue, FileRecord, IssueKind, MAX_RECORD, RecordSink, read_file, walk};

use crate::support::shared;

#[derive(Default)]
struct Kept {
    records: Vec<(String, u64, String)>,
    issues: Vec<FileIssue>,
    stop_after: Option<usize>,
}

impl RecordSink for Kept {
    fn record(&mut self, r: FileRecord<'_>) -> ControlFlow<()> {
        let name = r.path.rsplit('/').next().unwrap_or("").to_owned();
        self.records.push((name, r.number, String::from_utf8_lossy(r.data).into_owned()));
        match self.stop_after {
            Some(n) if self.records.len() >= n => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn issue(&mut self, issue: FileIssue) {
        self.issues.push(issue);
    }
}

/// Counts, for input too large to keep.
#[derive(Default)]
struct Counted {
    records: u64,
    bytes: u64,
    issues: Vec<FileIssue>,
}

impl RecordSink for Counted {
    fn record(&mut self, r: FileRecord<'_>) -> ControlFlow<()> {
        self.records += 1;
        self.bytes += r.data.len() as u64;
        ControlFlow::Continue(())
    }

    fn issue(&mut self, issue: FileIssue) {
        self.issues.push(issue);
    }
}

fn read(content: &[u8]) -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.log");
    fs::write(&path, content).unwrap();
    let mut kept = Kept::default();
    let _ = read_file(&path, &mut kept);
    kept
}

fn numbered(kept: &Kept) -> Vec<(u64, &str)> {
    kept.records.iter().map(|(_, n, text)| (*n, text.as_str())).collect()
}

#[test]
fn lines_are_numbered_and_blank_ones_count_but_are_not_records() {
    let kept = read(b"one\r\n\n  \ntwo\nlast without an end");
    assert_eq!(numbered(&kept), [(1, "one"), (4, "two"), (5, "last without an end")]);
    assert!(kept.issues.is_empty());
}

#[test]
fn json_is_read_in_every_layout() {
    let lines = read(b"{\"a\":1}\n{\"a\":\"}\"}\nnot json\n{\"a\":\n3}\n");
    assert_eq!(
        numbered(&lines),
        [(1, "{\"a\":1}"), (2, "{\"a\":\"}\"}"), (3, "not json"), (4, "{\"a\":\n3}")]
    );
    let pretty = read(b"{\n  \"a\": {\n  }\n}\n{\n \"a\":\n2 }");
    assert_eq!(numbered(&pretty), [(1, "{\n  \"a\": {\n  }\n}"), (5, "{\n \"a\":\n2 }")]);
    let joined = read(b"{\"a\":1}{\"a\":2} {\"a\":3}\n,\n{\"a\":4}");
    assert_eq!(numbered(&joined), [(1, "{\"a\":1}"), (1, "{\"a\":2}"), (1, "{\"a\":3}"), (3, "{\"a\":4}")]);
    let list = read(b"\xef\xbb\xbf [ {\"a\":1},\n{\"a\":[{}]} ]\n");
    assert_eq!(numbered(&list), [(1, "{\"a\":1}"), (2, "{\"a\":[{}]}")]);
    let wrapped = read(b"{\"Records\": [{\"a\":1},{\"a\":2}], \"x\": {\"y\": 1}}\n");
    assert_eq!(numbered(&wrapped), [(1, "{\"a\":1}"), (2, "{\"a\":2}")]);
    for kept in [lines, pretty, joined, list, wrapped] {
        assert!(kept.issues.is_empty(), "{:?}", kept.issues);
    }
}

#[test]
fn broken_json_loses_nothing_and_is_reported() {
    let kept = read(b"{\"a\":1}\n{\"a\":\nnever closed\nlast\n");
    assert_eq!(numbered(&kept), [(1, "{\"a\":1}"), (2, "{\"a\":"), (3, "never closed"), (4, "last")]);
    assert_eq!(kept.issues.len(), 1);
    assert_eq!(kept.issues[0].number, Some(2));
    let list = read(b"[{\"a\":1},{\"a\":");
    assert_eq!(numbered(&list), [(1, "{\"a\":1}")]);
    assert_eq!(list.issues[0].kind, IssueKind::Damaged);
}

#[test]
fn text_in_brackets_is_lines() {
    let kept = read(b"[Sun Mar 10 10:00:00 2024] [error] x\n[x\n{y\n");
    assert_eq!(kept.records.len(), 3);
}

#[test]
fn a_line_of_64_mib_is_left_out_and_the_next_is_read() {
    let mut content = vec![b'x'; 64 << 20];
    content.extend_from_slice(b"\nnext\n");
    let kept = read(&content);
    assert_eq!(numbered(&kept), [(2, "next")]);
    assert_eq!((kept.issues[0].kind, kept.issues[0].number), (IssueKind::TooLarge, Some(1)));
    let longest = vec![b'x'; MAX_RECORD];
    assert_eq!(read(&longest).records.len(), 1);
}

#[test]
fn bad_utf8_nuls_and_utf16_are_taken_and_binaries_are_not() {
    let kept = read(b"a\xff\xfeb and so much text that it is plainly text\n\0\0\0tail\n");
    assert_eq!(
        numbered(&kept),
        [(1, "a\u{fffd}\u{fffd}b and so much text that it is plainly text"), (2, "tail")]
    );
    let utf16: Vec<u8> =
        "\u{feff}{\"a\":\"é😀\"}\r\n{\"a\":2}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(numbered(&read(&utf16)), [(1, "{\"a\":\"é😀\"}"), (2, "{\"a\":2}")]);
    for binary in [&b"\x7fELF\x02\x01"[..], b"\xd4\xc3\xb2\xa1\x02\0", b"\x01\x02\x03\x04\x05\0\0\0"] {
        let kept = read(binary);
        assert!(kept.records.is_empty());
        assert_eq!(kept.issues[0].kind, IssueKind::NotALog);
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

#[test]
fn gzip_is_read_and_a_bomb_is_cut_off() {
    assert_eq!(numbered(&read(&gzip(b"one\ntwo\n"))), [(1, "one"), (2, "two")]);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let block = b"a".repeat(1 << 20);
    for _ in 0..96 {
        bomb.write_all(&block).unwrap();
        bomb.write_all(b"\n").unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.gz");
    fs::write(&path, bomb.finish().unwrap()).unwrap();
    let mut counted = Counted::default();
    let _ = read_file(&path, &mut counted);
    assert!(counted.bytes < 64 << 20, "{} bytes came out", counted.bytes);
    assert!(counted.issues[0].message.contains("bomb"), "{}", counted.issues[0]);
    let torn = gzip(&b"line\n".repeat(100_000));
    let kept = read(&torn[..torn.len() / 2]);
    assert_eq!(kept.issues[0].kind, IssueKind::Unreadable);
}

#[test]
fn zip_members_are_named_after_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in [
        ("a/x.json", &b"{\"a\":1}\n"[..]),
        ("../y.log", b"line"),
        ("__MACOSX/._x", b"\0\0"),
        ("z.gz", &gzip(b"x")),
    ] {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    let mut kept = Kept::default();
    let _ = read_file(&path, &mut kept);
    assert_eq!(kept.records.len(), 2);
    assert_eq!(kept.records[1], ("y.log".into(), 1, "line".into()));
    assert!(kept.issues[0].path.ends_with("set.zip!z.gz"));
}

#[test]
fn reading_stops_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.log");
    fs::write(&path, "x\n".repeat(1_000)).unwrap();
    let mut kept = Kept { stop_after: Some(3), ..Kept::default() };
    assert!(read_file(&path, &mut kept).is_break());
    assert_eq!(kept.records.len(), 3);
}

#[test]
fn walking_is_ordered_and_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b.log", "a.log", "sub/c.json", "sub/info.yml", "README.md"] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x\n").unwrap();
    }
    std::os::unix::fs::symlink("/", dir.path().join("loop")).unwrap();
    let found = walk(&[dir.path().to_owned(), PathBuf::from("/nowhere/at/all")]);
    let names: Vec<_> =
        found.files.iter().map(|p| p.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["a.log", "b.log", "sub/c.json"]);
    assert_eq!((found.left_out, found.issues.len()), (2, 1));
    assert!(found.issues[0].message.contains("check the path"));
}

fn count(root: &Path) -> Counted {
    let mut counted = Counted::default();
    for file in walk(&[root.to_owned()]).files {
        let _ = read_file(&file, &mut counted);
    }
    counted
}

#[test]
fn sample_event_logs_are_read_in_full() {
    let (Some(evtx), Some(json)) = (shared("sigma/regression_data"), shared("windows-json")) else { return };
    for file in walk(&[evtx]).files {
        let mut counted = Counted::default();
        let _ = read_file(&file, &mut counted);
        assert!(counted.records > 0, "{}", file.display());
        assert_eq!(counted.issues, [], "{}", file.display());
    }
    let counted = count(&json);
    assert!(counted.records > 100_000, "{}", counted.records);
    assert!(counted.issues.iter().all(|i| i.kind == IssueKind::NotALog), "{:?}", counted.issues);
}

#[test]
fn damaged_event_logs_yield_what_is_whole() {
    let Some(samples) = shared("evtx") else { return };
    let bad = walk(&[samples])
        .files
        .into_iter()
        .find(|p| p.ends_with("sample_with_a_bad_chunk_magic.evtx"))
        .expect("the sample is part of the set");
    let whole = fs::read(&bad).unwrap();
    let mut counted = Counted::default();
    let _ = read_file(&bad, &mut counted);
    assert!(counted.records > 0);
    assert!(counted.issues.iter().any(|i| i.message.contains("at byte")), "{:?}", counted.issues);
    // Any byte may be wrong: reading ends, and the program lives.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fuzz.evtx");
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..24 {
        let mut content = whole[..whole.len().min(4096 + 2 * 65536)].to_vec();
        for _ in 0..200 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = 8 + (seed as usize >> 8) % (content.len() - 8);
            content[at] = seed as u8;
        }
        fs::write(&path, &content).unwrap();
        let _ = read_file(&path, &mut Counted::default());
    }
}
