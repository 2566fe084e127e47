"""What is measured: generator → program → sink, in five kinds of rows."""

from __future__ import annotations

import json
import re
import resource
import shutil
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from ids import compare, read
from machine import Cores, processor_ticks
from processes import Process, Usage, free_ports
from systems import EXPORTERS, System

KINDS = ("idle", "rate", "max", "outage", "overload")
IDLE_SECONDS = 1.0
WARM_SECONDS = 1.0
WARM_SPANS_PER_SECOND = 20_000
WARM_DRAIN_SECONDS = 30.0
DRAIN_SECONDS = 120.0
# Where requests were refused or timed out, what arrives is not only what was acknowledged: it is over when nothing more does.
QUIET_SECONDS = 2.0
OUTAGE_LEAD_SECONDS = 2.0
RETRY_SECONDS = 60
# A request that is refused counts as refused; it is not sent again.
NO_RETRY = "0s"
BYSTANDER = {"rate": 1_000, "batch": 100}


@dataclass(frozen=True)
class Row:
    kind: str
    protocol: str = "grpc"
    compression: str = "none"
    batch: int = 1_000
    # Spans a second; None is flat out.
    offered: int | None = None
    seconds: float = 8.0
    down_seconds: float = 0.0
    # Also which spans arrived, not only how many.
    by_id: bool = False

    @property
    def title(self) -> str:
        if self.kind == "idle":
            return f"idle: no load for {self.seconds:g} s"
        what = f"{self.protocol}, {self.compression}, {self.batch} spans/request"
        offered = "flat out, 256 in flight" if self.offered is None else f"{self.offered:,} spans/s offered"
        down = f", destination down for {self.down_seconds:g} s" if self.kind == "outage" else ""
        return f"{self.kind}: {what}, {offered} for {self.seconds:g} s{down}"


@dataclass(frozen=True)
class World:
    """`tools` is the binary whose `gen` and `sink` are used."""

    tools: Path
    cores: Cores
    directory: Path
    idle_seconds: float = IDLE_SECONDS
    warm_seconds: float = WARM_SECONDS


def measure(world: World, row: Row, system: System, mode: str) -> dict:
    """One run of one row.

    Raises Unready, with the end of what the program said, when something does not start or does not deliver at all.
    """
    with Rig(world, row, system, mode) as rig:
        return {"idle": unloaded, "rate": loaded, "max": loaded, "outage": outage, "overload": overload}[row.kind](rig)


