//! A disk in memory that can lose power, run full and fail, at any chosen operation.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use covigil_store::wal::{Disk, DiskFile};

/// What of the unsynced is on the disk when power returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterCut {
    /// Nothing.
    Nothing,
    /// Everything, by luck.
    Everything,
    /// Names, but no data.
    NamesOnly,
    /// Of each unsynced write the first half; no names.
    HalfOfEachWrite,
    /// Names and lengths, with zeros where the data should be.
    ZerosForData,
    /// Of the changes to names only the last, and no data.
    LastNameOnly,
}

impl AfterCut {
    pub const ALL: [Self; 6] = [
        Self::Nothing,
        Self::Everything,
        Self::NamesOnly,
        Self::HalfOfEachWrite,
        Self::ZerosForData,
        Self::LastNameOnly,
    ];
}

/// What happens at the chosen operation, counted over all that change the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The power goes before the operation has ended.
    PowerCut,
    /// So many operations fail with this error; a failing write writes half.
    Fails(io::ErrorKind, usize),
}

#[derive(Clone, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    dirty: Vec<Range<usize>>,
}

struct Inner {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes to names that are not synced, in order.
    name_changes: Vec<(PathBuf, Option<usize>)>,
    /// Syncs wait while this is set.
    held: bool,
    operations: usize,
    at: usize,
    fault: Fault,
    off: bool,
    locked: bool,
}

/// The disk; clones are the same one.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Inner>>);

struct SimFile(SimDisk, usize);

struct SimLock(SimDisk);

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.inner().locked = false;
    }
}

impl SimDisk {
    /// A disk on which operation number `at` (from 0) meets a fault.
    pub fn new(at: usize, fault: Fault) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            held: false,
            operations: 0,
            at,
            fault,
            off: false,
            locked: false,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Plans another fault.
    pub fn fault_at(&self, at: usize, fault: Fault) {
        let mut inner = self.inner();
        (inner.at, inner.fault) = (at, fault);
    }

    pub fn operations(&self) -> usize {
        self.inner().operations
    }

    /// The process is killed and another started: what the system holds stays.
    pub fn restart(&self) {
        let mut inner = self.inner();
        (inner.off, inner.locked, inner.fault) = (false, false, Fault::None);
    }

    /// Makes syncs wait, or lets them go on.
    pub fn hold(&self, held: bool) {
        self.inner().held = held;
    }

    pub fn is_off(&self) -> bool {
        self.inner().off
    }

    /// Power returns, and no further fault comes.
    pub fn power_on(&self, after: AfterCut) {
        let mut inner = self.inner();
        inner.off = false;
        inner.locked = false;
        inner.fault = Fault::None;
        match after {
            AfterCut::Everything | AfterCut::NamesOnly | AfterCut::ZerosForData => {
                inner.durable_names = inner.names.clone();
            }
            AfterCut::Nothing | AfterCut::HalfOfEachWrite => {}
            AfterCut::LastNameOnly => match inner.name_changes.last().cloned() {
                Some((path, Some(at))) => drop(inner.durable_names.insert(path, at)),
                Some((path, None)) => drop(inner.durable_names.remove(&path)),
                None => {}
            },
        }
        inner.names = inner.durable_names.clone();
        inner.name_changes.clear();
        for inode in &mut inner.inodes {
            let dirty = std::mem::take(&mut inode.dirty);
            match after {
                AfterCut::Nothing | AfterCut::NamesOnly | AfterCut::LastNameOnly => {}
                AfterCut::Everything => inode.durable = inode.now.clone(),
                AfterCut::HalfOfEachWrite => {
                    for range in dirty {
                        let half = range.start..range.start + range.len() / 2;
                        copy(&inode.now, &mut inode.durable, half);
                    }
                }
                AfterCut::ZerosForData => inode.durable.resize(inode.now.len(), 0),
            }
            inode.now = inode.durable.clone();
        }
    }

