//! A simulated disk, for tests and simulation: in memory, seeded, with power loss and faults.
//!
//! It knows what a power loss may take: bytes not synced, in sectors of 512; names not synced with
//! their directory; lengths not synced. [`SimFs::crash`] decides each by the seed. A failed sync
//! leaves what it covered in an unknown state for good, as Linux does, and a later sync of that file
//! reports success without making it durable; [`SimFs::touched_after_failure`] counts such calls.
//!
//! Every call that changes the disk is a step; faults and the loss of power are set by step or by
//! operation. Cost: memory for two copies of every file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;

use crate::journal::fs::{Fs, FsFile, Space};
use crate::time::ManualClock;

/// What a power loss keeps or takes as one.
const SECTOR: usize = 512;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;
const EINTR: i32 = 4;
const EACCES: i32 = 13;

/// A simulated disk. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct SimFs {
    disk: Arc<Mutex<Disk>>,
}

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// [`Fs::create`]
    Create,
    /// [`Fs::open`]
    Open,
    /// [`Fs::rename`]
    Rename,
    /// [`Fs::remove`]
    Remove,
    /// [`Fs::sync_dir`]
    SyncDir,
    /// [`FsFile::allocate`]
    Allocate,
    /// [`FsFile::set_len`]
    SetLen,
    /// [`FsFile::write_vectored_at`]
    Write,
    /// [`FsFile::read_at`]
    Read,
    /// [`FsFile::sync`]
    Sync,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// An error of the device; a write may have been done in part.
    Io,
    /// No space left on the device.
    Full,
    /// No space left of what this user may have.
    Quota,
    /// A signal came first.
    Interrupted,
    /// This user may not.
    Denied,
    /// A part of the bytes only.
    Short,
    /// It works and takes this long on the clock given to [`SimFs::with_clock`].
    Slow(Duration),
    /// One bit of the bytes read or written is wrong.
    Flip,
    /// A sync that says it was done and was not.
    Lie,
    /// The power goes away: it and every later call fail.
    Off,
}

#[derive(Debug)]
struct Disk {
    rng: Rng,
    files: BTreeMap<u64, Inode>,
    next_file: u64,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names since their directory was synced, in order.
    changes: Vec<Change>,
    locked: BTreeSet<PathBuf>,
    capacity: u64,
    shown_free: Option<u64>,
    steps: u64,
    off_at: Option<u64>,
    off: bool,
    faults: Vec<Planned>,
    touched_after_failure: u64,
    met: BTreeMap<String, u64>,
    clock: Option<Arc<ManualClock>>,
}

#[derive(Debug)]
struct Planned {
    operation: Operation,
    fault: Fault,
    when: When,
}

#[derive(Clone, Copy, Debug)]
enum When {
    /// Once, after so many more.
    After(u64),
    OneIn(u32),
}

#[derive(Clone, Debug)]
enum Change {
    Link(PathBuf, u64),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, u64),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors in which both may differ.
    dirty: BTreeSet<usize>,
    /// A sync failed.
    failed: bool,
    /// A sync said of the dirty sectors that they are durable.
    lied: bool,
    /// Bytes that cannot be read.
    bad: Option<Range<u64>>,
}

impl SimFs {
    /// An empty disk of 1 GiB.
    #[must_use]
    pub(super) fn new(seed: u64) -> Self {
        Self::over(Disk {
            rng: Rng::with_seed(seed),
            files: BTreeMap::new(),
            next_file: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            locked: BTreeSet::new(),
            capacity: 1 << 30,
            shown_free: None,
            steps: 0,
            off_at: None,
            off: false,
            faults: Vec::new(),
            touched_after_failure: 0,
            met: BTreeMap::new(),
            clock: None,
        })
    }

