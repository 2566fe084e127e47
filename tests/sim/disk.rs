//! A disk that is full, failing or slow by a seed, in front of a real directory.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidelight_agent::journal::fs::{Fs, FsFile, RealFs, Space};

/// How often, in thousandths of calls, a disk misbehaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Odds {
    /// `ENOSPC` from allocating or writing.
    pub full: u32,
    /// `EIO` from writing or syncing.
    pub failing: u32,
    /// A sync that takes 30 ms longer.
    pub slow: u32,
}

/// What a simulated disk did, and whether it still does.
#[derive(Debug)]
struct Faults {
    odds: Odds,
    random: Mutex<fastrand::Rng>,
    healed: AtomicBool,
    injected: AtomicU64,
}

/// The disk. Cloning shares it.
#[derive(Clone, Debug)]
pub struct FaultyDisk {
    faults: Arc<Faults>,
}

impl FaultyDisk {
    pub fn new(seed: u64, odds: Odds) -> Self {
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        let faults = Faults { odds, random, healed: false.into(), injected: 0.into() };
        Self { faults: Arc::new(faults) }
    }

    /// No fault from here on.
    pub fn heal(&self) {
        self.faults.healed.store(true, Ordering::Relaxed);
    }

    /// Faults until here.
    pub fn injected(&self) -> u64 {
        self.faults.injected.load(Ordering::Relaxed)
    }
}

impl Faults {
    fn strikes(&self, odds: u32) -> bool {
        let strikes =
            !self.healed.load(Ordering::Relaxed) && self.random.lock().unwrap().u32(0..1000) < odds;
        self.injected.fetch_add(u64::from(strikes), Ordering::Relaxed);
        strikes
    }

    fn space(&self) -> io::Result<()> {
        if self.strikes(self.odds.full) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn health(&self) -> io::Result<()> {
        // EIO
        if self.strikes(self.odds.failing) { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }
}

impl Fs for FaultyDisk {
    fn create_dir(&self, directory: &Path) -> io::Result<()> {
        RealFs.create_dir(directory)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        RealFs.lock(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        RealFs.list(directory)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        self.faults.space()?;
        Ok(Arc::new(FaultyFile { file: RealFs.create(path)?, faults: Arc::clone(&self.faults) }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        Ok(Arc::new(FaultyFile { file: RealFs.open(path)?, faults: Arc::clone(&self.faults) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealFs.remove(path)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        self.faults.health()?;
        RealFs.sync_dir(directory)
    }

    fn space(&self, directory: &Path) -> io::Result<Space> {
        RealFs.space(directory)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn FsFile>,
    faults: Arc<Faults>,
}

impl FsFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.faults.space()?;
        self.file.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn write_vectored_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.faults.health()?;
        if self.faults.strikes(self.faults.odds.full) {
            // A full disk takes a part first.
            let part = parts.first().map_or(&[][..], |part| &part[..part.len() / 2]);
            self.file.write_vectored_at(&[IoSlice::new(part)], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_vectored_at(parts, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    #[expect(clippy::disallowed_methods, reason = "a slow disk blocks its caller")]
    fn sync(&self) -> io::Result<()> {
        if self.faults.strikes(self.faults.odds.slow) {
            std::thread::sleep(Duration::from_millis(30));
        }
        self.faults.health()?;
        self.file.sync()
    }
}
