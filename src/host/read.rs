//! [`Root`]: where the files of the kernel are. [`Reading`]: what they said at one instant.
//!
//! A file that is not there, is too large or says something else gives `None`, never an error.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cgroup::Cgroup;
use super::proc::{Cpu, Disk, Interface, Memory, Mount, Process, Space};

/// The most of a file that is looked at. What is longer is cut.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// The directory that holds `proc` and `sys`.
#[derive(Clone)]
pub struct Root {
    directory: PathBuf,
    space: Arc<Space>,
    /// What the kernel counts processor time in, per second.
    ticks_per_second: f64,
    page_bytes: u64,
}

/// What was read at one instant; `None` where a source cannot be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    pub(super) host_name: String,
    pub(super) cpu: Option<Cpu>,
    pub(super) memory: Option<Memory>,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) process: Option<Process>,
    pub(super) mounts: Option<Vec<Mount>>,
    pub(super) disks: Option<Vec<Disk>>,
    pub(super) interfaces: Option<Vec<Interface>>,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Root {
    /// This machine's.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let space = |path: &Path| {
            let stat = rustix::fs::statvfs(path).ok()?;
            Some((stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize))
        };
        #[expect(clippy::cast_precision_loss, reason = "100 on every machine that is")]
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        let page_bytes = rustix::param::page_size() as u64;
        Self { directory: "/".into(), space: Arc::new(space), ticks_per_second, page_bytes }
    }

    /// Another directory, with 100 ticks per second and pages of 4 KiB.
    #[cfg(test)]
    pub(super) fn at(
        directory: &Path,
        space: impl Fn(&Path) -> Option<(u64, u64)> + Send + Sync + 'static,
    ) -> Self {
        let directory = directory.to_owned();
        Self { directory, space: Arc::new(space), ticks_per_second: 100.0, page_bytes: 4_096 }
    }

    /// The name of the machine or the container. Blocks.
    #[must_use]
    pub fn host_name(&self) -> String {
        self.text("proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
    }

    /// Reads everything once. Blocks.
    #[must_use]
    pub fn read(&self) -> Reading {
        let text = |path: &str| self.text(path);
        let ticks = self.ticks_per_second;
        Reading {
            host_name: self.host_name(),
            cpu: text("proc/stat").and_then(|stat| Cpu::parse(&stat, ticks)),
            memory: text("proc/meminfo").and_then(|info| Memory::parse(&info)),
            cgroup: text("proc/self/cgroup").and_then(|lines| Cgroup::read(&lines, &text)),
            process: text("proc/self/stat")
                .and_then(|stat| Process::parse(&stat, ticks, self.page_bytes))
                .map(|process| Process { files: self.files(), ..process }),
            mounts: text("proc/self/mounts").map(|mounts| Mount::all(&mounts, &*self.space)),
            disks: text("proc/diskstats").map(|stats| Disk::all(&stats)),
            interfaces: text("proc/net/dev").map(|lines| Interface::all(&lines)),
        }
    }

    fn text(&self, path: &str) -> Option<String> {
        let file = std::fs::File::open(self.directory.join(path)).ok()?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn files(&self) -> Option<u64> {
        let open = std::fs::read_dir(self.directory.join("proc/self/fd")).ok()?.count();
        // One of them is the directory being read.
        Some((open as u64).saturating_sub(1))
    }
}