    fn over(disk: Disk) -> Self {
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    fn lock_disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets [`Fault::Slow`] advance `clock`.
    #[must_use]
    pub(super) fn with_clock(self, clock: Arc<ManualClock>) -> Self {
        self.lock_disk().clock = Some(clock);
        self
    }

    /// From here on it says that so many bytes are free, whatever is written and deleted.
    pub(super) fn show_free(&self, bytes: u64) {
        self.lock_disk().shown_free = Some(bytes);
    }

    /// Makes the disk `bytes` large. Less than is in use: nothing more can be allocated.
    pub(super) fn set_capacity(&self, bytes: u64) {
        self.lock_disk().capacity = bytes;
    }

    /// Calls so far that change the disk.
    #[must_use]
    pub(super) fn steps(&self) -> u64 {
        self.lock_disk().steps
    }

    /// Takes the power away at that step (the first is 1): it and every later call fail.
    pub(super) fn power_off_at(&self, step: u64) {
        self.lock_disk().off_at = Some(step);
    }

    /// Whether the power went away.
    #[must_use]
    pub(super) fn is_off(&self) -> bool {
        self.lock_disk().off
    }

    /// Lets one `operation` fail, after `after` more that do not.
    pub(super) fn fail_after(&self, operation: Operation, after: u64, fault: Fault) {
        let when = When::After(after);
        self.lock_disk().faults.push(Planned { operation, fault, when });
    }

    /// Lets each `operation` fail with odds of one in `one_in`.
    pub(super) fn fail_one_in(&self, operation: Operation, one_in: u32, fault: Fault) {
        let when = When::OneIn(one_in.max(1));
        self.lock_disk().faults.push(Planned { operation, fault, when });
    }

    /// From here on no read gives these bytes of a file.
    pub(super) fn lose_sectors(&self, path: &Path, bytes: Range<u64>) {
        let mut disk = self.lock_disk();
        let Disk { files, names, .. } = &mut *disk;
        if let Some(file) = names.get(path).and_then(|id| files.get_mut(id)) {
            file.bad = Some(bytes);
        }
    }

    /// Takes back every fault that was set.
    pub(super) fn heal(&self) {
        let mut disk = self.lock_disk();
        disk.faults.clear();
        disk.files.values_mut().for_each(|file| file.bad = None);
    }

    /// Writes and syncs of files whose sync had failed before.
    #[must_use]
    pub(super) fn touched_after_failure(&self) -> u64 {
        self.lock_disk().touched_after_failure
    }

    /// What happened to it and to the disks it was before, by kind, and how often.
    #[must_use]
    pub(super) fn met(&self) -> BTreeMap<String, u64> {
        self.lock_disk().met.clone()
    }

    /// What syncs said was durable and is not, file by file: what the next loss of power may take though it must not.
    #[must_use]
    pub(super) fn lied_about(&self) -> Vec<Vec<u8>> {
        let disk = self.lock_disk();
        let linked: BTreeSet<_> = disk.names.values().chain(disk.durable_names.values()).collect();
        let lied = linked.iter().filter_map(|id| disk.files.get(id)).filter(|file| file.lied);
        lied.map(Inode::dirty_bytes).collect()
    }

    /// The disk after a loss of power. Every file and lock of this one is gone.
    #[must_use]
    pub(super) fn crash(&self) -> Self {
        let mut disk = self.next();
        let all = Keep::choose(&mut disk.rng);
        for change in std::mem::take(&mut disk.changes) {
            if all.keeps(&mut disk.rng) {
                change.apply(&mut disk.durable_names);
            } else {
                disk.note("names lost");
            }
        }
        disk.names.clone_from(&disk.durable_names);
        let Disk { files, rng, .. } = &mut disk;
        let lost: Vec<_> = files.values_mut().map(|file| file.lose_power(rng)).collect();
        for (kept, _) in lost.into_iter().filter(|(_, lost)| *lost > 0) {
            disk.note(if kept > 0 { "bytes torn" } else { "bytes lost" });
        }
        Self::over(disk)
    }

    /// The disk after the process was killed: everything written is there. A sync that failed before is
    /// forgotten, as by everybody: the next process cannot know of it, and the disk is one that has
    /// mended since. What a kernel drops without a word in between is not simulated.
    #[must_use]
    pub(super) fn kill(&self) -> Self {
        let mut disk = self.next();
        disk.files.values_mut().for_each(|file| file.failed = false);
        Self::over(disk)
    }

    /// Switches this disk off and copies it.
    fn next(&self) -> Disk {
        let mut disk = self.lock_disk();
        disk.off = true;
        Disk {
            rng: Rng::with_seed(disk.rng.u64(..)),
            files: disk.files.clone(),
            next_file: disk.next_file,
            names: disk.names.clone(),
            durable_names: disk.durable_names.clone(),
            changes: disk.changes.clone(),
            locked: BTreeSet::new(),
            capacity: disk.capacity,
            shown_free: disk.shown_free,
            steps: 0,
            off_at: None,
            off: false,
            faults: Vec::new(),
            touched_after_failure: 0,
            met: disk.met.clone(),
            clock: disk.clock.clone(),
        }
    }

    /// Changes one bit of a segment, on the medium, as time does; of the newest one only when asked to. Whether it was
    /// the newest; `None` where there was none to change.
    pub(super) fn rot(&self, newest: bool) -> Option<bool> {
        let mut disk = self.lock_disk();
        let Disk { rng, files, names, .. } = &mut *disk;
        let segment = |path: &&PathBuf| path.extension().is_some_and(|e| e == "seg");
        let mut segments: Vec<_> = names.keys().filter(segment).collect();
        let last = if newest { segments.last().copied() } else { segments.pop() };
        let path = rng.choice(segments)?;
        let is_newest = last == Some(path);
        let file = names.get(path).and_then(|id| files.get_mut(id))?;
        let (at, bit) = (rng.usize(..file.bytes.len().max(1)), 1 << rng.u8(..8));
        for bytes in [&mut file.bytes, &mut file.durable] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bit;
            }
        }
        disk.note("rot");
        Some(is_newest)
    }

    /// Every file's path, sorted.
    #[must_use]
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.lock_disk().names.keys().cloned().collect()
    }

    /// A file's bytes.
    #[must_use]
    pub(super) fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = self.lock_disk();
        disk.files.get(disk.names.get(path)?).map(|file| file.bytes.clone())
    }

    /// Puts a file there, durably, as another program would.
    pub(super) fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut disk = self.lock_disk();
        let id = disk.next_file;
        disk.next_file += 1;
        let file = Inode { durable: bytes.clone(), bytes, ..Inode::default() };
        disk.files.insert(id, file);
        disk.names.insert(path.to_owned(), id);
        disk.durable_names.insert(path.to_owned(), id);
    }
}

