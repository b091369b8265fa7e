//! The systemd journal, read through `journalctl`, which knows all its formats and needs no library
//! of the machine. The cursor of the last entry is stored with the entry, so that each is read
//! exactly once.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use covigil_model::{Time, health::SourceState};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

use super::{Collector, Delivery, MAX_RECORD, Stopping};
use crate::sources::SourceStats;

/// Entries read back when the journal is seen for the first time.
const FIRST_LOOK: &str = "--lines=2000";
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(60);
/// A `journalctl` that has not ended after this long can read the journal.
const SETTLED: Duration = Duration::from_secs(2);

/// The journal as a source.
#[derive(Debug, Clone)]
pub struct Journal {
    /// The `journalctl` program.
    pub program: PathBuf,
    /// The source's name in event ids.
    pub source: Arc<str>,
    /// The parser of its entries.
    pub parser: Arc<str>,
}

/// Follows the journal until stopped, starting `journalctl` anew when it ends.
pub async fn journal(journal: Journal, delivery: Delivery) {
    let health = delivery.sources().of(&journal.source);
    health.describe("systemd journal", true);
    let mut pause = RETRY_FIRST;
    let name = format!("journal:{}", journal.source);
    let mut cursor = delivery.checkpoint(&name).and_then(|c| String::from_utf8(c).ok());
    loop {
        let before = health.health(Time::now()).records;
        match follow(&journal, cursor.as_deref(), &delivery, &health).await {
            Err(Stopping) => return,
            Ok(why) => {
                health.set_state(SourceState::Unreadable, why.clone());
                // A cursor that the journal does not take would stop the source for good.
                let refused = cursor.is_some() && why.contains("cursor");
                cursor = delivery.checkpoint(&name).and_then(|c| String::from_utf8(c).ok());
                if refused {
                    cursor = None;
                }
                tracing::warn!(%why, "journalctl ended; it is started again");
            }
        }
        if health.health(Time::now()).records > before {
            pause = RETRY_FIRST;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = delivery.stop().cancelled() => return,
        }
        pause = (pause * 2).min(RETRY_MOST);
    }
}

/// Runs `journalctl` once. Yields why it ended.
async fn follow(
    journal: &Journal,
    cursor: Option<&str>,
    delivery: &Delivery,
    health: &Arc<SourceStats>,
) -> Result<String, Stopping> {
    let name = format!("journal:{}", journal.source);
    let mut command = Command::new(&journal.program);
    command.args(["--output=json", "--follow", "--no-pager", "--quiet", "--all"]);
    match cursor {
        Some(cursor) => command.arg(format!("--after-cursor={cursor}")).arg("--no-tail"),
        None => command.arg(FIRST_LOOK),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Ok(format!("{} cannot be started: {error}; install systemd", journal.program.display()));
        }
    };
    let Some(stdout) = child.stdout.take() else { return Ok("journalctl has no output".into()) };
    let mut entries = Entries {
        name,
        collector: Collector::new(Arc::clone(&journal.source), Arc::clone(&journal.parser), None),
        buffer: Vec::new(),
        skipping: false,
        health: Arc::clone(health),
    };
    let read = entries.read_all(stdout, delivery).await;
    let complaint = end(&mut child).await;
    read?;
    Ok(match complaint.as_str() {
        "" => "journalctl ended".into(),
        text => format!("journalctl ended: {text}; to read the journal, run as root or join systemd-journal"),
    })
}

/// Ends the program and yields what it complained about, at most a few hundred characters.
async fn end(child: &mut Child) -> String {
    let _ = child.start_kill();
    let mut text = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = tokio::time::timeout(Duration::from_secs(1), stderr.take(400).read_to_end(&mut text)).await;
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), child.wait()).await;
    String::from_utf8_lossy(&text).trim().replace('\n', " ")
}

struct Entries {
    name: String,
    collector: Collector,
    buffer: Vec<u8>,
    skipping: bool,
    health: Arc<SourceStats>,
}

impl Entries {
    async fn read_all(
        &mut self,
        mut out: impl AsyncRead + Unpin,
        delivery: &Delivery,
    ) -> Result<(), Stopping> {
        let mut chunk = vec![0; 64 << 10];
        let settled = tokio::time::sleep(SETTLED);
        tokio::pin!(settled);
        let mut live = false;
        loop {
            let n = tokio::select! {
                read = out.read(&mut chunk) => read.unwrap_or(0),
                () = &mut settled, if !live => {
                    live = true;
                    self.health.set_state(SourceState::Live, "");
                    continue;
                }
                () = delivery.stop().cancelled() => return Err(Stopping),
            };
            if n == 0 {
                return Ok(());
            }
            let searched = self.buffer.len();
            self.buffer.extend_from_slice(&chunk[..n]);
            self.lines(searched, delivery).await?;
        }
    }

    async fn lines(&mut self, searched: usize, delivery: &Delivery) -> Result<(), Stopping> {
        let now = Time::now();
        let (mut begin, mut from) = (0, searched);
        let mut cursor = None;
        while let Some(found) = memchr::memchr(b'\n', &self.buffer[from..]) {
            let line = begin..from + found;
            begin = line.end + 1;
            from = begin;
            let line = &self.buffer[line];
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if line.first() == Some(&b'{') {
                cursor = cursor_of(line).or(cursor);
                self.collector.push(line, now);
            }
            if self.collector.is_full() {
                self.deliver(cursor.take(), delivery).await?;
            }
        }
        self.buffer.drain(..begin);
        if self.skipping || self.buffer.len() > MAX_RECORD {
            // An entry can hold a core dump.
            if !self.skipping {
                self.health.lost(1);
            }
            self.skipping = true;
            self.buffer.clear();
        }
        self.deliver(cursor, delivery).await
    }

    async fn deliver(&mut self, cursor: Option<Vec<u8>>, delivery: &Delivery) -> Result<(), Stopping> {
        if self.collector.is_empty() {
            return Ok(());
        }
        let mut batch = self.collector.take();
        batch.checkpoints.extend(cursor.map(|cursor| (self.name.clone(), cursor)));
        delivery.deliver(batch, &self.health).await
    }
}

/// The cursor of an entry; its text has nothing that JSON escapes.
fn cursor_of(line: &[u8]) -> Option<Vec<u8>> {
    const NAME: &[u8] = b"\"__CURSOR\"";
    let at = memchr::memmem::find(line, NAME)? + NAME.len();
    let rest = line[at..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let cursor = &rest[..memchr::memchr(b'"', rest)?];
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'=' | b';' | b'-' | b'_');
    (!cursor.is_empty() && cursor.len() < 1_024 && cursor.iter().all(plain)).then(|| cursor.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_found_and_odd_ones_refused() {
        let line = br#"{"__CURSOR" : "s=ab;i=1f;b=9", "MESSAGE":"x"}"#;
        assert_eq!(cursor_of(line), Some(b"s=ab;i=1f;b=9".to_vec()));
        for odd in [&br#"{"__CURSOR":""}"#[..], br#"{"__CURSOR":"a b"}"#, br#"{"__CURSOR":12}"#, b"{}"] {
            assert_eq!(cursor_of(odd), None);
        }
    }
}
