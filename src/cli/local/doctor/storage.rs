//! Disks and limits: room, rights, the file system, how long a sync takes, memory, open files, the clock.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, FlockOperation, StatVfs, access, flock, statfs, statvfs};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::agent::{Running, Told};
use super::report::Group;
use crate::cli::text::size;
use crate::config::{Config, Surroundings};
use crate::journal::inspect;
use crate::journal::{Durability, LOCK, REJECTED};
use crate::memory::PROGRAM_BYTES;
use crate::time::{Clock as _, SystemClock, UnixNano};

/// What one group of requests writes, about.
const PROBE_BYTES: usize = 64 << 10;
const PROBES: usize = 5;
/// Senders wait for a sync; one that takes longer holds them up.
const SYNC_SLOW: Duration = Duration::from_millis(100);
/// Open files that the agent can need at once.
const FILES_MIN: u64 = 1024;
/// 2026-01-01: no clock is earlier.
const EARLIEST: UnixNano = UnixNano(1_767_225_600_000_000_000);

/// `may_lock`: whether the journal may be taken for a moment, to see that it is free; not where an agent may want it meanwhile.
pub(super) fn look(config: &Config, running: &Running, may_lock: bool, group: &mut Group<'_>) {
    let journal = &config.journal;
    if let Running::Agent(Some(Told { journal: its, .. })) = running
        && !running.has_journal(&journal.directory)
    {
        group.warning(
            "directory",
            format!(
                "the agent that answers has its journal in {}, not in {}",
                its.display(),
                journal.directory.display()
            ),
            "give this command the -c and --set of that agent: the lines below are about another's files",
        );
    }
    if journal.durability == Durability::Memory {
        group.warning(
            "journal",
            "the journal is in memory: what is acknowledged survives no restart",
            "journal.durability: fsync or os",
        );
    } else if let Some(directory) =
        writable("journal", &journal.directory, "journal.directory", group)
    {
        room(config, &directory, group);
        file_system(&directory, group);
        if journal.durability == Durability::Fsync {
            sync(&directory, group);
        }
        if openable("journal", &journal.directory, group) {
            let elsewhere = !running.has_journal(&journal.directory);
            let taken = may_lock && elsewhere && is_taken(&journal.directory, group);
            let nobody = matches!(running, Running::Nobody | Running::Foreign);
            // Where it may not be asked for, an agent may have it that does not answer yet.
            let waits_for_a_start = may_lock && !taken && nobody;
            content(&journal.directory, waits_for_a_start, group);
            rejected(&journal.directory, group);
        }
    }
    if let Some(store) = &config.store
        && writable("metric store", &store.directory, "store.directory", group).is_some()
    {
        openable("metric store", &store.directory, group);
    }
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| of_machine(&text));
    memory(config, &Surroundings::of_process(), machine, group);
    files(getrlimit(Resource::Nofile).maximum, group);
    clock(SystemClock::new().unix_nano(), group);
}

/// Whether files can be made in a directory, or it in what is there of its path; that place.
pub(super) fn writable(
    what: &str,
    directory: &Path,
    option: &str,
    group: &mut Group<'_>,
) -> Option<PathBuf> {
    let shown = directory.display();
    let found = directory.ancestors().find_map(|place| match std::fs::metadata(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        found => Some((place, found)),
    });
    let (there, found) = found.unwrap_or_else(|| (Path::new("."), std::fs::metadata(".")));
    if let Err(error) = &found
        && error.kind() == ErrorKind::PermissionDenied
    {
        let text = format!("{what}: this user may not look into {}", there.display());
        group.failed("directory", text, "run this as the agent's user, or as root");
        return None;
    }
    if !found.is_ok_and(|found| found.is_dir()) {
        let text = format!("{what}: {} is not a directory", there.display());
        group.failed("directory", text, format!("move it away, or set {option}"));
        return None;
    }
    match probe(there) {
        Ok(_) if there == directory => {
            group.passed("directory", format!("{what}: {shown} is writable"))
        }
        Ok(_) => group
            .passed("directory", format!("{what}: {shown} will be made in {}", there.display())),
        Err(error) if is_full(&error) => {
            let text = format!("{what}: nothing can be written to {}: {error}", there.display());
            group.failed("directory", text, MAKE_ROOM);
            return None;
        }
        Err(error) => {
            let text = format!("{what}: this user cannot write to {}: {error}", there.display());
            let help =
                format!("chown it to the agent's user, run this as that user, or set {option}");
            group.failed("directory", text, help);
            return None;
        }
    }
    Some(there.to_owned())
}

