#!/usr/bin/env python3
"""Measures the agent, and other OTLP agents in its place, between the agent's own generator and sink.

run.py --agent target/release/sidelight [--peer NAME[:TEMPLATE]=COMMANDLINE]... [--quick | --smoke] [--json FILE]

Prints a table for each row. README.md says how to read them. Exit codes: 0 measured, 1 something acknowledged did not arrive,
2 usage or a program that is missing, 3 a program that did not start or did not deliver, 130 interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import machine
import report
from processes import Unready
from rows import KINDS, Row, World, measure
from systems import MODES, System, Unusable, agent, binary_bytes, peer, relay

PROTOCOLS, COMPRESSIONS, BATCHES = ("grpc", "http"), ("none", "gzip", "zstd"), (1_000, 10)
# Spans a second that the slowest of the agents we know takes on half of a small server's core.
OFFERED = {("none", 1_000): 60_000, ("gzip", 1_000): 40_000, ("zstd", 1_000): 40_000}
OFFERED_SMALL_REQUESTS_PER_SECOND = 2_000
OVERLOAD_SPANS_PER_SECOND = 1_000_000
MISSING, USAGE, NOT_RUN, INTERRUPTED = 1, 2, 3, 130


def words(allowed: tuple, kind=str):
    def parse(text: str) -> list:
        chosen = [kind(word) for word in text.split(",")]
        wrong = [word for word in chosen if word not in allowed]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]}: not one of {', '.join(map(str, allowed))}")
        return chosen

    return parse


def arguments() -> argparse.Namespace:
    epilog = "README.md beside this file says how to read it."
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=epilog)
    add = parser.add_argument
    add("--agent", type=Path, required=True, metavar="BINARY", help="the agent, a release build")
    add("--tools", type=Path, metavar="BINARY", help="whose gen and sink are used; default: the agent's")
    add(
        "--peer",
        action="append",
        default=[],
        metavar="NAME[:TEMPLATE]=COMMANDLINE",
        help="another agent, measured in the same rows; {config} is made from peers/TEMPLATE[.MODE].yaml",
    )
    add("--relay", type=Path, metavar="BINARY", help="a relay that is built already; default: build relay.rs with rustc")
    add("--no-relay", action="store_true", help="leave out the floor")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="one row of each kind, one run each; under 2 minutes without peers")
    size.add_argument("--smoke", action="store_true", help="only whether everything arrives, no times; seconds")
    add("--kinds", type=words(KINDS), default=list(KINDS), help=",".join(KINDS))
    add("--protocols", type=words(PROTOCOLS), default=list(PROTOCOLS), help=",".join(PROTOCOLS))
    add("--compressions", type=words(COMPRESSIONS), default=list(COMPRESSIONS), help=",".join(COMPRESSIONS))
    add("--batches", type=words(BATCHES, int), default=list(BATCHES), help="spans per request: 1000,10")
    add("--modes", type=words(MODES), default=list(MODES), help="journal modes: memory,os,fsync")
    add("--rate", type=int, metavar="N", help="spans a second offered in the rows of kind rate; default: by row")
    add("--seconds", type=float, help="how long the load of a run lasts; default 8, idle 15, overload 10; quick 3 and 5")
    add("--down", type=float, metavar="SECONDS", help="how long an outage lasts; default 19, quick 5")
    add("--repeats", type=int, help="runs of each row; default 3 for rate and max, otherwise 1")
    add("--cores", type=int, default=1, help="processors for the measured program, default 1; generator and sink have the others")
    add("--directory", type=Path, help="where journals and queues are; default: the system's for temporary files")
    add("--json", type=Path, metavar="FILE", help="write everything measured there as well")
    return parser.parse_args()


def plan(args: argparse.Namespace) -> list[Row]:
    seconds = args.seconds or (3.0 if args.quick else 8.0)
    down = args.down or (5.0 if args.quick else 19.0)
    rows = [Row("idle", seconds=args.seconds or (5.0 if args.quick else 15.0))]
    for protocol in args.protocols:
        for compression in args.compressions:
            for batch in args.batches:
                # In a quick run one thing at a time differs from the first row.
                if args.quick and (protocol != "grpc") + (compression != "none") + (batch != 1_000) > 1:
                    continue
                rows.append(Row("rate", protocol, compression, batch, args.rate or offered(compression, batch), seconds))
    rows += [
        Row("max", seconds=seconds),
        Row("outage", offered=args.rate or OFFERED["none", 1_000], seconds=down, down_seconds=down, by_id=True),
        Row("overload", offered=OVERLOAD_SPANS_PER_SECOND, seconds=args.seconds or (5.0 if args.quick else 10.0), by_id=True),
    ]
    return [row for row in rows if row.kind in args.kinds]


def offered(compression: str, batch: int) -> int:
    return OFFERED.get((compression, batch), OFFERED_SMALL_REQUESTS_PER_SECOND * batch)


def smoke_plan() -> list[tuple[Row, str | None]]:
    """Rows with the one mode in which each runs; None is the relay's."""
    return [
        (Row("rate", "grpc", "none", 1_000, 20_000, 1.0, by_id=True), "memory"),
        (Row("rate", "http", "gzip", 10, 2_000, 1.0, by_id=True), "fsync"),
        (Row("rate", "grpc", "zstd", 100, 10_000, 1.0, by_id=True), "os"),
        (Row("outage", "grpc", "none", 100, 10_000, 1.5, 1.5, by_id=True), "fsync"),
        (Row("rate", "grpc", "none", 1_000, 20_000, 1.0, by_id=True), None),
    ]


