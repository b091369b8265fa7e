//! Opening the log: reads every segment, rebuilds the books, sets damage aside and counts it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use covigil_model::Time;

use super::{
    Position, WalError,
    books::Books,
    disk::{Disk, DiskFile},
    format::{
        Payload, SEGMENT_HEAD, SegmentHead, read_segment_head, salted_crc, write_gap, write_segment_head,
    },
    scan::{Scanner, Step},
};

/// What was found when the log was opened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recovery {
    /// The last position in the log; 0 if there never was a record.
    pub last: Position,
    /// Damage that was set aside.
    pub quarantined: Vec<Quarantine>,
    /// Bytes of writes that had not been finished when the program stopped. Nothing in them was
    /// acknowledged; they were cut off.
    pub torn_bytes: u64,
    /// Records in those bytes, as far as can be told.
    pub torn_records: u64,
    /// The sources' last read positions, by name.
    pub checkpoints: HashMap<String, Vec<u8>>,
}

/// Damage to one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// The segment.
    pub segment: PathBuf,
    /// Where a copy of the segment as it was is kept; `None` if there was no room for one.
    pub kept: Option<PathBuf>,
    /// Records lost.
    pub records: u64,
    /// The positions that were lost, each first and last. Empty where the damage cost no record.
    pub positions: Vec<(Position, Position)>,
    /// Bytes that could not be read.
    pub bytes: u64,
    /// What was damaged, in words.
    pub reason: String,
}

/// One file of the log.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) ordinal: u64,
    /// Position of its first record.
    pub(super) first: u64,
    pub(super) path: PathBuf,
    /// Offset of its first entry.
    pub(super) entries: u64,
    /// Bytes that are durable.
    pub(super) len: u64,
}

/// The name of a segment's file. It holds the first position, so that damage to the content cannot
/// hide it.
pub(super) fn segment_name(ordinal: u64, first: u64) -> String {
    format!("{ordinal:010}-{first:020}.wal")
}

fn read_name(path: &Path) -> Option<(u64, u64)> {
    let (ordinal, first) = path.file_name()?.to_str()?.strip_suffix(".wal")?.split_once('-')?;
    Some((ordinal.parse().ok()?, first.parse().ok()?))
}

/// A log as it stands after opening.
pub(super) struct Recovered {
    pub(super) salt: u64,
    pub(super) books: Books,
    pub(super) segments: Vec<Segment>,
    pub(super) next: u64,
    pub(super) next_ordinal: u64,
    pub(super) report: Recovery,
    /// Whether what was lost is to be made final by beginning a segment at once.
    pub(super) rotate: bool,
}

const SALT_FILE: &str = "salt";

/// Reads the log in `dir`. No new record gets a position at or before `after`.
pub(super) fn recover(disk: &dyn Disk, dir: &Path, after: Position) -> Result<Recovered, WalError> {
    let mut found = Vec::new();
    for path in disk.list(dir).map_err(WalError::disk("list", dir))? {
        if path.extension().is_some_and(|e| e == "new") {
            disk.remove(&path).map_err(WalError::disk("remove", &path))?;
        } else if let Some((ordinal, first)) = read_name(&path) {
            found.push((ordinal, first, path));
        }
    }
    found.sort();
    let salt = find_salt(disk, dir, &found)?;
    let mut recovered = Recovered {
        salt,
        books: Books::default(),
        segments: Vec::new(),
        next: found.first().map_or(1, |(_, first, _)| (*first).max(1)),
        next_ordinal: found.last().map_or(1, |(ordinal, ..)| ordinal + 1),
        report: Recovery::default(),
        rotate: false,
    };
    for (index, (ordinal, first, path)) in found.iter().enumerate() {
        let cut = found.get(index + 1).map(|(_, first, _)| *first);
        let segment = Segment { ordinal: *ordinal, first: *first, path: path.clone(), entries: 0, len: 0 };
        recovered.segment(disk, dir, segment, cut)?;
    }
    recovered.raise_to(disk, after)?;
    recovered.report.last = Position(recovered.next - 1);
    recovered.report.checkpoints = recovered.books.checkpoints.clone();
    Ok(recovered)
}

