"""Child processes: where they run, what they say on standard error, what they use."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.1
TAIL_LINES = 8
TAIL_COLUMNS = 600
# More than ticks differ by, for a process of some threads.
EXACT_MISSES_MAX = 0.05
READY_SECONDS = 20.0
STOP_SECONDS = 20.0


class Unready(Exception):
    """A program did not start, or ended when it should not."""


class Process:
    """A child, pinned to `cores` from its first instruction: runtimes count processors when they start."""

    def __init__(self, name: str, command: list[str], cores: frozenset[int], output: Path | None = None) -> None:
        self.name, self.command, self.output = name, command, output
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._lines_seen = None
        mine = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
        stdout = open(output, "wb") if output else subprocess.DEVNULL
        try:
            if mine is not None:
                os.sched_setaffinity(0, cores)
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                env=environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise Unready(f"cannot start {name}: {error}") from error
        finally:
            if mine is not None:
                os.sched_setaffinity(0, mine)
            if output:
                stdout.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.child.pid

    def on_line(self, seen) -> None:
        self._lines_seen = seen

    def _read(self) -> None:
        for raw in self.child.stderr:
            line = raw.decode(errors="replace").rstrip()
            self.tail.append(line[:TAIL_COLUMNS])
            if self._lines_seen:
                self._lines_seen(line)

    def running(self) -> bool:
        return self.child.poll() is None

    def complaint(self, what: str) -> Unready:
        status = self.child.poll()
        ended = "" if status is None else f" (ended with {status})"
        self._reader.join(timeout=0.5)
        said = "\n".join(f"    {line}" for line in self.tail) or "    (nothing on standard error)"
        return Unready(f"{self.name} {what}{ended}; the end of what it said:\n{said}")

    def wait_for_ports(self, ports: list[int]) -> None:
        end = time.monotonic() + READY_SECONDS
        for port in ports:
            while not listens(port):
                if not self.running():
                    raise self.complaint("did not start")
                if time.monotonic() > end:
                    raise self.complaint(f"does not listen on port {port} after {READY_SECONDS:.0f} s")
                time.sleep(0.02)
        # Whoever had the port before would answer as well.
        if not self.running():
            raise self.complaint("did not start")

    def wait(self, seconds: float) -> int:
        try:
            return self.child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise self.complaint(f"does not end within {seconds:.0f} s") from None

    def stop(self) -> None:
        """SIGINT, then SIGKILL, to it and what it started. Does nothing to one that has ended.

        Not SIGTERM: after it the agent goes on taking for some seconds what the services beside it still have to say.
        """
        for number, patience in ((signal.SIGINT, STOP_SECONDS), (signal.SIGKILL, 5.0)):
            if not self.running():
                break
            try:
                os.killpg(self.pid, number)
                self.child.wait(timeout=patience)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self._reader.join(timeout=1)

    def json(self) -> dict:
        try:
            return json.loads(self.output.read_text())
        except (OSError, ValueError):
            raise self.complaint("did not write its account") from None


def environment() -> dict[str, str]:
    """Without what would change a program behind its configuration's back."""
    inherited = ("OTEL_", "SIDELIGHT_", "RUST_LOG", "STATE_DIRECTORY", "CONFIGURATION_DIRECTORY", "NOTIFY_SOCKET")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(inherited)}
    return kept | {"NO_COLOR": "1"}


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Different ones: all are held until the last is known."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@dataclass(frozen=True)
class Cpu:
    """Seconds of processor time since the start: in ticks, and exactly but for threads that ended between two looks."""

    user: float
    system: float
    exact: float

    def since(self, before: Cpu) -> tuple[float, float]:
        """User and system, of the time between."""
        user, system, exact = self.user - before.user, self.system - before.system, self.exact - before.exact
        ticks = user + system
        if exact < ticks - EXACT_MISSES_MAX:
            return user, system
        part = user / ticks if ticks else 0.0
        return exact * part, exact * (1 - part)


class Usage:
    """Processor time and memory of a process and all its descendants, sampled until stopped.

    The time is that of /proc/PID/stat, of all threads that are and were. It counts in ticks of 10 ms; where the kernel
    has /proc/PID/task/TID/schedstat, its nanoseconds are used instead, and the ticks only divide them into user and system.
    """

    def __init__(self, process: Process) -> None:
        self.root = process.pid
        self._nanoseconds: dict[int, int] = {}
        self._ticks: dict[int, tuple[int, int]] = {}
        self._lock = threading.Lock()
        self.resident: list[tuple[float, int]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.look()

    def look(self) -> None:
        with self._lock:
            resident = 0
            for pid in descendants(self.root):
                try:
                    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    self._ticks[pid] = int(fields[11]), int(fields[12])
                    resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
                    for thread in os.listdir(f"/proc/{pid}/task"):
                        spent = Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0]
                        self._nanoseconds[int(thread)] = int(spent)
                except (OSError, IndexError, ValueError):
                    continue
            self.resident.append((time.monotonic(), resident))

    def cpu(self) -> Cpu:
        self.look()
        with self._lock:
            user = sum(ticks[0] for ticks in self._ticks.values()) / TICKS_PER_SECOND
            system = sum(ticks[1] for ticks in self._ticks.values()) / TICKS_PER_SECOND
            return Cpu(user, system, sum(self._nanoseconds.values()) / 1e9)

    def resident_now(self) -> int:
        self.look()
        return self.resident[-1][1]

    def resident_median(self, start: float, end: float) -> int:
        within = sorted(size for at, size in self.resident if start <= at <= end)
        return within[len(within) // 2] if within else self.resident_now()

    def resident_peak(self) -> int:
        """The kernel's own high-water mark, since the start."""
        peak = 0
        for pid in descendants(self.root):
            try:
                found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
            except OSError:
                continue
            peak += int(found[1]) * 1024 if found else 0
        return max([peak, *(size for _, size in self.resident)])

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(timeout=2)


def descendants(root: int) -> list[int]:
    found, at = [root], 0
    while at < len(found):
        pid, at = found[at], at + 1
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in path.read_text().split()]
            except OSError:
                continue
    return found
