//! A disk for tests, so that how full the machine's own is changes nothing.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Fs, FsFile, RealFs, Space};

/// The real disk, of which most is free, whatever else is on it.
#[derive(Debug)]
pub struct Roomy;

impl Fs for Roomy {
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
        RealFs.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        RealFs.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealFs.remove(path)
    }
    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        RealFs.sync_dir(directory)
    }
    fn space(&self, _: &Path) -> io::Result<Space> {
        Ok(Space { total: 1 << 40, free: 1 << 39 })
    }
}