/// This log's random number: from its file, else from any segment, else a new one.
fn find_salt(disk: &dyn Disk, dir: &Path, segments: &[(u64, u64, PathBuf)]) -> Result<u64, WalError> {
    let path = dir.join(SALT_FILE);
    if let Ok(file) = disk.open(&path) {
        let bytes = read_range(&*file, 0, 12).map_err(WalError::disk("read", &path))?;
        if let (Some(salt), Some(crc)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<4>())
            && bytes.len() == 12
            && salted_crc(u64::from_le_bytes(*salt), b"salt") == u32::from_le_bytes(*crc)
        {
            return Ok(u64::from_le_bytes(*salt));
        }
    }
    let mut salt = None;
    for (.., segment) in segments {
        let file = disk.open(segment).map_err(WalError::disk("open", segment))?;
        let fixed = read_range(&*file, 0, SEGMENT_HEAD).map_err(WalError::disk("read", segment))?;
        if let SegmentHead::DamagedBooks { salt: found } =
            read_segment_head(&fixed, |_| Ok::<_, WalError>(Vec::new()))?
        {
            salt = Some(found);
            break;
        }
    }
    let salt = salt.unwrap_or_else(|| {
        use std::hash::{BuildHasher as _, RandomState};
        RandomState::new().hash_one(Time::now().nanos())
    });
    let mut bytes = salt.to_le_bytes().to_vec();
    bytes.extend_from_slice(&salted_crc(salt, b"salt").to_le_bytes());
    write_file(disk, dir, &path, &bytes)?;
    Ok(salt)
}

/// Writes a whole file so that it is there entirely or not at all.
pub(super) fn write_file(
    disk: &dyn Disk,
    dir: &Path,
    path: &Path,
    bytes: &[u8],
) -> Result<Arc<dyn DiskFile>, WalError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let file = disk.create(&new).map_err(WalError::disk("create", &new))?;
    let written = file
        .write_at(bytes, 0)
        .and_then(|()| file.sync())
        .map_err(WalError::disk("write to", &new))
        .and_then(|()| disk.rename(&new, path).map_err(WalError::disk("rename", &new)));
    if let Err(error) = written {
        let _ = disk.remove(&new);
        return Err(error);
    }
    if let Err(error) = disk.sync_dir(dir) {
        let _ = disk.remove(path);
        return Err(WalError::disk("sync", dir)(error));
    }
    Ok(file)
}

