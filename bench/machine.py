"""What the numbers depend on beside the programs: processors, their load, the disk."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

LOAD_MAX = 0.5
SYNCS = 40
SYNC_BYTES = 64 * 1024


@dataclass(frozen=True)
class Cores:
    """Which processors are whose; where a machine has one, or pinning is not allowed, they are shared."""

    measured: frozenset[int]
    others: frozenset[int]

    @classmethod
    def split(cls, count: int) -> Cores:
        allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else [0]
        if len(allowed) <= count:
            return cls(frozenset(allowed), frozenset(allowed))
        return cls(frozenset(allowed[:count]), frozenset(allowed[count:]))

    @property
    def apart(self) -> bool:
        return not self.measured & self.others


def load_average() -> float:
    return os.getloadavg()[0]


def processor_ticks() -> tuple[int, int]:
    """All ticks since boot, and those that the hypervisor gave to others."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields), fields[7]


def describe(cores: Cores, directory: Path) -> dict:
    sync = sync_milliseconds(directory)
    return {
        "processor": processor_model(),
        "processors": os.cpu_count(),
        "measured_on": sorted(cores.measured),
        "others_on": sorted(cores.others),
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": round(load_average(), 2),
        "filesystem": filesystem(directory),
        "fdatasync_64kib_ms": sync,
    }


def warnings(facts: dict, cores: Cores) -> list[str]:
    found = []
    if facts["load_average"] > LOAD_MAX:
        found.append(f"load average {facts['load_average']} (above {LOAD_MAX}): other work takes part in every time below")
    if not cores.apart:
        found.append("the measured program shares its processors with generator and sink")
    if facts["filesystem"] in ("tmpfs", "ramfs"):
        found.append(f"the directory is {facts['filesystem']}: a sync costs nothing there; choose another with --directory")
    return found


def processor_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def filesystem(directory: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    inside = [(len(at), kind) for at, kind in mounts if directory.resolve().is_relative_to(at)]
    return max(inside, default=(0, "unknown"))[1]


def sync_milliseconds(directory: Path) -> dict:
    """How long the disk takes to make 64 KiB durable: below it no acknowledgement in mode fsync can be."""
    path, times = directory / "sync", []
    with open(path, "wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(b"\0" * SYNC_BYTES)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1e3)
    path.unlink()
    times.sort()
    return {"p50": round(times[SYNCS // 2], 2), "max": round(times[-1], 2)}
