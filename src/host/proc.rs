//! Files of /proc, parsed. Pure: what does not look as expected is `None` or left out.

use std::path::Path;

use super::{DEVICES_MAX, MOUNTS_MAX};

/// How full a file system is: its size, and what is free for anyone, in bytes.
pub(super) type Space = dyn Fn(&Path) -> Option<(u64, u64)> + Send + Sync;

/// Processor time of the machine since it started, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cpu {
    /// By mode, in the order of [`Cpu::MODES`].
    pub(super) seconds: [f64; 7],
    /// Logical processors.
    pub(super) count: u64,
}

impl Cpu {
    pub(super) const MODES: [&'static str; 7] =
        ["user", "nice", "system", "idle", "iowait", "interrupt", "steal"];

    pub(super) fn parse(stat: &str, ticks_per_second: f64) -> Option<Self> {
        let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<f64> = numbers(all).collect();
        let at = |index: usize| ticks.get(index).copied();
        let mut cpu = Self::default();
        let [user, nice, system, idle, iowait, interrupt, steal] = &mut cpu.seconds;
        (*user, *nice, *system, *idle) = (at(0)?, at(1)?, at(2)?, at(3)?);
        // Later kernels have more; hard and soft interrupts are one mode.
        *iowait = at(4).unwrap_or(0.0);
        *interrupt = at(5).unwrap_or(0.0) + at(6).unwrap_or(0.0);
        *steal = at(7).unwrap_or(0.0);
        cpu.seconds.iter_mut().for_each(|ticks| *ticks /= ticks_per_second);
        let is_one = |line: &&str| {
            line.strip_prefix("cpu")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        cpu.count = stat.lines().filter(is_one).count() as u64;
        Some(cpu)
    }

    /// Seconds in which a processor did something.
    pub(super) fn busy(&self) -> f64 {
        self.all() - self.idle()
    }

    pub(super) fn all(&self) -> f64 {
        self.seconds.iter().sum()
    }

    fn idle(&self) -> f64 {
        let [_, _, _, idle, iowait, ..] = self.seconds;
        idle + iowait
    }
}

/// Memory of the machine in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) total: u64,
    pub(super) free: u64,
    pub(super) buffers: u64,
    pub(super) cached: u64,
    /// What can be had without swapping.
    pub(super) available: u64,
}

impl Memory {
    pub(super) fn parse(info: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
            kib.checked_mul(1 << 10)
        };
        let (total, free) = (field("MemTotal").filter(|total| *total > 0)?, field("MemFree")?);
        let buffers = field("Buffers").unwrap_or(0);
        let cached = field("Cached")?.saturating_add(field("SReclaimable").unwrap_or(0));
        let unused = free.saturating_add(buffers).saturating_add(cached);
        let available = field("MemAvailable").unwrap_or(unused).min(total);
        Some(Self { total, free, buffers, cached, available })
    }
}

/// The agent itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) user_seconds: f64,
    pub(super) system_seconds: f64,
    pub(super) rss_bytes: u64,
    pub(super) threads: u64,
    pub(super) files: Option<u64>,
}

impl Process {
    pub(super) fn parse(stat: &str, ticks_per_second: f64, page_bytes: u64) -> Option<Self> {
        // The command's name, in parentheses, may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<f64>().ok();
        let whole = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            user_seconds: number(11)? / ticks_per_second,
            system_seconds: number(12)? / ticks_per_second,
            threads: whole(17)?,
            rss_bytes: whole(21)?.saturating_mul(page_bytes),
            files: None,
        })
    }
}

/// A file system on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) device: String,
    pub(super) place: String,
    pub(super) kind: String,
    pub(super) total: u64,
    pub(super) free: u64,
}

impl Mount {
    /// Those on disks of this machine. A file system of the network may not answer for minutes, so none is asked.
    const KINDS: [&'static str; 10] =
        ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "vfat", "overlay"];