fn read_range(file: &dyn DiskFile, at: u64, len: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut have = 0;
    while have < len {
        match file.read_at(&mut bytes[have..], at + have as u64)? {
            0 => break,
            read => have += read,
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

/// What is kept of a damaged segment.
enum Kept {
    /// An intact entry: its offset and size.
    Entry(u64, u64),
    /// A mark that what is missing before this position is counted.
    Gap(u64),
}

/// What scanning one segment showed.
#[derive(Default)]
struct Survey {
    /// What goes into the segment that replaces a damaged one.
    good: Vec<Kept>,
    /// Lost positions, first and end.
    lost: Vec<(u64, u64)>,
    damaged_bytes: u64,
    torn_bytes: u64,
    torn_records: u64,
    reasons: Vec<&'static str>,
    /// The position after its last record, lost ones included.
    next: u64,
}

impl Recovered {
    fn segment(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        mut segment: Segment,
        cut: Option<u64>,
    ) -> Result<(), WalError> {
        let path = segment.path.clone();
        let file = disk.open(&path).map_err(WalError::disk("open", &path))?;
        let len = file.size().map_err(WalError::disk("measure", &path))?;
        let fixed = read_range(&*file, 0, SEGMENT_HEAD).map_err(WalError::disk("read", &path))?;
        let head = read_segment_head(&fixed, |books| {
            let books = usize::try_from(books.min(len)).unwrap_or(usize::MAX);
            read_range(&*file, SEGMENT_HEAD as u64, books)
        })
        .map_err(WalError::disk("read", &path))?;
        let mut survey = Survey::default();
        match head {
            SegmentHead::Newer { version } => return Err(WalError::Version { path, version }),
            SegmentHead::Good { books, entries } => {
                self.books = *books;
                segment.entries = entries;
            }
            SegmentHead::DamagedBooks { .. } => {
                // How long the books are can no longer be trusted: the entries are searched for.
                segment.entries = (SEGMENT_HEAD as u64).min(len);
                survey.reasons.push("its summary of sources and read positions is damaged");
            }
            // The entries are found by searching from the start.
            SegmentHead::Damaged => survey.reasons.push("its head is damaged"),
        }
        let intact_head = survey.reasons.is_empty();
        let books_before = if intact_head { None } else { Some(self.books.clone()) };
        let expected = segment.first.max(self.next.min(cut.unwrap_or(u64::MAX)));
        let scanner = Scanner::new(Arc::clone(&file), self.salt, segment.entries, len, segment.first);
        self.survey(scanner, expected, cut, intact_head, &mut survey)
            .map_err(WalError::disk("read", &path))?;
        self.next = survey.next;
        self.report.torn_bytes += survey.torn_bytes;
        self.report.torn_records += survey.torn_records;
        segment.len = len - survey.torn_bytes;
        if survey.reasons.is_empty() {
            if survey.torn_bytes > 0 {
                file.set_len(segment.len).map_err(WalError::disk("cut", &path))?;
            }
            if cut.is_none() || survey.torn_bytes > 0 {
                // What a killed program had written may not be on the disk yet.
                file.sync().map_err(WalError::disk("sync", &path))?;
            }
        } else {
            self.rotate |= cut.is_none();
            let kept = self.set_aside(disk, dir, &file, &mut segment, &survey, books_before).ok();
            self.report.quarantined.push(Quarantine {
                segment: path,
                kept,
                records: survey.lost.iter().map(|(first, end)| end - first).sum(),
                positions: survey
                    .lost
                    .iter()
                    .map(|(first, end)| (Position(*first), Position(end - 1)))
                    .collect(),
                bytes: survey.damaged_bytes,
                reason: survey.reasons.join("; "),
            });
        }
        self.segments.push(segment);
        Ok(())
    }

    fn survey(
        &mut self,
        mut scanner: Scanner,
        mut expected: u64,
        cut: Option<u64>,
        intact_head: bool,
        survey: &mut Survey,
    ) -> std::io::Result<()> {
        scanner.cut = cut.unwrap_or(u64::MAX);
        // Where the head is damaged, the first stretch of damage is or contains the head.
        let mut damage: Option<(u64, u64, u64)> = None;
        loop {
            let at = scanner.at;
            match scanner.step()? {
                Step::Entry(head) => {
                    let payload = Payload::read(scanner.payload());
                    let damaged = damage.take().map(|(bytes, ..)| bytes);
                    // A gap is a loss unless an entry says that it was counted before.
                    let gap = head.first > expected && !payload.as_ref().is_some_and(|p| p.gap);
                    survey.damaged_bytes += damaged.unwrap_or(0);
                    if gap || damaged.is_some() && (intact_head || !survey.good.is_empty()) {
                        survey.reasons.push(if damaged.is_some() {
                            "entries are damaged"
                        } else {
                            "entries are missing"
                        });
                    }
                    if head.first > expected {
                        if gap {
                            survey.lost.push((expected, head.first));
                            survey.good.push(Kept::Gap(head.first));
                        }
                        self.books.skip(head.first - expected);
                    }
                    survey.good.push(Kept::Entry(at, scanner.at - at));
                    expected = expected.max(head.end());
                    if let Some(payload) = payload {
                        payload.note(head.first, &mut self.books);
                    }
                }
                Step::Damage { bytes, written_to, begun_to } => damage = Some((bytes, written_to, begun_to)),
                Step::End => break,
            }
        }
        let (bytes, written_to, begun_to) = damage.unwrap_or_default();
        // The next segment says where this one ended; without one, only a finished entry does.
        let end = cut.unwrap_or_else(|| written_to.max(expected));
        if end > expected {
            survey.reasons.push(if bytes > 0 { "its last entries are damaged" } else { "it ends too soon" });
            survey.damaged_bytes += bytes;
            survey.lost.push((expected, end));
            self.books.skip(end - expected);
            expected = end;
        } else if !intact_head && survey.good.is_empty() {
            survey.damaged_bytes += bytes;
        } else {
            survey.torn_bytes = bytes;
            survey.torn_records = if bytes > 0 { begun_to.saturating_sub(expected) } else { 0 };
        }
        survey.reasons.dedup();
        survey.next = expected;
        Ok(())
    }

    /// Keeps a copy of a damaged segment, and replaces it by one with only the intact entries.
    fn set_aside(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        file: &Arc<dyn DiskFile>,
        segment: &mut Segment,
        survey: &Survey,
        books_before: Option<Books>,
    ) -> Result<PathBuf, WalError> {
        let keep_dir = dir.join("quarantine");
        disk.create_dir(&keep_dir).map_err(WalError::disk("create", &keep_dir))?;
        let name = segment_name(segment.ordinal, segment.first);
        let kept = keep_dir.join(format!("{name}.{}", Time::now().millis()));
        let read = |at, len| {
            read_range(&**file, at, usize::try_from(len).unwrap_or(usize::MAX))
                .map_err(WalError::disk("read", &segment.path))
        };
        let len = file.size().map_err(WalError::disk("measure", &segment.path))?;
        let whole = read(0, len)?;
        write_file(disk, &keep_dir, &kept, &whole)?;
        disk.sync_dir(dir).map_err(WalError::disk("sync", dir))?;
        let mut intact = match books_before {
            Some(books) => write_segment_head(self.salt, &books),
            None => whole[..usize::try_from(segment.entries).unwrap_or(0).min(whole.len())].to_vec(),
        };
        let entries = intact.len() as u64;
        for kept in &survey.good {
            match kept {
                Kept::Entry(at, size) => {
                    let from = usize::try_from(*at).unwrap_or(usize::MAX).min(whole.len());
                    let to = usize::try_from(at + size).unwrap_or(usize::MAX).min(whole.len());
                    intact.extend_from_slice(&whole[from..to]);
                }
                Kept::Gap(next) => write_gap(&mut intact, self.salt, Position(*next)),
            }
        }
        // An entry without records marks where the segment ended, so that the loss is told once.
        write_gap(&mut intact, self.salt, Position(survey.next));
        write_file(disk, dir, &segment.path, &intact)?;
        segment.entries = entries;
        segment.len = intact.len() as u64;
        Ok(kept)
    }

    /// Makes sure that the next position is after one that is known elsewhere to be in use.
    fn raise_to(&mut self, disk: &dyn Disk, after: Position) -> Result<(), WalError> {
        let skipped = after.0.saturating_add(1).saturating_sub(self.next);
        if skipped == 0 {
            return Ok(());
        }
        self.books.skip(skipped);
        self.next += skipped;
        self.rotate = true;
        if let Some(last) = self.segments.last_mut() {
            let file = disk.open(&last.path).map_err(WalError::disk("open", &last.path))?;
            let mut mark = Vec::new();
            write_gap(&mut mark, self.salt, Position(self.next));
            file.write_at(&mark, last.len)
                .and_then(|()| file.sync())
                .map_err(WalError::disk("write to", &last.path))?;
            last.len += mark.len() as u64;
        }
        Ok(())
    }
}
