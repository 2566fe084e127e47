//! What the process finds around it: variables, the memory limit of its cgroup, its directories.
//!
//! Source: Linux admin guide, cgroup v1 memory and cgroup v2; XDG Base Directory Specification;
//! systemd.exec (`STATE_DIRECTORY`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::yaml::{Finding, SourceKind, Sources, Span};

/// The most memory that is used unless configured.
const MEMORY_DEFAULT: u64 = 128 << 20;
/// In Kubernetes from the downward API (`limits.memory`).
const MEMORY_LIMIT: &str = "SIDELIGHT_MEMORY_LIMIT";

/// What the process finds around it.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environment variables that are UTF-8.
    pub variables: BTreeMap<String, String>,
    /// The smallest memory limit of the cgroups that the process is in, in bytes.
    pub memory_limit: Option<u64>,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let variables = variables_of_process();
        let cgroup = cgroup_memory_limit(|path| std::fs::read_to_string(path).ok());
        let memory_limit = cgroup.into_iter().chain(told_memory_limit(&variables)).min();
        Self { variables, memory_limit }
    }

    /// What a variable says that is not understood, and so not heeded.
    pub(super) fn misread(&self, sources: &mut Sources) -> Option<Finding> {
        let value = self.variables.get(MEMORY_LIMIT)?;
        // Without a limit it is empty or 0.
        if value.trim().is_empty() || value.trim().parse::<u64>().is_ok() {
            return None;
        }
        let text = format!("{MEMORY_LIMIT}={value}");
        let source = sources.add(SourceKind::Environment, MEMORY_LIMIT, text);
        let length = value.chars().count();
        let span = Span { source, line: 1, column: MEMORY_LIMIT.len() + 2, length };
        let message = format!("`{MEMORY_LIMIT}` is not a number of bytes: it is left out");
        let help = "write the limit in bytes without a unit, for example `134217728`";
        Some(Finding::warning(span, message).help(help))
    }

    /// The default of `limits.memory`: min(128 MiB, 75 % of the cgroup's limit), in bytes.
    #[must_use]
    pub fn memory_default(&self) -> u64 {
        self.memory_limit.map_or(MEMORY_DEFAULT, |limit| MEMORY_DEFAULT.min(limit / 4 * 3))
    }

    /// The default of `journal.directory`.
    #[must_use]
    pub fn journal_directory(&self) -> PathBuf {
        let absolute = |name: &str| {
            let value = self.variables.get(name)?;
            // systemd separates several state directories by colons.
            let first = value.split(':').next().map(PathBuf::from)?;
            first.is_absolute().then_some(first)
        };
        let state = absolute("STATE_DIRECTORY")
            .or_else(|| Some(absolute("XDG_STATE_HOME")?.join("sidelight")))
            .or_else(|| Some(absolute("HOME")?.join(".local/state/sidelight")))
            .unwrap_or_else(|| PathBuf::from("/var/lib/sidelight"));
        state.join("journal")
    }
}

/// The limit of the container as its orchestrator says it, in bytes: for where the cgroup cannot be read.
fn told_memory_limit(variables: &BTreeMap<String, String>) -> Option<u64> {
    variables.get(MEMORY_LIMIT)?.trim().parse().ok().filter(|&limit| limit > 0)
}

/// The smallest memory limit of the process's cgroup and those above it, v2 or v1, in bytes.
fn cgroup_memory_limit(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let memberships = read(Path::new("/proc/self/cgroup"))?;
    let mut limits = Vec::new();
    for line in memberships.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (mount, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            all if all.split(',').any(|c| c == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // In a container the path may be the host's: then only the mount itself is there.
        for above in Path::new(path.trim_start_matches('/')).ancestors() {
            limits.push(read(&Path::new(mount).join(above).join(file)));
        }
    }
    // Without a limit v2 says `max`; v1 says the largest page-aligned i64.
    let bytes = |text: String| text.trim().parse().ok().filter(|&limit: &u64| limit < 1 << 60);
    limits.into_iter().flatten().filter_map(bytes).min()
}

/// The environment variables that are UTF-8.
fn variables_of_process() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(files: &[(&str, &str)]) -> Option<u64> {
        cgroup_memory_limit(|path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn the_smallest_limit_of_a_v2_cgroup_and_those_above_holds() {
        let files = [
            ("/proc/self/cgroup", "0::/kubepods/pod1/c1\n"),
            ("/sys/fs/cgroup/kubepods/pod1/c1/memory.max", "max\n"),
            ("/sys/fs/cgroup/kubepods/pod1/memory.max", "67108864\n"),
            ("/sys/fs/cgroup/kubepods/memory.max", "1073741824\n"),
        ];
        assert_eq!(limit(&files), Some(64 << 20));
    }

    #[test]
    fn a_v1_cgroup_in_a_container_is_read_at_its_mount() {
        let files = [
            ("/proc/self/cgroup", "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n"),
        ];
        assert_eq!(limit(&files), Some(128 << 20));
    }

    #[test]
    fn the_orchestrator_may_say_the_limit() {
        let told =
            |value: &str| told_memory_limit(&[(MEMORY_LIMIT.to_owned(), value.to_owned())].into());
        assert_eq!(told("134217728"), Some(128 << 20));
        assert_eq!((told("0"), told("128Mi")), (None, None));
    }

    #[test]
    fn no_limit_is_no_limit() {
        let v1 = [
            ("/proc/self/cgroup", "4:memory:/\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(limit(&v1), None);
        assert_eq!(limit(&[("/proc/self/cgroup", "0::/\n")]), None);
        assert_eq!(limit(&[]), None);
    }

    #[test]
    fn memory_is_three_quarters_of_a_small_cgroup() {
        let small = Surroundings { memory_limit: Some(64 << 20), ..Surroundings::default() };
        assert_eq!(small.memory_default(), 48 << 20);
        assert_eq!(Surroundings::default().memory_default(), 128 << 20);
    }

    #[test]
    fn the_journal_stands_in_the_state_directory() {
        let with = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let surroundings = Surroundings { variables: pairs.collect(), memory_limit: None };
            surroundings.journal_directory().display().to_string()
        };
        assert_eq!(with(&[("STATE_DIRECTORY", "/a:/b"), ("HOME", "/h")]), "/a/journal");
        assert_eq!(with(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")]), "/x/sidelight/journal");
        let relative = with(&[("XDG_STATE_HOME", "x"), ("HOME", "/h")]);
        assert_eq!(relative, "/h/.local/state/sidelight/journal");
        assert_eq!(with(&[]), "/var/lib/sidelight/journal");
    }
}