/// What of the unsynced survives a power loss.
#[derive(Clone, Copy)]
enum Keep {
    Nothing,
    Everything,
    Some,
}

impl Keep {
    fn choose(rng: &mut Rng) -> Self {
        match rng.u8(..4) {
            0 => Self::Nothing,
            1 => Self::Everything,
            _ => Self::Some,
        }
    }

    fn keeps(self, rng: &mut Rng) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Some => rng.bool(),
        }
    }
}

impl Change {
    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Link(path, id) => {
                names.insert(path, id);
            }
            Self::Unlink(path) => {
                names.remove(&path);
            }
            Self::Rename(from, to, id) => {
                names.remove(&from);
                names.insert(to, id);
            }
        }
    }

    fn is_in(&self, directory: &Path) -> bool {
        let (Self::Link(path, _) | Self::Unlink(path) | Self::Rename(_, path, _)) = self;
        path.parent() == Some(directory)
    }
}

/// Like [`Vec::resize`] with zeros, which takes a build without optimization long.
fn resize(bytes: &mut Vec<u8>, len: usize) {
    let mut resized = vec![0; len];
    let kept = len.min(bytes.len());
    if let (Some(to), Some(from)) = (resized.get_mut(..kept), bytes.get(..kept)) {
        to.copy_from_slice(from);
    }
    *bytes = resized;
}

impl Inode {
    fn set_len(&mut self, len: usize) {
        let (from, to) = (len.min(self.bytes.len()), len.max(self.bytes.len()));
        self.dirty.extend(from / SECTOR..to.div_ceil(SECTOR));
        resize(&mut self.bytes, len);
    }

    fn write(&mut self, bytes: &[u8], at: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        if end > self.bytes.len() {
            self.set_len(end);
        }
        self.dirty.extend(at / SECTOR..end.div_ceil(SECTOR));
        if let Some(room) = self.bytes.get_mut(at..end) {
            room.copy_from_slice(bytes);
        }
    }

    fn keep_sector(&mut self, sector: usize) {
        let range = sector * SECTOR..self.durable.len().min((sector + 1) * SECTOR);
        let Some(durable) = self.durable.get_mut(range.clone()) else { return };
        durable.fill(0);
        let known = range.start..range.end.min(self.bytes.len());
        if let Some(bytes) = self.bytes.get(known)
            && let Some(durable) = durable.get_mut(..bytes.len())
        {
            durable.copy_from_slice(bytes);
        }
    }

    fn dirty_bytes(&self) -> Vec<u8> {
        let end = self.bytes.len();
        let sector = |n: &usize| self.bytes.get(n * SECTOR..end.min((n + 1) * SECTOR));
        self.dirty.iter().filter_map(sector).flatten().copied().collect()
    }