def cases(args: argparse.Namespace, row: Row, systems: list[System]) -> list[tuple[System, str]]:
    """A quick run shows the other modes once, in the first row, and otherwise what is durable."""
    found = []
    first = row.kind != "rate" or (row.protocol, row.compression, row.batch) == ("grpc", "none", 1_000)
    for system in systems:
        if system.passes_through:
            if row.kind in ("idle", "rate", "max"):
                found.append((system, system.modes[0]))
            continue
        modes = [mode for mode in system.modes if mode in args.modes]
        if args.quick and not (first and row.kind == "rate"):
            modes = modes[-1:]
        found += [(system, mode) for mode in modes]
    return found


def run_row(args: argparse.Namespace, world: World, row: Row, systems: list[System]) -> dict:
    """Every program once, then all once more: what disturbs the machine for a while disturbs them alike."""
    results = [
        {"system": system.name, "mode": mode, "runs": [], "error": None} for system, mode in cases(args, row, systems)
    ]
    repeats = args.repeats or (1 if args.quick or row.kind not in ("rate", "max") else 3)
    for number in range(repeats):
        for result, (system, mode) in zip(results, cases(args, row, systems)):
            if result["error"]:
                continue
            note(f"{row.title}: {system.name} {mode}, {number + 1} of {repeats}")
            try:
                result["runs"].append(measure(world, row, system, mode))
            except Unready as error:
                result["error"] = str(error)
                note(str(error).partition("; ")[0])
    for result in results:
        if result["runs"]:
            result["summary"] = report.summary(result["runs"])
        if result["runs"] and result["error"]:
            result["error"] = f"{len(result['runs'])} of {repeats} runs counted: {result['error']}"
    return {"title": row.title} | dataclasses.asdict(row) | {"results": results}


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show(row: dict) -> None:
    print(f"\n{row['title']}\n\n{report.table(row)}", flush=True)
    for result in row["results"]:
        if result["error"]:
            print(f"\n{result['error']}", flush=True)


def smoke(world: World, sidelight: System, floor: System | None) -> int:
    passed = failed = 0
    for row, mode in smoke_plan():
        system = sidelight if mode else floor
        if system is None:
            continue
        mode = mode or system.modes[0]
        what = f"{system.name} {mode}, {row.title}"
        try:
            found = measure(world, row, system, mode)
            wrong = problems(row, found)
        except Unready as error:
            wrong = str(error)
        passed, failed = (passed, failed + 1) if wrong else (passed + 1, failed)
        print(f"FAIL {what}: {wrong}" if wrong else f"ok   {what}: {found['received']:,} spans", flush=True)
    print(f"measure: {passed} passed, {failed} failed")
    return MISSING if failed else 0


def problems(row: Row, found: dict) -> str:
    if not found["acknowledged"] or found["acknowledged"] != found["sent"]:
        return f"{found['acknowledged']:,} of {found['sent']:,} spans acknowledged: {found['answers']}"
    if found["missing"]:
        return f"{found['missing']:,} of {found['acknowledged']:,} spans did not arrive"
    if row.kind == "rate" and found["repeated"]:
        return f"{found['repeated']:,} spans arrived more than once"
    return ""


def main() -> int:
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    place = args.directory or Path(tempfile.gettempdir())
    if not place.is_dir():
        note(f"--directory {place}: not a directory")
        return USAGE
    directory = Path(tempfile.mkdtemp(prefix="sidelight-bench-", dir=place))
    try:
        return measure_all(args, directory)
    except Unusable as error:
        note(str(error))
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def measure_all(args: argparse.Namespace, directory: Path) -> int:
    sidelight = agent(args.agent.resolve())
    tools = args.tools.resolve() if args.tools else args.agent.resolve()
    floor = None if args.no_relay else relay(args.relay and args.relay.resolve(), directory)
    systems = [sidelight, *(peer(text) for text in args.peer), *([floor] if floor else [])]
    cores = machine.Cores.split(args.cores)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores.others)
    if args.smoke:
        return smoke(World(tools, cores, directory, idle_seconds=0, warm_seconds=0.3), sidelight, floor)
    facts = machine.describe(cores, directory)
    facts["warnings"] = machine.warnings(facts, cores)
    programs = {system.name: {"command": system.command, "binary_bytes": binary_bytes(system)} for system in systems}
    introduce(facts, programs)
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    document = {"schema_version": 1, "started": started, "machine": facts, "programs": programs, "rows": []}
    for row in plan(args):
        document["rows"].append(run_row(args, World(tools, cores, directory), row, systems))
        show(document["rows"][-1])
        if args.json:
            args.json.write_text(json.dumps(document, indent=1) + "\n")
    results = [result for row in document["rows"] for result in row["results"]]
    if any(result["error"] for result in results):
        return NOT_RUN
    return MISSING if any(result["summary"]["missing"] for result in results) else 0


def introduce(facts: dict, programs: dict) -> None:
    measured, others = (",".join(map(str, facts[name])) for name in ("measured_on", "others_on"))
    sync = facts["fdatasync_64kib_ms"]
    print(f"{facts['processor']}, {facts['processors']} processors, {facts['memory_mib']:,} MiB, Linux {facts['kernel']}")
    print(f"measured program on {measured}, generator and sink on {others}; load average {facts['load_average']}")
    print(f"{facts['filesystem']}: fdatasync of 64 KiB p50 {sync['p50']} ms, max {sync['max']} ms")
    for name, program in programs.items():
        print(f"{name}: {program['binary_bytes'] / 1e6:.1f} MB, {program['command']}")
    for warning in facts["warnings"]:
        print(f"WARNING: {warning}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