class Rig:
    """The three processes of one run, in a directory of their own that is removed afterwards."""

    def __init__(self, world: World, row: Row, system: System, mode: str) -> None:
        self.world, self.row, self.system, self.mode = world, row, system, mode
        self.directory = Path(tempfile.mkdtemp(prefix="bench-", dir=world.directory))
        self.processes: list[Process] = []
        names = ("grpc", "http", "admin", "sink_grpc", "sink_http")
        self.ports = dict(zip(names, free_ports(len(names))))
        self.program: Process | None = None
        self.usage: Usage | None = None
        self.sink: Process | None = None
        self.sinks = 0
        self.received_before = 0
        self.shown = 0
        self.id_files: list[Path] = []

    def __enter__(self) -> Rig:
        try:
            self.start_sink()
            self.start_program()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self.usage:
            self.usage.stop()
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start_program(self) -> None:
        to = self.ports["sink_grpc" if self.row.protocol == "grpc" else "sink_http"]
        values = self.ports | {
            "directory": self.directory,
            "compression": self.row.compression,
            "exporter": EXPORTERS[self.row.protocol],
            "destination": f"http://127.0.0.1:{to}",
        }
        command = self.system.start_command(self.mode, values)
        self.program = Process(f"{self.system.name} ({self.mode})", command, self.world.cores.measured)
        self.processes.append(self.program)
        self.program.wait_for_ports([self.ports["grpc"], self.ports["http"]])
        self.usage = Usage(self.program)

    def start_sink(self) -> None:
        self.sinks += 1
        output = self.directory / f"sink-{self.sinks}.json"
        addresses = ["--grpc", f"127.0.0.1:{self.ports['sink_grpc']}", "--http", f"127.0.0.1:{self.ports['sink_http']}"]
        command = [str(self.world.tools), "sink", *addresses, "--every", "100ms", "-o", "json"]
        if self.row.by_id:
            self.id_files.append(self.directory / f"sink-{self.sinks}.ids")
            command += ["--ids", str(self.id_files[-1])]
        self.shown = 0
        self.sink = Process("the sink", command, self.world.cores.others, output)
        self.sink.on_line(self._counted)
        self.processes.append(self.sink)
        self.sink.wait_for_ports([self.ports["sink_grpc"], self.ports["sink_http"]])

    def _counted(self, line: str) -> None:
        found = re.search(r"(\d+) traces", line)
        if found:
            self.shown = int(found[1])

    def stop_sink(self) -> None:
        self.sink.stop()
        self.received_before += self.sink.json()["signals"]["traces"]["items"]
        self.shown = 0

    def received(self) -> int:
        return self.received_before + self.shown

    def generate(self, *more: str, ids: str | None = None, **changed: object) -> Process:
        """`changed` are options of `gen` that differ from those of the row."""
        row = self.row
        flat_out = row.offered is None
        options = {
            "protocol": row.protocol,
            "compression": row.compression,
            "batch": row.batch,
            "rate": "max" if flat_out else row.offered,
            "connections": 4 if flat_out else 1,
            "in_flight": 64,
            "retry_for": f"{RETRY_SECONDS}s",
            "for": f"{row.seconds}s",
        } | changed
        command = [str(self.world.tools), "gen", "traces", "-o", "json", "-q", *more]
        command += ["--endpoint", f"http://127.0.0.1:{self.ports[row.protocol]}"]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        if ids:
            command += ["--ids", str(self.directory / ids)]
        output = self.directory / f"gen-{len(self.processes)}.json"
        process = Process("the generator", command, self.world.cores.others, output)
        self.processes.append(process)
        return process

    def account(self, generator: Process, seconds: float | None = None) -> dict:
        """Waits for the end of `generator`; what it says became of its spans."""
        generator.wait((seconds or self.row.seconds) + RETRY_SECONDS + 20)
        return generator.json()

    def warm(self) -> int:
        """Connections, allocations and caches as they are when work goes on. How many spans that took."""
        rate = min(self.row.offered or WARM_SPANS_PER_SECOND, WARM_SPANS_PER_SECOND)
        process = self.generate(rate=rate, connections=1, **{"for": f"{self.world.warm_seconds}s"})
        process.wait(self.world.warm_seconds + RETRY_SECONDS + 20)
        account = process.json()
        acknowledged = account["acknowledged"]["items"]
        if not acknowledged:
            said = json.dumps(account["refused"] | account["given_up"])
            raise self.program.complaint(f"takes nothing of what it is sent: {said}")
        if self.wait_for(acknowledged, WARM_DRAIN_SECONDS) is None:
            raise self.program.complaint(f"delivered {self.received()} of {acknowledged} spans in {WARM_DRAIN_SECONDS:.0f} s")
        return self.received()

    def wait_for(self, count: int, seconds: float) -> float | None:
        """When so many spans have arrived; None if they have not within the time."""
        end = time.monotonic() + seconds
        while self.received() < count:
            if time.monotonic() > end or not self.program.running():
                return None
            time.sleep(0.02)
        return time.monotonic()

    def drain(self, warm: int, accounts: list[dict]) -> float | None:
        """When all that was acknowledged had arrived, as far as counting can tell; None if it did not within the time."""
        end = time.monotonic() + DRAIN_SECONDS
        at = self.wait_for(warm + sum(account["acknowledged"]["items"] for account in accounts), DRAIN_SECONDS)
        while at is not None and answers(accounts) and time.monotonic() < end:
            seen = self.received()
            if self.wait_for(seen + 1, QUIET_SECONDS) is None:
                break
            at = time.monotonic()
        return at

    def conservation(self, warm: int, files: list[str], accounts: list[dict]) -> dict:
        """Ends program and sink, and compares what was acknowledged with what arrived."""
        self.usage.stop()
        self.program.stop()
        self.stop_sink()
        acknowledged = sum(account["acknowledged"]["items"] for account in accounts)
        received = self.received() - warm
        found = {
            "sent": sum(account["sent"]["items"] for account in accounts),
            "acknowledged": acknowledged,
            "refused": sum(refused(account) for account in accounts),
            "received": received,
            "missing": max(0, acknowledged - received),
            "surplus": max(0, received - acknowledged),
            "answers": answers(accounts),
        }
        if self.row.by_id:
            taken = [run for name in files for run in read(self.directory / name)]
            arrived = [run for path in self.id_files for run in read(path)]
            found |= compare(taken, arrived)
        return found

    def ledger(self) -> dict | None:
        """What the program itself counted, where it has the agent's ledger."""
        url = f"http://127.0.0.1:{self.ports['admin']}/api/sidelight/v1/ledger"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return json.load(response)["signals"]["traces"]
        except (OSError, ValueError, KeyError):
            return None