    fn sync(&mut self) {
        self.lied = false;
        resize(&mut self.durable, self.bytes.len());
        for sector in std::mem::take(&mut self.dirty) {
            self.keep_sector(sector);
        }
    }

    /// Returns how many of the sectors that were not synced stay, and how many are lost.
    fn lose_power(&mut self, rng: &mut Rng) -> (usize, usize) {
        let keep = Keep::choose(rng);
        let (mut kept, mut lost) = (0, 0);
        if keep.keeps(rng) {
            resize(&mut self.durable, self.bytes.len());
        }
        for sector in std::mem::take(&mut self.dirty) {
            if keep.keeps(rng) {
                self.keep_sector(sector);
                kept += 1;
            } else {
                lost += 1;
            }
        }
        self.bytes.clone_from(&self.durable);
        (self.failed, self.lied) = (false, false);
        (kept, lost)
    }
}

impl Disk {
    fn used(&self) -> u64 {
        let linked: BTreeSet<_> = self.names.values().collect();
        linked.iter().filter_map(|id| self.files.get(id)).map(|f| f.bytes.len() as u64).sum()
    }

    fn note(&mut self, what: impl Into<String>) {
        *self.met.entry(what.into()).or_default() += 1;
    }

    /// Counts a step; the fault that meets it, unless that is an error.
    fn meet(&mut self, operation: Operation) -> io::Result<Option<Fault>> {
        if !matches!(operation, Operation::Read | Operation::Open) {
            self.steps += 1;
            if !self.off && self.off_at.is_some_and(|at| self.steps >= at) {
                self.off = true;
                self.note(format!("power off at {operation:?}"));
            }
        }
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        let Self { faults, rng, .. } = self;
        let mut met = None;
        faults.retain_mut(|planned| {
            if planned.operation != operation || met.is_some() {
                return true;
            }
            match &mut planned.when {
                When::OneIn(odds) => {
                    met = (rng.u32(..*odds) == 0).then_some(planned.fault);
                    true
                }
                When::After(0) => {
                    met = Some(planned.fault);
                    false
                }
                When::After(left) => {
                    *left -= 1;
                    true
                }
            }
        });
        match met {
            Some(Fault::Off) => {
                self.off = true;
                self.note(format!("power off at {operation:?}"));
                return Err(io::Error::other("the power is off"));
            }
            Some(Fault::Slow(_)) => self.note(format!("{operation:?} Slow")),
            Some(fault) => self.note(format!("{operation:?} {fault:?}")),
            None => {}
        }
        match met {
            Some(Fault::Io) if operation != Operation::Write && operation != Operation::Sync => {
                Err(io::Error::from_raw_os_error(EIO))
            }
            Some(Fault::Full) => Err(io::Error::from_raw_os_error(ENOSPC)),
            Some(Fault::Quota) => Err(io::Error::from_raw_os_error(EDQUOT)),
            Some(Fault::Interrupted) => Err(io::Error::from_raw_os_error(EINTR)),
            Some(Fault::Denied) => Err(io::Error::from_raw_os_error(EACCES)),
            Some(Fault::Slow(took)) => {
                if let Some(clock) = &self.clock {
                    clock.advance(took);
                }
                Ok(None)
            }
            other => Ok(other),
        }
    }

