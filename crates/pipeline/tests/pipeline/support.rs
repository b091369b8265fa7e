//! What several tests need.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use covigil_model::Record;
use covigil_pipeline::{intake::Delivery, sources::Sources};
use covigil_store::wal::{Disk, DiskFile, Position, RealDisk, Wal, WalConfig};
use tokio_util::sync::CancellationToken;

/// A folder of the shared test data, or `None` (said on stderr) where this machine has none.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("COVIGIL_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = root.join("data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!(
        "skipped: no test data at {}; set COVIGIL_SHARED to the folder that holds data/",
        path.display()
    );
    None
}

/// A log in a directory, and delivery into it.
pub struct Bench {
    pub wal: Wal,
    pub sources: Arc<Sources>,
    pub delivery: Delivery,
    pub stop: CancellationToken,
    pub disk: Arc<FullDisk>,
}

impl Bench {
    pub fn open(dir: &Path) -> Self {
        Self::with(dir, |_| {})
    }

    pub fn with(dir: &Path, change: impl FnOnce(&mut WalConfig)) -> Self {
        let disk = Arc::new(FullDisk::default());
        let mut config = WalConfig::new(dir.join("wal"));
        config.disk = disk.clone();
        change(&mut config);
        let (wal, recovery) = Wal::open(config).unwrap();
        let (sources, stop) = (Sources::new(), CancellationToken::new());
        let delivery = Delivery::new(wal.clone(), recovery.checkpoints, sources.clone(), stop.clone());
        Self { wal, sources, delivery, stop, disk }
    }

    /// All records that are durable now.
    pub fn records(&self) -> Vec<Record> {
        let mut reader = self.wal.reader(Position(0));
        let mut all = Vec::new();
        loop {
            let batch = reader.try_batch(10_000, usize::MAX).unwrap();
            if batch.is_empty() {
                return all;
            }
            all.extend(batch.into_iter().map(|(_, record)| record));
        }
    }

    /// The texts of all records.
    pub fn texts(&self) -> Vec<String> {
        self.records().iter().map(|r| String::from_utf8_lossy(&r.data).into_owned()).collect()
    }

    /// Waits until there are so many records.
    pub async fn wait_for(&self, records: usize) -> Vec<String> {
        until(|| self.wal.stats().newest.0 >= records as u64).await;
        self.texts()
    }

    /// The detail that health shows for a source.
    pub fn detail(&self, source: &str) -> String {
        self.sources.of(source).health(covigil_model::Time::now()).detail
    }
}

/// Waits until something holds; fails when it does not for a minute.
pub async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about within a minute");
}

/// The real disk, until it is said to be full.
#[derive(Default)]
pub struct FullDisk(Arc<AtomicBool>);

impl FullDisk {
    pub fn fill(&self, full: bool) {
        self.0.store(full, Ordering::SeqCst);
    }
}

struct FullFile(Arc<dyn DiskFile>, Arc<AtomicBool>);

fn check(full: &AtomicBool) -> io::Result<()> {
    if full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

impl Disk for FullDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        RealDisk.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        check(&self.0)?;
        Ok(Arc::new(FullFile(RealDisk.create(path)?, self.0.clone())))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(FullFile(RealDisk.open(path)?, self.0.clone())))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send>> {
        RealDisk.lock(path)
    }
}

impl DiskFile for FullFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        check(&self.1)?;
        self.0.write_at(bytes, offset)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        check(&self.1)?;
        self.0.sync()
    }
}
