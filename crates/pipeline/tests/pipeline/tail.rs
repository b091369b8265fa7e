//! Following files.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use covigil_model::{Time, health::SourceState};
use covigil_pipeline::intake::{FIRST_LOOK, Framing, Tail, Watcher, tail};
use tokio::task::JoinHandle;

use crate::support::{Bench, until};

fn follow(bench: &Bench, path: &Path) -> JoinHandle<()> {
    follow_as(bench, path, Framing::Lines)
}

fn follow_as(bench: &Bench, path: &Path, framing: Framing) -> JoinHandle<()> {
    let watcher = Watcher::start(bench.stop.clone());
    let file = Tail { path: path.to_owned(), source: "file".into(), parser: "auto".into(), framing };
    tokio::spawn(tail(file, watcher, bench.delivery.clone()))
}

fn appender(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("line {n}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_read_as_it_grows_and_on_from_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    {
        let bench = Bench::open(dir.path());
        let task = follow(&bench, &path);
        until(|| bench.detail("file").contains("does not exist yet")).await;
        let mut file = appender(&path);
        file.write_all(b"line 0\r\nline 1\nli").unwrap();
        bench.wait_for(2).await;
        file.write_all(b"ne 2\nhalf").unwrap();
        assert_eq!(bench.wait_for(3).await, numbers(0..3));
        bench.stop.cancel();
        task.await.unwrap();
    }
    let mut file = appender(&path);
    file.write_all(b" a line\nline 4\n").unwrap();
    let bench = Bench::open(dir.path());
    follow(&bench, &path);
    assert_eq!(bench.wait_for(5).await, ["line 0", "line 1", "line 2", "half a line", "line 4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renaming_under_load_loses_and_doubles_nothing() {
    const LINES: u32 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    let bench = Bench::open(dir.path());
    File::create(&path).unwrap();
    follow(&bench, &path);
    let writing = path.clone();
    let writer = tokio::task::spawn_blocking(move || {
        let mut file = appender(&writing);
        for n in 0..LINES {
            if n > 0 && n % 5_000 == 0 {
                for old in (1..4).rev() {
                    let _ = fs::rename(rotated(&writing, old), rotated(&writing, old + 1));
                }
                fs::rename(&writing, rotated(&writing, 1)).unwrap();
                // As real writers do, some lines still go to the old file.
                for part in 0..3 {
                    writeln!(file, "old {n}.{part}").unwrap();
                }
                file = appender(&writing);
                std::thread::sleep(Duration::from_millis(1_500));
            }
            writeln!(file, "line {n}").unwrap();
        }
    });
    writer.await.unwrap();
    let mut texts = bench.wait_for(LINES as usize + 9).await;
    assert_eq!(texts.len(), LINES as usize + 9);
    texts.retain(|t| t.starts_with("line"));
    assert_eq!(texts, numbers(0..LINES));
}

fn rotated(path: &Path, n: u32) -> PathBuf {
    PathBuf::from(format!("{}.{n}", path.display()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copying_and_truncating_under_load_loses_and_doubles_nothing() {
    const LINES: u32 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    let bench = Bench::open(dir.path());
    File::create(&path).unwrap();
    follow(&bench, &path);
    let writing = path.clone();
    let writer = tokio::task::spawn_blocking(move || {
        let mut file = appender(&writing);
        for n in 0..LINES {
            if n > 0 && n % 4_000 == 0 {
                let _ = fs::rename(rotated(&writing, 1), rotated(&writing, 2));
                fs::copy(&writing, rotated(&writing, 1)).unwrap();
                file.set_len(0).unwrap();
            }
            writeln!(file, "line {n}").unwrap();
            if n % 4_000 == 1_000 {
                std::thread::sleep(Duration::from_millis(300));
            }
        }
    });
    writer.await.unwrap();
    let texts = bench.wait_for(LINES as usize).await;
    assert_eq!(texts, numbers(0..LINES));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rotated_while_nobody_read_is_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    {
        let bench = Bench::open(dir.path());
        File::create(&path).unwrap();
        let task = follow(&bench, &path);
        fs::write(&path, "line 0\n").unwrap();
        bench.wait_for(1).await;
        bench.stop.cancel();
        task.await.unwrap();
    }
    // Twice rotated while down.
    appender(&path).write_all(b"line 1\n").unwrap();
    fs::rename(&path, rotated(&path, 2)).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    fs::write(rotated(&path, 1), "line 2\nline 3\n").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    fs::write(&path, "line 4\n").unwrap();
    let bench = Bench::open(dir.path());
    follow(&bench, &path);
    assert_eq!(bench.wait_for(5).await, numbers(0..5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_with_the_old_ones_inode_is_read_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    {
        let bench = Bench::open(dir.path());
        fs::write(&path, "line 0\nline 1\n").unwrap();
        let task = follow(&bench, &path);
        bench.wait_for(2).await;
        bench.stop.cancel();
        task.await.unwrap();
    }
    // The same inode with other content, longer than what was read: what reuse looks like.
    fs::write(&path, "other 0\nother 1\nother 2\n").unwrap();
    let bench = Bench::open(dir.path());
    follow(&bench, &path);
    assert_eq!(bench.wait_for(5).await[2..], ["other 0", "other 1", "other 2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_look_begins_at_a_line_near_the_end_and_long_lines_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    let mut file = appender(&path);
    for n in 0..300_000 {
        writeln!(file, "line {n:06}").unwrap();
    }
    file.write_all(&vec![b'x'; 3 << 20]).unwrap();
    file.write_all(b"\n").unwrap();
    for n in 0..50_000 {
        writeln!(file, "tail {n:06}").unwrap();
    }
    let bench = Bench::open(dir.path());
    follow(&bench, &path);
    until(|| bench.texts().last().is_some_and(|t| t == "tail 049999")).await;
    let texts = bench.texts();
    assert_eq!(texts.len(), 50_000, "the long line is where the look begins");
    assert!((texts.len() * 12) as u64 <= FIRST_LOOK);
    file.write_all(&vec![b'y'; 3 << 20]).unwrap();
    file.write_all(b"\n\0\0\0\0after\n").unwrap();
    assert_eq!(bench.wait_for(50_001).await.last().unwrap(), "after");
    assert_eq!(bench.sources.of("file").losses(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_records_become_json() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wtmp");
    let mut record = vec![0u8; if cfg!(target_arch = "aarch64") { 400 } else { 384 }];
    record[0] = 7;
    record[44..47].copy_from_slice(b"bob");
    let mut file = appender(&path);
    file.write_all(&record).unwrap();
    let bench = Bench::open(dir.path());
    follow_as(&bench, &path, Framing::Logins);
    bench.wait_for(1).await;
    file.write_all(&record[..100]).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    file.write_all(&record[100..]).unwrap();
    let texts = bench.wait_for(2).await;
    assert!(texts.iter().all(|t| t.contains("\"user\":\"bob\"")), "{texts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_file_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    follow(&bench, dir.path());
    until(|| bench.sources.of("file").health(Time::now()).state == SourceState::Unreadable).await;
    assert!(bench.detail("file").contains("not a regular file"));
}
