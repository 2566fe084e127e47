//! The limits of the container, and what it uses of them: cgroups v2, and v1 where those are not.
//!
//! A limit may stand at the process's own group or at any above it; the least holds, and what is used is what all within that
//! group use: that is what the kernel throttles and kills by. Inside a container the path of
//! /proc/self/cgroup is often one of the host, so the root of the hierarchy is looked at as well.
//! Source: cgroups(7), kernel documentation "cgroup-v2" and "cgroup-v1/cpuacct, memory".

/// What a container may use and does; `None` without a limit or when it cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cgroup {
    /// Processors, not always a whole number.
    pub(super) cpu_limit: Option<f64>,
    /// Processor time since the group was made.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) memory_limit: Option<u64>,
    /// Without what the kernel gives back when it needs room.
    pub(super) memory_used: Option<u64>,
}

/// Limits beyond it say that there is none: v1 has no word for that.
const MEMORY_UNLIMITED: u64 = 1 << 60;
/// Groups looked at from the process's own upwards.
const DEPTH_MAX: usize = 16;

type Text<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Cgroup {
    /// `lines` are those of /proc/self/cgroup.
    pub(super) fn read(lines: &str, text: Text<'_>) -> Option<Self> {
        let group = |wanted: &str| {
            lines.lines().find_map(|line| {
                let mut parts = line.splitn(3, ':');
                let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
                let found = controllers.split(',').any(|name| name == wanted);
                found.then(|| ancestors(path))
            })
        };
        let second = group("").and_then(|paths| Self::second(&paths, text));
        second.or_else(|| Self::first(&group, text))
    }

    fn second(paths: &[String], text: Text<'_>) -> Option<Self> {
        let at = |path: &str, file: &str| text(&format!("sys/fs/cgroup{path}/{file}"));
        let cpu = least(paths, |path| {
            let max = at(path, "cpu.max")?;
            let (quota, period) = max.trim().split_once(' ')?;
            quotient(quota, period)
        });
        let memory = least(paths, |path| bytes(&at(path, "memory.max")?));
        // Without a controller its files are missing, but for this one.
        let stat = from(cpu, paths, |path| at(path, "cpu.stat"))?;
        let used = |path: &str| {
            let current = bytes(&at(path, "memory.current")?)?;
            let idle = at(path, "memory.stat").and_then(|stat| field(&stat, "inactive_file"));
            Some(current.saturating_sub(idle.unwrap_or(0)))
        };
        Some(Self {
            cpu_limit: cpu.map(|(limit, _)| limit),
            cpu_seconds: field(&stat, "usage_usec").map(|micros| precise(micros) / 1e6),
            memory_limit: memory.map(|(limit, _)| limit),
            memory_used: from(memory, paths, used),
        })
    }

    fn first(group: &dyn Fn(&str) -> Option<Vec<String>>, text: Text<'_>) -> Option<Self> {
        let of = |controller| group(controller).unwrap_or_default();
        let (cpus, usage, memories) = (of("cpu"), of("cpuacct"), of("memory"));
        let at = |controllers: &[&str], path: &str, file: &str| {
            controllers.iter().find_map(|name| text(&format!("sys/fs/cgroup/{name}{path}/{file}")))
        };
        let cpu = least(&cpus, |path| {
            let [quota, period] = ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
                .map(|file| at(&["cpu", "cpu,cpuacct"], path, file));
            quotient(&quota?, &period?)
        });
        let nanos = |path: &str| {
            let nanos = at(&["cpuacct", "cpu,cpuacct"], path, "cpuacct.usage")?;
            nanos.trim().parse::<f64>().ok()
        };
        let at = |path: &str, file: &str| at(&["memory"], path, file);
        let memory = least(&memories, |path| bytes(&at(path, "memory.limit_in_bytes")?));
        let used = |path: &str| {
            let current = bytes(&at(path, "memory.usage_in_bytes")?)?;
            let idle = at(path, "memory.stat").and_then(|stat| field(&stat, "total_inactive_file"));
            Some(current.saturating_sub(idle.unwrap_or(0)))
        };
        let cgroup = Self {
            cpu_limit: cpu.map(|(limit, _)| limit),
            cpu_seconds: from(cpu, &usage, nanos).map(|nanos| nanos / 1e9),
            memory_limit: memory.map(|(limit, _)| limit),
            memory_used: from(memory, &memories, used),
        };
        (cgroup != Self::default()).then_some(cgroup)
    }
}

/// The least limit, and the path of its group; of equal ones that of the highest, in which most is.
fn least<T: PartialOrd>(paths: &[String], limit: impl Fn(&str) -> Option<T>) -> Option<(T, &str)> {
    let limits = paths.iter().filter_map(|path| Some((limit(path)?, &**path)));
    limits.reduce(|least, other| if other.0 <= least.0 { other } else { least })
}

/// What `read` finds at the group with the limit; where that says nothing, or there is none, at the process's own.
fn from<L, T>(
    limit: Option<(L, &str)>,
    paths: &[String],
    read: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let at_limit = limit.and_then(|(_, path)| read(path));
    at_limit.or_else(|| paths.iter().find_map(|path| read(path)))
}

/// The group, those above it, and the root as the empty path.
fn ancestors(path: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut rest = path.trim_end_matches('/');
    // A path that leads elsewhere is the host's business.
    while !rest.is_empty() && paths.len() < DEPTH_MAX && !rest.contains("..") {
        paths.push(rest.to_owned());
        rest = rest.rsplit_once('/').map_or("", |(above, _)| above);
    }
    paths.push(String::new());
    paths
}

fn quotient(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period).filter(|limit| limit.is_finite())
}

fn bytes(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < MEMORY_UNLIMITED)
}

/// The number after a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "a display value below 2^53")]
const fn precise(number: u64) -> f64 {
    number as f64
}
