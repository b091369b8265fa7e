//! Following text files that grow and are rotated, by renaming or by copying and truncating.
//!
//! The read position is stored in the log together with the lines before it, so that each line is
//! stored exactly once however the program ends. Rotation loses nothing that is still on disk: a
//! file that was renamed is read to its end, also when that happened while the program was down,
//! and what a truncation cut off is read from the copy. A file that is seen for the first time is
//! read from [`FIRST_LOOK`] bytes before its end, so that a newcomer has some history; one that
//! appears later is read from its beginning. Files of login records are followed in the same way.

mod position;
mod rotation;

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use covigil_model::{Time, health::SourceState};
use tokio::sync::Notify;

use super::{Collector, Delivery, MAX_RECORD, Stopping, Watcher, logins, watch};
use crate::sources::SourceStats;
use position::Position;

/// Bytes before its end at which a file begins to be read that is there at the first start.
pub const FIRST_LOOK: u64 = 1 << 20;

const CHUNK: usize = 256 << 10;
/// A file that was replaced is read on until nothing was added to it for this long: its writer may
/// take a moment to turn to the new one.
const QUIET: Duration = Duration::from_secs(1);

/// What a file consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Lines of text.
    Lines,
    /// Login records (utmp(5)), as in `/var/log/wtmp`; each becomes a line of JSON.
    Logins,
}

/// A file to follow.
#[derive(Debug, Clone)]
pub struct Tail {
    /// Where it is.
    pub path: PathBuf,
    /// The source's name in event ids.
    pub source: Arc<str>,
    /// The parser of its records.
    pub parser: Arc<str>,
    /// What it consists of.
    pub framing: Framing,
}

/// Follows a file until stopped. Must run in a task of its own.
pub async fn tail(tail: Tail, watcher: Arc<Watcher>, delivery: Delivery) {
    let health = delivery.sources().of(&tail.source);
    health.describe(format!("file {}", tail.path.display()), true);
    let peer: Arc<str> = tail.path.display().to_string().into();
    let name = format!("tail:{}", tail.source);
    let position = delivery.checkpoint(&name).and_then(|bytes| Position::decode(&bytes));
    let changed = watcher.watch(&tail.path);
    let mut follower = Follower {
        seen: position.is_some(),
        position: position.unwrap_or_default(),
        collector: Collector::new(Arc::clone(&tail.source), Arc::clone(&tail.parser), Some(peer)),
        name,
        buffer: Vec::new(),
        skipping: false,
        drained: false,
        framing: tail.framing,
        path: tail.path,
        health,
        delivery,
        changed,
    };
    let _: Result<(), Stopping> = follower.follow().await;
}

struct Follower {
    path: PathBuf,
    /// The checkpoint's name.
    name: String,
    /// Whether the file was ever looked at, now or before a restart.
    seen: bool,
    position: Position,
    /// Bytes of the file from `position.offset` on that are read but hold no whole line yet.
    buffer: Vec<u8>,
    /// Inside a line over the limit.
    skipping: bool,
    /// The file of the position was read to its end when another took its path.
    drained: bool,
    framing: Framing,
    collector: Collector,
    health: Arc<SourceStats>,
    delivery: Delivery,
    changed: Arc<Notify>,
}

impl Follower {
    async fn follow(&mut self) -> Result<(), Stopping> {
        loop {
            match self.open().await? {
                Ok(file) => {
                    self.health.set_state(SourceState::Live, "");
                    if let Err(error) = self.read_on(file).await? {
                        self.unreadable(&error);
                        self.wait(watch::POLL).await?;
                    }
                }
                Err(error) => {
                    self.unreadable(&error);
                    if error.kind() == io::ErrorKind::NotFound {
                        // What appears from now on is new from its first byte.
                        self.seen = true;
                    }
                    self.wait(watch::POLL).await?;
                }
            }
        }
    }

    fn unreadable(&self, error: &io::Error) {
        let path = self.path.display();
        match error.kind() {
            io::ErrorKind::NotFound => {
                let detail = format!("{path} does not exist yet; it is read as soon as it appears");
                self.health.set_state(SourceState::Off, detail);
            }
            io::ErrorKind::PermissionDenied => {
                let detail = format!(
                    "{path} may not be read by this user; run as root, or add the user to the file's group"
                );
                self.health.set_state(SourceState::Unreadable, detail);
            }
            _ => self.health.set_state(SourceState::Unreadable, format!("{path}: {error}")),
        }
    }

    async fn wait(&self, most: Duration) -> Result<(), Stopping> {
        tokio::select! {
            () = self.changed.notified() => Ok(()),
            () = tokio::time::sleep(most) => Ok(()),
            () = self.delivery.stop().cancelled() => Err(Stopping),
        }
    }