    /// Whether this operation fails, and how; counts it.
    fn step(inner: &mut Inner) -> io::Result<()> {
        if inner.off {
            return Err(io::Error::other("no power"));
        }
        let operation = inner.operations;
        inner.operations += 1;
        match inner.fault {
            Fault::PowerCut if operation == inner.at => {
                inner.off = true;
                Err(io::Error::other("no power"))
            }
            Fault::Fails(kind, times) if operation >= inner.at && operation - inner.at < times => {
                Err(kind.into())
            }
            _ => Ok(()),
        }
    }

    /// All files with their content, for tests that damage them.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let inner = self.inner();
        inner.names.iter().map(|(path, at)| (path.clone(), inner.inodes[*at].now.clone())).collect()
    }

    /// A disk with these files, all durable.
    pub fn with_files(files: &[(PathBuf, Vec<u8>)]) -> Self {
        let disk = Self::new(0, Fault::None);
        {
            let mut inner = disk.inner();
            for (path, bytes) in files {
                inner.inodes.push(Inode { now: bytes.clone(), durable: bytes.clone(), dirty: Vec::new() });
                let at = inner.inodes.len() - 1;
                inner.names.insert(path.clone(), at);
            }
            inner.durable_names = inner.names.clone();
        }
        disk
    }
}

fn copy(from: &[u8], to: &mut Vec<u8>, range: Range<usize>) {
    let range = range.start..range.end.min(from.len());
    if range.is_empty() {
        return;
    }
    if to.len() < range.end {
        to.resize(range.end, 0);
    }
    to[range.clone()].copy_from_slice(&from[range]);
}

impl Disk for SimDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.inner().names.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner();
        Self::step(&mut inner)?;
        inner.inodes.push(Inode::default());
        let at = inner.inodes.len() - 1;
        inner.names.insert(path.to_owned(), at);
        inner.name_changes.push((path.to_owned(), Some(at)));
        Ok(Arc::new(SimFile(self.clone(), at)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inner = self.inner();
        let at = inner.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile(self.clone(), *at)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        Self::step(&mut inner)?;
        let at = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), at);
        inner.name_changes.push((to.to_owned(), Some(at)));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        Self::step(&mut inner)?;
        inner.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        inner.name_changes.push((path.to_owned(), None));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        Self::step(&mut inner)?;
        let Inner { names, durable_names, name_changes, .. } = &mut *inner;
        name_changes.retain(|(path, _)| path.parent() != Some(dir));
        durable_names.retain(|path, _| path.parent() != Some(dir));
        let here = names.iter().filter(|(path, _)| path.parent() == Some(dir));
        durable_names.extend(here.map(|(path, at)| (path.clone(), *at)));
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Send>> {
        let mut inner = self.inner();
        if std::mem::replace(&mut inner.locked, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock(self.clone())))
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.inner().inodes[self.1].now.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let inner = self.0.inner();
        let bytes = inner.inodes[self.1].now.get(offset as usize..).unwrap_or_default();
        let len = bytes.len().min(buf.len());
        buf[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut inner = self.0.inner();
        let was_off = inner.off;
        let result = SimDisk::step(&mut inner);
        let written = if result.is_ok() { bytes.len() } else { bytes.len() / 2 };
        if !was_off {
            let inode = &mut inner.inodes[self.1];
            let range = offset as usize..offset as usize + written;
            if inode.now.len() < range.end {
                inode.now.resize(range.end, 0);
            }
            inode.now[range.clone()].copy_from_slice(&bytes[..written]);
            inode.dirty.push(range);
        }
        result
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.0.inner();
        SimDisk::step(&mut inner)?;
        let inode = &mut inner.inodes[self.1];
        inode.now.resize(len as usize, 0);
        for range in &mut inode.dirty {
            range.end = range.end.min(len as usize).max(range.start);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        while self.0.inner().held {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let mut inner = self.0.inner();
        let result = SimDisk::step(&mut inner);
        if inner.off {
            return result;
        }
        let inode = &mut inner.inodes[self.1];
        // After a failure the system calls the pages clean though they were never written.
        let dirty = std::mem::take(&mut inode.dirty);
        if result.is_ok() {
            for range in dirty {
                copy(&inode.now, &mut inode.durable, range);
            }
            inode.durable.resize(inode.now.len(), 0);
        }
        result
    }
}