    pub(super) fn all(mounts: &str, space: &Space) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for line in mounts.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(device), Some(place), Some(kind)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            if !Self::KINDS.contains(&kind) {
                continue;
            }
            let (device, place) = (unescaped(device), unescaped(place));
            // A device is one file system wherever it is bound; an overlay is known by its place alone.
            if kind != "overlay"
                && let Some(known) = found.iter_mut().find(|known| known.device == device)
            {
                if place.len() < known.place.len() {
                    known.place = place;
                }
                continue;
            }
            // Each container of a machine has an overlay; only the agent's own is its business.
            let foreign = kind == "overlay" && place != "/";
            if found.len() < MOUNTS_MAX && !foreign {
                found.push(Self { device, place, kind: kind.to_owned(), total: 0, free: 0 });
            }
        }
        found.retain_mut(|mount| {
            let Some((total, free)) = space(Path::new(&mount.place)) else { return false };
            (mount.total, mount.free) = (total, free.min(total));
            total > 0
        });
        found
    }
}

/// `\040` and the like, as the kernel writes blanks in mounts.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.split_first_chunk::<3>().filter(|_| first == b'\\');
        let code = octal.and_then(|(digits, _)| std::str::from_utf8(digits).ok());
        match (code.and_then(|digits| u8::from_str_radix(digits, 8).ok()), octal) {
            (Some(byte), Some((_, after))) => {
                bytes.push(byte);
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a whole disk did since the machine started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) device: String,
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
    pub(super) reads: u64,
    pub(super) writes: u64,
}

impl Disk {
    /// A sector in this file, whatever the disk's are.
    const SECTOR: u64 = 512;

    /// Disks that did anything; of loop and memory devices there may be hundreds.
    pub(super) fn all(stats: &str) -> Vec<Self> {
        let disk = |line: &str| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let device = (*words.get(2)?).to_owned();
            let number = |index: usize| words.get(index)?.parse::<u64>().ok();
            let bytes = |index: usize| Some(number(index)?.saturating_mul(Self::SECTOR));
            let (reads, writes) = (number(3)?, number(7)?);
            let (read_bytes, written_bytes) = (bytes(5)?, bytes(9)?);
            let virtual_one =
                ["loop", "ram", "zram", "fd", "sr"].iter().any(|p| device.starts_with(p));
            (!virtual_one && reads.saturating_add(writes) > 0).then_some(Self {
                device,
                read_bytes,
                written_bytes,
                reads,
                writes,
            })
        };
        let mut found: Vec<Self> = Vec::new();
        for disk in stats.lines().filter_map(disk) {
            // A partition follows its disk, whose numbers include it.
            let part = found.iter().any(|whole| is_part(&disk.device, &whole.device));
            if !part && found.len() < DEVICES_MAX {
                found.push(disk);
            }
        }
        found
    }
}

/// `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`.
fn is_part(device: &str, whole: &str) -> bool {
    let Some(rest) = device.strip_prefix(whole) else { return false };
    let rest = if whole.ends_with(|c: char| c.is_ascii_digit()) {
        rest.strip_prefix('p').unwrap_or("")
    } else {
        rest
    };
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
}

/// How interfaces between containers and their host begin: what passes them passes another, too, and each container brings
/// one with a new name.
const INNER: [&str; 7] = ["veth", "br-", "docker", "cni", "cali", "flannel", "virbr"];

/// What a network interface did since the machine started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
    pub(super) received_packets: u64,
    pub(super) sent_packets: u64,
    pub(super) receive_errors: u64,
    pub(super) send_errors: u64,
}

impl Interface {
    pub(super) fn all(lines: &str) -> Vec<Self> {
        let interface = |line: &str| {
            let (name, counts) = line.rsplit_once(':')?;
            let counts: Vec<&str> = counts.split_ascii_whitespace().collect();
            let number = |index: usize| counts.get(index)?.parse::<u64>().ok();
            let name = name.trim().to_owned();
            let counts_twice = INNER.iter().any(|beginning| name.starts_with(beginning));
            (name != "lo" && !counts_twice).then_some(())?;
            Some(Self {
                name,
                received_bytes: number(0)?,
                received_packets: number(1)?,
                receive_errors: number(2)?,
                sent_bytes: number(8)?,
                sent_packets: number(9)?,
                send_errors: number(10)?,
            })
        };
        lines.lines().filter_map(interface).take(DEVICES_MAX).collect()
    }
}

/// The numbers of a line, up to what is none.
fn numbers(line: &str) -> impl Iterator<Item = f64> {
    let finite = |word: &str| word.parse::<f64>().ok().filter(|number| number.is_finite());
    line.split_ascii_whitespace().map_while(finite)
}