    /// Opens the file that is at the path now, after what is left of the files that were there
    /// before it.
    async fn open(&mut self) -> Result<io::Result<File>, Stopping> {
        let file = match File::open(&self.path).and_then(|file| file.metadata().map(|meta| (file, meta))) {
            Ok((_, meta)) if !meta.is_file() => {
                return Ok(Err(io::Error::other("it is not a regular file")));
            }
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error)),
        };
        let (file, meta) = file;
        let id = (meta.dev(), meta.ino());
        if self.position.file == (0, 0) {
            let offset = match self.framing {
                _ if self.seen => 0,
                Framing::Lines => first_look(&file, meta.len()),
                Framing::Logins => {
                    let record = logins::RECORD as u64;
                    meta.len().saturating_sub(FIRST_LOOK).next_multiple_of(record).min(meta.len())
                }
            };
            self.seen = true;
            self.begin(id, offset);
        } else if self.position.file != id || !self.position.marks(&file).unwrap_or(false) {
            self.catch_up(id).await?;
            self.begin(id, 0);
        }
        Ok(Ok(file))
    }

    fn begin(&mut self, file: (u64, u64), offset: u64) {
        self.position = Position { file, offset, mark: Vec::new() };
        self.buffer.clear();
        self.skipping = false;
        self.drained = false;
    }

    /// Reads what is left of the file that was at the path before, and of those that came and went
    /// between it and the one that is there now (`current`).
    async fn catch_up(&mut self, current: (u64, u64)) -> Result<(), Stopping> {
        let Some(old) = rotation::moved(&self.path, &self.position, current) else {
            if self.position.file != current && !self.drained {
                let detail = "the file was rotated and its predecessor is gone; what it held unread is lost";
                self.health.set_state(SourceState::Live, detail);
                tracing::warn!(path = %self.path.display(), "{detail}");
            }
            return Ok(());
        };
        let between = rotation::between(&self.path, &old, current);
        self.position.file = old.id;
        self.finish(&old.path).await?;
        for file in between {
            self.begin(file.id, 0);
            self.finish(&file.path).await?;
        }
        Ok(())
    }

    /// Reads a file that nobody writes to any more from the position to its end.
    async fn finish(&mut self, path: &Path) -> Result<(), Stopping> {
        if let Err(error) = self.read_rest(path).await? {
            tracing::warn!(path = %path.display(), %error, "a rotated file could not be read to its end");
        }
        Ok(())
    }

    async fn read_rest(&mut self, path: &Path) -> Result<io::Result<()>, Stopping> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = file.seek(SeekFrom::Start(self.position.offset)) {
            return Ok(Err(error));
        }
        self.buffer.clear();
        loop {
            match self.take_in(&mut file).await? {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        self.last_line(&file).await?;
        Ok(Ok(()))
    }

    /// Follows one open file until another is at its path, or it cannot be read.
    async fn read_on(&mut self, mut file: File) -> Result<io::Result<()>, Stopping> {
        let mut replaced = false;
        let mut last_growth = Instant::now();
        loop {
            // Before reading on: what is there now may not be the continuation of what was read.
            match self.was_truncated(&file) {
                Ok(false) => {}
                Ok(true) => self.after_truncation().await?,
                Err(error) => return Ok(Err(error)),
            }
            if let Err(error) = file.seek(SeekFrom::Start(self.read_up_to())) {
                return Ok(Err(error));
            }
            let before = self.read_up_to();
            loop {
                match self.take_in(&mut file).await? {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => return Ok(Err(error)),
                }
            }
            if self.read_up_to() > before {
                last_growth = Instant::now();
            }
            match fs::metadata(&self.path) {
                Ok(meta) => replaced = (meta.dev(), meta.ino()) != self.position.file,
                // Between renaming and creating; or deleted, and then whatever comes is another.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Ok(Err(error)),
            }
            if replaced && last_growth.elapsed() >= QUIET {
                self.last_line(&file).await?;
                self.drained = true;
                return Ok(Ok(()));
            }
            self.wait(if replaced { QUIET / 10 } else { watch::POLL }).await?;
        }
    }

    fn read_up_to(&self) -> u64 {
        self.position.offset + self.buffer.len() as u64
    }

    fn was_truncated(&self, file: &File) -> io::Result<bool> {
        Ok(file.metadata()?.len() < self.read_up_to() || !self.position.marks(file)?)
    }

    /// The file was cut to nothing, and may have grown since. Reads what was not yet read from the
    /// copy that a rotation made before it cut, and begins anew.
    async fn after_truncation(&mut self) -> Result<(), Stopping> {
        let file = self.position.file;
        match rotation::copy_of(&self.path, &self.position) {
            Some(copy) => {
                self.position.file = copy.id;
                self.finish(&copy.path).await?;
            }
            None => {
                // The beginning of a line is all that there is of it.
                let rest = std::mem::take(&mut self.buffer);
                if self.framing == Framing::Lines && !self.skipping && !rest.is_empty() {
                    self.collector.push(&rest, Time::now());
                }
            }
        }
        self.begin(file, 0);
        self.deliver().await
    }

    /// Reads one chunk and delivers the lines in it. Yields the number of bytes read.
    async fn take_in(&mut self, file: &mut File) -> Result<io::Result<usize>, Stopping> {
        let have = self.buffer.len();
        self.buffer.resize(have + CHUNK, 0);
        let read = file.read(&mut self.buffer[have..]);
        self.buffer.truncate(have + *read.as_ref().unwrap_or(&0));
        let n = match read {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Ok(1)),
            Err(error) => return Ok(Err(error)),
        };
        if n > 0 {
            match self.framing {
                Framing::Lines => self.lines(have).await?,
                Framing::Logins => self.login_records().await?,
            }
            let _ = self.position.remark(file);
            self.deliver().await?;
        }
        Ok(Ok(n))
    }

    /// Moves the whole lines of the buffer to the batch. The first `searched` bytes hold no end.
    async fn lines(&mut self, searched: usize) -> Result<(), Stopping> {
        let now = Time::now();
        let mut begin = 0;
        let mut from = searched;
        while let Some(found) = memchr::memchr(b'\n', &self.buffer[from..]) {
            let end = from + found;
            let line = trim(&self.buffer[begin..end]);
            if self.skipping {
                self.skipping = false;
            } else if line.len() > MAX_RECORD {
                self.health.lost(1);
            } else if !line.iter().all(u8::is_ascii_whitespace) {
                self.collector.push(line, now);
            }
            self.position.offset += (end + 1 - begin) as u64;
            begin = end + 1;
            from = begin;
            if self.collector.is_full() {
                self.deliver().await?;
            }
        }
        self.buffer.drain(..begin);
        // A hole that a truncation left under a writer that does not append, or a line over the
        // limit, is not kept.
        if self.skipping || self.buffer.len() > MAX_RECORD + 1 || self.buffer.iter().all(|b| *b == 0) {
            if !self.skipping && self.buffer.iter().any(|b| *b != 0) {
                self.health.lost(1);
                self.skipping = true;
            }
            self.position.offset += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    async fn login_records(&mut self) -> Result<(), Stopping> {
        let now = Time::now();
        let mut begin = 0;
        while let Some(record) = self.buffer.get(begin..begin + logins::RECORD) {
            if let Some(json) = logins::json(record) {
                self.collector.push(json.as_bytes(), now);
            }
            begin += logins::RECORD;
            self.position.offset += logins::RECORD as u64;
            if self.collector.is_full() {
                self.deliver().await?;
            }
        }
        self.buffer.drain(..begin);
        Ok(())
    }

    /// The file's last line, which has no end and will not get one.
    async fn last_line(&mut self, file: &File) -> Result<(), Stopping> {
        let rest = std::mem::take(&mut self.buffer);
        self.position.offset += rest.len() as u64;
        let line = trim(&rest);
        if self.framing == Framing::Lines && !self.skipping && !line.is_empty() {
            self.collector.push(line, Time::now());
        }
        let _ = self.position.remark(file);
        self.deliver().await
    }

    async fn deliver(&mut self) -> Result<(), Stopping> {
        if self.collector.is_empty() {
            return Ok(());
        }
        let mut batch = self.collector.take();
        batch.checkpoints.push((self.name.clone(), self.position.encode()));
        self.delivery.deliver(batch, &self.health).await
    }
}

/// A line without its carriage return, and without NULs before it that a truncation left.
fn trim(line: &[u8]) -> &[u8] {
    let hole = line.iter().take_while(|b| **b == 0).count();
    let line = &line[hole..];
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Where to begin in a file that is seen for the first time: at a line's begin at most
/// [`FIRST_LOOK`] bytes before the end.
fn first_look(file: &File, len: u64) -> u64 {
    use std::os::unix::fs::FileExt;
    let from = len.saturating_sub(FIRST_LOOK);
    if from == 0 {
        return 0;
    }
    let mut at = from - 1;
    let mut chunk = [0; 8 << 10];
    while at < len {
        match file.read_at(&mut chunk, at) {
            Ok(0) | Err(_) => break,
            Ok(n) => match memchr::memchr(b'\n', &chunk[..n]) {
                Some(found) => return at + found as u64 + 1,
                None => at += n as u64,
            },
        }
    }
    len
}