    fn file(&mut self, id: u64) -> io::Result<&mut Inode> {
        self.files.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn grow(&mut self, id: u64, len: u64) -> io::Result<()> {
        let have = self.file(id)?.bytes.len() as u64;
        if len > have && self.used() + (len - have) > self.capacity {
            self.note("no room");
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        Ok(())
    }
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl Fs for SimFs {
    fn create_dir(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        if self.lock_disk().locked.insert(path.to_owned()) {
            return Ok(Box::new(Lock { fs: self.clone(), path: path.to_owned() }));
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let disk = self.lock_disk();
        let paths = disk.names.keys().filter(|path| path.parent() == Some(directory));
        Ok(paths.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        let mut disk = self.lock_disk();
        disk.meet(Operation::Create)?;
        let known = disk.names.get(path).copied();
        let id = known.unwrap_or(disk.next_file);
        if known.is_none() {
            disk.next_file += 1;
            disk.names.insert(path.to_owned(), id);
            disk.changes.push(Change::Link(path.to_owned(), id));
        }
        let file = disk.files.entry(id).or_default();
        file.set_len(0);
        file.failed = false;
        Ok(Arc::new(SimFile { fs: self.clone(), id }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        let mut disk = self.lock_disk();
        disk.meet(Operation::Open)?;
        let id = *disk.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile { fs: self.clone(), id }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.lock_disk();
        disk.meet(Operation::Rename)?;
        let id = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_owned(), id);
        disk.changes.push(Change::Rename(from.to_owned(), to.to_owned(), id));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.lock_disk();
        disk.meet(Operation::Remove)?;
        disk.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        disk.changes.push(Change::Unlink(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        let mut disk = self.lock_disk();
        disk.meet(Operation::SyncDir)?;
        let (now, later) =
            std::mem::take(&mut disk.changes).into_iter().partition(|c| c.is_in(directory));
        disk.changes = later;
        Vec::into_iter(now).for_each(|change| change.apply(&mut disk.durable_names));
        Ok(())
    }

    fn space(&self, _directory: &Path) -> io::Result<Space> {
        let disk = self.lock_disk();
        let total = disk.capacity;
        let free = disk.shown_free.unwrap_or_else(|| total.saturating_sub(disk.used()));
        Ok(Space { total, free })
    }

    fn blocks(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct Lock {
    fs: SimFs,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.fs.lock_disk().locked.remove(&self.path);
    }
}

#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    id: u64,
}

impl FsFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.fs.lock_disk().file(self.id)?.bytes.len() as u64)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut disk = self.fs.lock_disk();
        disk.meet(Operation::Allocate)?;
        disk.grow(self.id, len)?;
        let file = disk.file(self.id)?;
        let len = index(len)?.max(file.bytes.len());
        file.set_len(len);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.fs.lock_disk();
        disk.meet(Operation::SetLen)?;
        disk.file(self.id)?.set_len(index(len)?);
        Ok(())
    }

    fn write_vectored_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut disk = self.fs.lock_disk();
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let was_on = !disk.off;
        let met = disk.meet(Operation::Write);
        if was_on && disk.off {
            // The power went while the bytes were on their way.
            disk.file(self.id)?.write(&bytes, index(offset)?);
        }
        let met = met?;
        disk.grow(self.id, offset + bytes.len() as u64)?;
        disk.touched_after_failure += u64::from(disk.file(self.id)?.failed);
        if matches!(met, Some(Fault::Short | Fault::Io)) && bytes.len() > 1 {
            let part = disk.rng.usize(1..bytes.len());
            bytes.truncate(part);
        }
        if met == Some(Fault::Flip) {
            flip(&mut disk.rng, &mut bytes);
        }
        disk.file(self.id)?.write(&bytes, index(offset)?);
        match met {
            Some(Fault::Io) => Err(io::Error::from_raw_os_error(EIO)),
            _ => Ok(bytes.len()),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.fs.lock_disk();
        let met = disk.meet(Operation::Read)?;
        let Disk { files, rng, .. } = &mut *disk;
        let file = files.get(&self.id).ok_or(io::ErrorKind::NotFound)?;
        let read = offset..offset + buffer.len() as u64;
        if file.bad.as_ref().is_some_and(|bad| bad.start < read.end && read.start < bad.end) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let rest = file.bytes.get(index(offset)?..).unwrap_or_default();
        let mut len = rest.len().min(buffer.len());
        if met == Some(Fault::Short) && len > 1 {
            len = rng.usize(1..len);
        }
        let (Some(to), Some(from)) = (buffer.get_mut(..len), rest.get(..len)) else { return Ok(0) };
        to.copy_from_slice(from);
        if met == Some(Fault::Flip) {
            flip(rng, to);
        }
        Ok(len)
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.fs.lock_disk();
        let met = disk.meet(Operation::Sync)?;
        let failed = disk.file(self.id)?.failed;
        disk.touched_after_failure += u64::from(failed);
        let file = disk.file(self.id)?;
        if met == Some(Fault::Io) {
            file.failed = true;
            return Err(io::Error::from_raw_os_error(EIO));
        }
        if met == Some(Fault::Lie) {
            file.lied |= !file.dirty.is_empty();
        } else if !failed {
            file.sync();
        }
        Ok(())
    }
}

fn flip(rng: &mut Rng, bytes: &mut [u8]) {
    let at = rng.usize(..bytes.len().max(1));
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << rng.u8(..8);
    }
}