/// A file in `directory` that has no name any more.
fn probe(directory: &Path) -> std::io::Result<File> {
    let path = directory.join(format!(".sidelight-doctor-{}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// What the agent does with a file of that name in the directory of its journal or store.
fn needed(name: &str) -> Option<Access> {
    let is_written = |end: &&str| name.ends_with(*end);
    if name == LOCK || [".seg", ".db", ".db-wal", ".db-shm"].iter().any(is_written) {
        return Some(Access::READ_OK | Access::WRITE_OK);
    }
    matches!(name, "admin.token" | "user.key").then_some(Access::READ_OK)
}

/// Whether what stands in a directory can be opened as the agent opens it: an agent that ran as another user may have made it.
fn openable(what: &str, directory: &Path, group: &mut Group<'_>) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return true };
    let refused = entries.flatten().find_map(|entry| {
        let needed = needed(entry.file_name().to_str()?)?;
        match access(entry.path(), needed) {
            // A running agent deleted it meanwhile.
            Ok(()) | Err(Errno::NOENT) => None,
            Err(error) => Some((entry, std::io::Error::from(error))),
        }
    });
    let Some((entry, error)) = refused else { return true };
    let owner = match entry.metadata().map(|found| found.uid()) {
        Ok(0) => ", which is root's".to_owned(),
        Ok(user) => format!(", which is user {user}'s"),
        Err(_) => String::new(),
    };
    let text = format!("{what}: this user cannot open {}{owner}: {error}", entry.path().display());
    let help = format!(
        "chown -R it to the agent's user: {} holds what an agent of another user made",
        directory.display()
    );
    group.failed("files", text, help);
    false
}

impl Running {
    /// Whether the agent that runs has the journal in `directory`, as far as it says.
    fn has_journal(&self, directory: &Path) -> bool {
        match self {
            Self::Agent(Some(told)) => {
                let same = |a: &Path, b: &Path| {
                    a == b || a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
                };
                // Where a relative one is only that agent knows.
                told.journal.is_relative() || same(&told.journal, directory)
            }
            // It answers, and does not say more.
            Self::Agent(None) => true,
            Self::Foreign | Self::Nobody => false,
        }
    }
}

/// Whether the journal is another agent's; says so.
fn is_taken(directory: &Path, group: &mut Group<'_>) -> bool {
    let lock = directory.join(LOCK);
    let taken = File::open(&lock).map(|file| flock(&file, FlockOperation::NonBlockingLockShared));
    let taken = matches!(taken, Ok(Err(Errno::WOULDBLOCK)));
    if taken {
        group.failed(
            "lock",
            format!("the journal in {} is in use by another process", directory.display()),
            format!(
                "stop it (`fuser -v {}` names it), or set journal.directory to another place",
                lock.display()
            ),
        );
    }
    taken
}

fn room(config: &Config, directory: &Path, group: &mut Group<'_>) {
    let Ok(StatVfs { f_bavail, f_blocks, f_frsize, .. }) = statvfs(directory) else { return };
    let (free, total) = (f_bavail * f_frsize, f_blocks * f_frsize);
    let wanted = config.journal.max_size.unwrap_or(512 << 20);
    let spare = total / 20;
    let text = format!("{} free of {} for the journal", size(free), size(total));
    if free <= spare {
        group.failed(
            "room",
            text,
            "the journal leaves the last 5 % alone: free some, or move it (journal.directory)",
        );
    } else if config.journal.max_size.is_some() && free < wanted + spare {
        let help = format!("journal.max_size is {}: lower it, or free some", size(wanted));
        group.warning("room", text, help);
    } else {
        group.passed("room", text);
    }
}

/// File systems on which acknowledged data does not survive, or syncs do not mean what they say. Source: Linux
/// uapi/linux/magic.h.
fn file_system(directory: &Path, group: &mut Group<'_>) {
    let Ok(stat) = statfs(directory) else { return };
    let known = [
        (0x0102_1994, "tmpfs", "it is gone with the machine or the container"),
        (0x8584_58f6, "ramfs", "it is gone with the machine"),
        (0x6969, "NFS", "locks and syncs are the server's: use a local disk"),
        (0xff53_4d42, "CIFS", "locks and syncs are the server's: use a local disk"),
        (0x794c_7630, "overlayfs", "it is gone with the container: mount a volume there"),
    ];
    let magic = u64::try_from(stat.f_type).unwrap_or(0);
    if let Some((_, name, why)) = known.iter().find(|(known, ..)| *known == magic) {
        let help = "put journal.directory on a disk that stays, or say so with journal.durability";
        group.warning("file_system", format!("{} is {name}: {why}", directory.display()), help);
    }
}

/// How long the disk takes to keep a group.
fn sync(directory: &Path, group: &mut Group<'_>) {
    let clock = SystemClock::new();
    let mut took = Vec::with_capacity(PROBES);
    let measured = probe(directory).and_then(|mut file| {
        for _ in 0..PROBES {
            let began = clock.monotonic();
            file.write_all(&[0x5a; PROBE_BYTES])?;
            rustix::fs::fdatasync(&file)?;
            took.push(clock.monotonic().saturating_sub(began));
        }
        Ok(())
    });
    took.sort_unstable();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    match measured {
        Ok(()) if median > SYNC_SLOW => group.warning(
            "sync",
            format!("the disk takes {} ms to sync 64 KiB; senders wait for it", median.as_millis()),
            "a faster disk, or journal.durability: os (survives SIGKILL, not power loss)",
        ),
        Ok(()) => {
            let ms = median.as_secs_f64() * 1e3;
            group.passed("sync", format!("the disk syncs 64 KiB in {ms:.1} ms"));
        }
        Err(error) => {
            let (text, help) = unsynced(&error);
            group.failed("sync", text, help);
        }
    }
}

const MAKE_ROOM: &str =
    "make room on that disk, or lower journal.max_size so that the journal leaves some";

/// Whether nothing but room is missing.
fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Why nothing can be kept on a disk, and what to do.
fn unsynced(error: &std::io::Error) -> (String, &'static str) {
    if is_full(error) {
        (format!("the disk has no room for 64 KiB more: {error}"), MAKE_ROOM)
    } else {
        (format!("the disk cannot sync: {error}"), "see the system's log (dmesg)")
    }
}

/// What stands in the journal. `waits_for_a_start`: whether nobody delivers it, as far as can be seen.
fn content(directory: &Path, waits_for_a_start: bool, group: &mut Group<'_>) {
    if !directory.is_dir() {
        return;
    }
    match inspect::inspect(directory) {
        Ok(found) => {
            let bytes: u64 = found.segments.iter().map(|segment| segment.bytes).sum();
            // Lanes of destinations have a signal in their names.
            let lanes = found.readers.iter().filter(|reader| reader.name.contains(':'));
            let queued: u64 = lanes.map(|reader| reader.queued.items).sum();
            let text = format!(
                "the journal has {} ({} segments), {queued} item{} not delivered",
                size(bytes),
                found.segments.len(),
                if queued == 1 { "" } else { "s" }
            );
            if found.lost_records > 0 || !found.unreadable.is_empty() {
                let files =
                    found.unreadable.iter().map(|file| format!("{} is damaged", file.display()));
                let lost = (found.lost_records > 0)
                    .then(|| format!("{} records cannot be read", found.lost_records));
                let damage: Vec<String> = files.chain(lost).collect();
                let text = format!("{text}; {}", damage.join("; "));
                group.warning(
                    "journal",
                    text,
                    "look at the disk (dmesg, smartctl); the agent goes on without them",
                );
            } else if waits_for_a_start && queued > 0 {
                let text = format!("{text}, and no agent runs that delivers them");
                group.warning("journal", text, START);
            } else {
                group.passed("journal", text);
            }
        }
        Err(error) => {
            let text = crate::telemetry::chain(&error);
            group.failed(
                "journal",
                text,
                "run this as the agent's user; see `sidelight journal stats`",
            );
        }
    }
}

const START: &str =
    "start the agent with this configuration: it goes on where the last one stopped";

/// What destinations refused for good, of earlier runs too: nothing else tells of it after a restart.
fn rejected(directory: &Path, group: &mut Group<'_>) {
    let place = directory.join(REJECTED);
    let help =
        "`sidelight journal rejected ls` says why; `resend` sends them again, `rm` lets them go";
    match inspect::rejected(directory).map(|kept| kept.files.len() + kept.unreadable.len()) {
        Ok(0) => {}
        Ok(1) => {
            let text = format!("1 batch that a destination refused waits in {}", place.display());
            group.warning("rejected", text, help);
        }
        Ok(batches) => {
            let shown = place.display();
            let text = format!("{batches} batches that a destination refused wait in {shown}");
            group.warning("rejected", text, help);
        }
        Err(error) => {
            let text = format!("{} cannot be read: {error}", place.display());
            group.warning("rejected", text, "run this as the agent's user");
        }
    }
}

/// The memory of the machine, in bytes. Source: proc_meminfo(5).
fn of_machine(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.split_ascii_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1 << 10).filter(|total| *total > 0)
}

fn memory(
    config: &Config,
    surroundings: &Surroundings,
    machine: Option<u64>,
    group: &mut Group<'_>,
) {
    const LEAVE_OUT: &str = "lower limits.memory, or leave it out: 128 MiB, or 75 % of the cgroup's limit if that is less";
    let own = config.memory.total as u64;
    if let Some(there) = machine
        && own > there
        && surroundings.memory_limit.is_none_or(|limit| limit > there)
    {
        let text = format!("limits.memory is {}, the machine has {}", size(own), size(there));
        return group.failed("memory", text, LEAVE_OUT);
    }
    match surroundings.memory_limit {
        Some(limit) if own > limit => group.failed(
            "memory",
            format!("limits.memory is {}, the cgroup allows {}", size(own), size(limit)),
            LEAVE_OUT,
        ),
        _ if own < 2 * PROGRAM_BYTES as u64 => group.warning(
            "memory",
            format!("limits.memory is {}, and the program itself takes about 24 MiB", size(own)),
            "give it 64 MiB (of a container's limit it uses 75 %), or keep its senders few",
        ),
        Some(limit) => group.passed(
            "memory",
            format!("limits.memory {} of the cgroup's {}", size(own), size(limit)),
        ),
        None => {
            let of = machine.map_or_else(String::new, |there| format!(" of {}", size(there)));
            let text = format!("limits.memory {}{of}; the cgroup has no limit", size(own));
            group.passed("memory", text);
        }
    }
}

fn files(limit: Option<u64>, group: &mut Group<'_>) {
    match limit {
        Some(limit) if limit < FILES_MIN => group.warning(
            "open_files",
            format!("this user may open {limit} files at once"),
            format!("ulimit -n {FILES_MIN}, or LimitNOFILE={FILES_MIN} in the unit"),
        ),
        limit => {
            let limit = limit.map_or_else(|| "any number of".to_owned(), |limit| limit.to_string());
            group.passed("open_files", format!("{limit} files may be open at once"));
        }
    }
}

fn clock(now: UnixNano, group: &mut Group<'_>) {
    if now < EARLIEST {
        let text = format!("the clock says {}", crate::time::rfc3339(now));
        group.failed(
            "clock",
            text,
            "set it: certificates, ages and rules go by it (timedatectl, chronyc)",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::sync::Arc;

    use super::super::report::{Report, Verdict};
    use super::*;
    use crate::journal::fs::Roomy;
    use crate::journal::{Deps, Journal, ReaderConfig, Rejected, SignalSet, Start, WhenFull};
    use crate::signal::{Flags, Meta, Record, Signal};
    use crate::telemetry::Registry;

    fn looked(look: impl FnOnce(&mut Group<'_>)) -> Vec<(Verdict, &'static str)> {
        let mut report = Report::default();
        look(&mut report.group("storage"));
        for check in &report.checks {
            let wrong = matches!(check.verdict, Verdict::Warning | Verdict::Failed);
            assert_eq!(wrong, check.help.is_some(), "{check:?}");
        }
        report.checks.iter().map(|check| (check.verdict, check.name)).collect()
    }

    #[test]
    fn a_directory_that_is_there_or_can_be_made_passes_and_nothing_stays_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let passed = [(Verdict::Passed, "directory")];
        for path in [directory.path().to_owned(), directory.path().join("a/b")] {
            assert_eq!(looked(|group| drop(writable("x", &path, "o", group))), passed);
        }
        assert_eq!(looked(|group| sync(directory.path(), group)).len(), 1);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let file = directory.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let below = file.join("journal");
        assert_eq!(
            looked(|group| drop(writable("x", &below, "o", group))),
            [(Verdict::Failed, "directory")]
        );
    }

    #[test]
    fn a_file_of_another_user_fails_where_the_directory_is_writable() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in [LOCK, "00000000000000000001.seg", "state.db", "admin.token"] {
            std::fs::write(at(name), "x").unwrap();
        }
        // What the agent does not open.
        symlink("notes", at("notes")).unwrap();
        assert!(looked(|group| assert!(openable("x", directory.path(), group))).is_empty());
        if !rustix::process::geteuid().is_root() {
            let mode = |bits| std::fs::Permissions::from_mode(bits);
            std::fs::set_permissions(at("state.db"), mode(0o400)).unwrap();
            let found = looked(|group| assert!(!openable("x", directory.path(), group)));
            assert_eq!(found, [(Verdict::Failed, "files")]);
            std::fs::set_permissions(at("state.db"), mode(0o600)).unwrap();
        }
        // Nor can root open a link to itself.
        symlink("alerts.db", at("alerts.db")).unwrap();
        let mut report = Report::default();
        assert!(!openable("x", directory.path(), &mut report.group("storage")));
        let check = report.checks.remove(0);
        assert_eq!((check.verdict, check.name), (Verdict::Failed, "files"));
        assert!(check.text.contains("/alerts.db, which is "), "{check:?}");
        assert!(check.help.as_ref().is_some_and(|help| help.starts_with("chown -R")), "{check:?}");
    }

    #[tokio::test]
    async fn a_journal_that_another_agent_has_fails_unless_it_is_the_one_that_answers() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::with_surroundings(&Surroundings::default());
        config.journal.directory = directory.path().to_owned();
        config.journal.max_size = Some(8 << 20);
        config.store = None;
        let fails = |running: &Running, may_lock| {
            let found = looked(|group| look(&config, running, may_lock, group));
            found.contains(&(Verdict::Failed, "lock"))
        };
        assert!(!fails(&Running::Nobody, true), "nobody has it");
        let deps = Deps {
            fs: Arc::new(Roomy),
            clock: Arc::new(SystemClock::new()),
            registry: Registry::default(),
        };
        let (journal, _) = Journal::open(config.journal.clone(), Vec::new(), deps).unwrap();
        let agent = |journal: &Path| {
            Running::Agent(Some(Told { listeners: Vec::new(), journal: journal.to_owned() }))
        };
        for (running, may_lock, wanted) in [
            (Running::Nobody, true, true),
            (Running::Foreign, true, true),
            (agent(Path::new("/elsewhere")), true, true),
            (agent(directory.path()), true, false),
            (Running::Agent(None), true, false),
            // An agent that is waited for may want it.
            (Running::Nobody, false, false),
        ] {
            assert_eq!(fails(&running, may_lock), wanted, "{running:?} {may_lock}");
        }
        let warned = |running: &Running| {
            let found = looked(|group| look(&config, running, false, group));
            found.contains(&(Verdict::Warning, "directory"))
        };
        assert!(warned(&agent(Path::new("/elsewhere"))), "another configuration was meant");
        assert!(!warned(&agent(directory.path())) && !warned(&Running::Nobody));
        journal.close().await;
    }

    #[test]
    fn limits_below_what_the_agent_needs_are_said() {
        let mut config = Config::with_surroundings(&Surroundings::default());
        let found = |config: &Config, limit, machine| {
            let around = Surroundings { memory_limit: limit, ..Surroundings::default() };
            looked(|group| memory(config, &around, machine, group))
        };
        let passed = [(Verdict::Passed, "memory")];
        let (gib, failed) = (Some(1 << 30), [(Verdict::Failed, "memory")]);
        assert_eq!(found(&config, None, None), passed);
        assert_eq!(found(&config, gib, None), passed);
        config.memory = crate::memory::Budget::split(32 << 20);
        assert_eq!(found(&config, gib, gib), [(Verdict::Warning, "memory")]);
        config.memory = crate::memory::Budget::split(256 << 20);
        assert_eq!(found(&config, Some(128 << 20), gib), failed);
        // More than there is at all, whatever the cgroup says.
        config.memory = crate::memory::Budget::split(40 << 30);
        assert_eq!(found(&config, None, None), passed);
        assert_eq!(found(&config, None, Some(24 << 30)), failed);
        assert_eq!(found(&config, Some(64 << 30), Some(24 << 30)), failed);
        assert_eq!(
            of_machine("MemTotal:       24737380 kB\nMemFree: 1 kB\n"),
            Some(24_737_380 << 10)
        );
        assert_eq!(of_machine("MemTotal: 0 kB"), None);
        assert_eq!(looked(|group| files(Some(256), group)), [(Verdict::Warning, "open_files")]);
        assert_eq!(looked(|group| files(None, group)), [(Verdict::Passed, "open_files")]);
        assert_eq!(looked(|group| clock(UnixNano(0), group)), [(Verdict::Failed, "clock")]);
    }

    #[test]
    fn where_there_is_no_room_the_cure_is_room() {
        let of = |errno: Errno| unsynced(&errno.into());
        for full in [Errno::NOSPC, Errno::DQUOT] {
            let (text, help) = of(full);
            assert!(text.starts_with("the disk has no room for 64 KiB more: "), "{text}");
            assert!(help.contains("journal.max_size"), "{help}");
        }
        let (text, help) = of(Errno::IO);
        assert!(text.starts_with("the disk cannot sync: ") && help.contains("dmesg"), "{text}");
    }

    #[tokio::test]
    async fn what_waits_for_a_start_and_what_destinations_refused_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::with_surroundings(&Surroundings::default());
        config.journal.directory = directory.path().to_owned();
        config.journal.max_size = Some(8 << 20);
        config.store = None;
        let deps = Deps {
            fs: Arc::new(Roomy),
            clock: Arc::new(SystemClock::new()),
            registry: Registry::default(),
        };
        let lane = ReaderConfig {
            name: "otlp_http/b:logs".to_owned(),
            signals: SignalSet::only(Signal::Logs),
            durable: true,
            start: Start::Oldest,
            when_full: WhenFull::Reject,
        };
        let (journal, _) = Journal::open(config.journal.clone(), vec![lane], deps).unwrap();
        let of = |name: &str, running: &Running| {
            let mut report = Report::default();
            look(&config, running, true, &mut report.group("storage"));
            report.checks.into_iter().find(|check| check.name == name)
        };
        let nobody = &Running::Nobody;
        assert_eq!(of("rejected", nobody), None);
        let payload = bytes::Bytes::from_static(&[0x0a, 0x00]);
        let (flags, meta) = (Flags::default(), Meta::default());
        let record = Record { signal: Signal::Logs, items: 5, flags, meta, payload };
        journal.append(record.clone()).await.unwrap();
        for (seq, said) in [(1, "1 batch that a destination refused waits in "), (2, "2 batches ")]
        {
            let (exporter, status) = ("otlp_http/b".to_owned(), "400: no".to_owned());
            let at = UnixNano(5);
            journal.keep_rejected(&Rejected { exporter, status, seq, at, record: record.clone() });
            let check = of("rejected", nobody).unwrap();
            assert!(check.verdict == Verdict::Warning && check.text.starts_with(said), "{check:?}");
            assert!(check.text.ends_with("/rejected"), "{check:?}");
            assert!(check.help.unwrap().contains("sidelight journal rejected ls"));
        }
        // Somebody has it, and will deliver it.
        assert_eq!(of("journal", nobody).unwrap().verdict, Verdict::Passed);
        journal.close().await;
        let check = of("journal", nobody).unwrap();
        assert_eq!(check.verdict, Verdict::Warning, "{check:?}");
        assert!(check.text.contains("5 items not delivered, and no agent runs"), "{check:?}");
        assert!(check.help.unwrap().starts_with("start the agent"));
        assert_eq!(of("journal", &Running::Agent(None)).unwrap().verdict, Verdict::Passed);
    }

    #[test]
    fn a_journal_in_memory_is_a_warning() {
        let mut config = Config::with_surroundings(&Surroundings::default());
        config.journal.durability = Durability::Memory;
        config.store = None;
        assert_eq!(
            looked(|group| look(&config, &Running::Nobody, true, group)).first(),
            Some(&(Verdict::Warning, "journal"))
        );
    }
}