def refused(account: dict) -> int:
    kinds = [*account["refused"].values(), *account["given_up"].values()]
    return sum(kind["items"] for kind in kinds) + account["acknowledged"]["rejected_items"]


def answers(accounts: list[dict]) -> dict:
    """The refusing answers in the generator's words, with how many requests had each; `again` were sent again."""
    found: dict[str, int] = {}
    for account in accounts:
        for kind in ("refused", "given_up"):
            for words, counts in account[kind].items():
                found[words] = found.get(words, 0) + counts["requests"]
        for words, times in account["sent_again"].items():
            found[f"again: {words}"] = found.get(f"again: {words}", 0) + times
    return found


class Timed:
    """Processor time between two moments, of the program, its neighbours, and what the hypervisor took."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.sink = rig, Usage(rig.sink)
        self.started, self.cpu = time.monotonic(), rig.usage.cpu()
        self.children, self.ticks = children_seconds(), processor_ticks()
        self.sink_cpu = self.sink.cpu()

    def end(self, spans: int, requests: int, generating: float) -> dict:
        user, system = self.rig.usage.cpu().since(self.cpu)
        elapsed = time.monotonic() - self.started
        others = children_seconds() - self.children + sum(self.sink.cpu().since(self.sink_cpu))
        self.sink.stop()
        ticks, stolen = (now - then for now, then in zip(processor_ticks(), self.ticks))
        cores = self.rig.world.cores
        return {
            "cpu_us_per_span": (user + system) * 1e6 / max(1, spans),
            "cpu_user_us_per_span": user * 1e6 / max(1, spans),
            "cpu_system_us_per_span": system * 1e6 / max(1, spans),
            "cpu_us_per_request": (user + system) * 1e6 / max(1, requests),
            "busy": (user + system) / elapsed / len(cores.measured),
            "others_busy": others / max(generating, 1e-9) / len(cores.others),
            "stolen": stolen / max(1, ticks),
        }


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def latency(account: dict) -> dict:
    return {f"ack_{name}_ms": (value or 0) * 1e3 for name, value in account["latency_seconds"].items()}


def memory(usage: Usage, idle: int, start: float, end: float) -> dict:
    mib = 1 << 20
    return {
        "rss_idle_mib": idle / mib,
        "rss_steady_mib": usage.resident_median((start + end) / 2, end) / mib,
        "rss_peak_mib": usage.resident_peak() / mib,
    }


def idle(rig: Rig) -> int:
    time.sleep(rig.world.idle_seconds)
    return rig.usage.resident_now()


def unloaded(rig: Rig) -> dict:
    """What it costs to have it there."""
    resting = idle(rig)
    started, before = time.monotonic(), rig.usage.cpu()
    time.sleep(rig.row.seconds)
    ended, (user, system) = time.monotonic(), rig.usage.cpu().since(before)
    found = {"cpu_ms_per_second": (user + system) * 1e3 / (ended - started)}
    return found | memory(rig.usage, resting, started, ended) | rig.conservation(0, [], [])


def loaded(rig: Rig) -> dict:
    """At a rate, or flat out; the time to deliver what is left counts as well."""
    resting = idle(rig)
    warm = rig.warm()
    timed = Timed(rig)
    started = time.monotonic()
    account = rig.account(rig.generate(ids="gen.ids" if rig.row.by_id else None))
    ended = time.monotonic()
    taken = account["acknowledged"]
    rig.drain(warm, [account])
    found = timed.end(taken["items"], taken["requests"], ended - started)
    found |= memory(rig.usage, resting, started, ended) | latency(account)
    found["spans_per_second"] = taken["items"] / max(account["seconds"], 1e-9)
    return found | rig.conservation(warm, ["gen.ids"], [account])


def outage(rig: Rig) -> dict:
    """The sink ends while the load goes on, and is back after a time, when the load ends."""
    resting = idle(rig)
    warm = rig.warm()
    timed = Timed(rig)
    timed.sink.stop()
    started = time.monotonic()
    seconds = OUTAGE_LEAD_SECONDS + rig.row.down_seconds
    generator = rig.generate(ids="gen.ids", **{"for": f"{seconds}s"})
    time.sleep(OUTAGE_LEAD_SECONDS)
    rig.stop_sink()
    gone, before = time.monotonic(), rig.received()
    time.sleep(rig.row.down_seconds)
    rig.start_sink()
    back = time.monotonic()
    first = rig.wait_for(before + 1, DRAIN_SECONDS)
    account = rig.account(generator, seconds)
    ended = time.monotonic()
    taken = account["acknowledged"]
    drained = rig.drain(warm, [account])
    # The sink that was there at first is gone, so only the program's own time is known.
    found = timed.end(taken["items"], taken["requests"], ended - started) | {"others_busy": None}
    found |= memory(rig.usage, resting, gone, back) | latency(account)
    found |= {
        "spans_per_second": taken["items"] / max(account["seconds"], 1e-9),
        "down_seconds": back - gone,
        "first_after_seconds": first and first - back,
        "drained_after_seconds": drained and drained - back,
    }
    return found | rig.conservation(warm, ["gen.ids"], [account])


def overload(rig: Rig) -> dict:
    """More than can be taken, not sent again when refused, beside a modest client that retries as an SDK does."""
    resting = idle(rig)
    warm = rig.warm()
    timed = Timed(rig)
    started = time.monotonic()
    flood = rig.generate(connections=4, retry_for=NO_RETRY, ids="gen.ids")
    bystander = rig.generate(**BYSTANDER, in_flight=8, ids="bystander.ids")
    accounts: dict[str, dict] = {}
    waiting = threading.Thread(target=lambda: accounts.update(flood=rig.account(flood)))
    waiting.start()
    modest = rig.account(bystander)
    waiting.join()
    if "flood" not in accounts:
        raise flood.complaint("did not come to its end")
    ended = time.monotonic()
    account = accounts["flood"]
    taken = account["acknowledged"]["items"] + modest["acknowledged"]["items"]
    requests = account["acknowledged"]["requests"] + modest["acknowledged"]["requests"]
    rig.drain(warm, [account, modest])
    found = timed.end(taken, requests, ended - started)
    found |= memory(rig.usage, resting, started, ended) | latency(account)
    found |= {
        "spans_per_second": taken / max(account["seconds"], 1e-9),
        "offered_reached": account["sent"]["items"] / max(account["seconds"], 1e-9),
        "bystander": {
            "sent": modest["sent"]["items"],
            "acknowledged": modest["acknowledged"]["items"],
            **latency(modest),
        },
        "ledger": rig.ledger(),
    }
    return found | rig.conservation(warm, ["gen.ids", "bystander.ids"], [account, modest])
