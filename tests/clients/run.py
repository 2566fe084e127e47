"""Stock SDKs in three languages through the agent, judged by a receiver that shares no code with it.

run.py --agent target/release/sidelight --rust-client target/release/sidelight-client-rust
run.py --direct --rust-client ...        without an agent: shows that the judge itself is sound

Every client sends each item twice: once straight to a reference receiver and once to the agent, which
exports to a second receiver. Both must hold the same multiset of items: each item with its resource, scope
and metric, unknown fields included, byte for byte. The whole is done once per kind of destination.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from receiver import Receiver, describe

HERE = Path(__file__).resolve().parent
RUNS = [f"{protocol}:{compression}" for protocol in ("grpc", "http/protobuf", "http/json") for compression in ("none", "gzip")]
DESTINATIONS = {
    "grpc": "{{otlp_grpc/judge: {{endpoint: 'http://127.0.0.1:{grpc}'}}}}",
    "http/protobuf": "{{otlp_http/judge: {{endpoint: 'http://127.0.0.1:{http}', encoding: proto, compression: none}}}}",
    "http/json": "{{otlp_http/judge: {{endpoint: 'http://127.0.0.1:{http}', encoding: json}}}}",
}
DEADLINE_SECONDS = 60
# Failures that are shown in full, and how much of each.
DETAILED = 3
CHARACTERS = 3000


class Agent:
    """One agent process with its journal in a directory of its own."""

    def __init__(self, binary: str, exporters: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sidelight-clients-"))
        grpc_port, http_port, admin_port = free_ports(3)
        self.grpc, self.http = f"http://127.0.0.1:{grpc_port}", f"http://127.0.0.1:{http_port}"
        self.admin = f"http://127.0.0.1:{admin_port}"
        config = self.directory / "config.yaml"
        config.write_text(
            f"receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc_port}'}}, "
            f"http: {{endpoint: '127.0.0.1:{http_port}'}}}}}}}}\n"
            f"journal: {{directory: '{self.directory / 'journal'}'}}\n"
            f"admin: {{endpoint: '127.0.0.1:{admin_port}'}}\n"
            f"exporters: {exporters}\n"
        )
        self.log = (self.directory / "log").open("w+")
        self.process = subprocess.Popen([binary, "run", "-c", config], stderr=self.log, stdin=subprocess.DEVNULL)
        if not wait_for(self.is_ready):
            self.process.kill()
            raise SystemExit(f"the agent did not become ready\n{self.read_log()}")

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise SystemExit(f"the agent ended with {self.process.returncode}\n{self.read_log()}")
        return self.get("/readyz") is not None

    def get(self, path: str) -> bytes | None:
        try:
            with urllib.request.urlopen(self.admin + path, timeout=5) as response:
                return response.read()
        except (urllib.error.URLError, OSError):
            return None

    def read_log(self) -> str:
        self.log.flush()
        return (self.directory / "log").read_text()

    def stop(self) -> list[str]:
        """Ends the agent as an operator would; returns what was wrong with its end."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "no end within 30 s of SIGTERM"
        problems = [] if code == 0 else [f"exit after SIGTERM: {code}\n{self.read_log()}"]
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        return problems


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(condition) -> bool:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


class Results:
    """The table and its verdict."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def add(self, name: str, detail: str, problems: list[str]) -> None:
        self.passed += not problems
        self.failed += bool(problems)
        print(f"{'ok  ' if not problems else 'FAIL'}  {name:<44}  {detail}", flush=True)
        for problem in problems if self.failed <= DETAILED else []:
            print("      " + problem[:CHARACTERS].replace("\n", "\n      "), flush=True)


def run_clients(commands, reference: Receiver, grpc: str, http: str) -> tuple[dict, list[str]]:
    """Runs every client; returns what they say they made, by run, and what went wrong."""
    made, problems = {}, []
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    environment |= {
        "REFERENCE": f"http://127.0.0.1:{reference.http_port}",
        "SUBJECT_GRPC": grpc,
        "SUBJECT_HTTP": http,
        "NO_PROXY": "127.0.0.1",
    }
    for language, command, runs in commands:
        done = subprocess.run([*command, *runs], env=environment, capture_output=True, text=True, timeout=300)
        for line in done.stdout.splitlines():
            told = json.loads(line)
            made[told["run"]] = told["made"]
        if done.returncode != 0:
            problems.append(f"{language}: exit {done.returncode}\n{done.stderr[-4000:]}")
        problems += [f"{language}: says nothing of its run {run}" for run in runs if f"{language} {run}" not in made]
    return made, problems


def compare(results: Results, label: str, made: dict, reference: Receiver, outcome: Receiver) -> None:
    """One row per run and signal: what the client made, the reference got and the agent delivered."""
    sent, got = reference.recorder.snapshot(), outcome.recorder.snapshot()
    for run in sorted(made):
        for kind in ("traces", "metrics", "logs"):
            expected, delivered = sent.get((run, kind), Counter()), got.get((run, kind), Counter())
            problems = []
            if not expected:
                problems.append("the reference received nothing")
            if kind in made[run] and made[run][kind] != expected.total():
                problems.append(f"the client made {made[run][kind]}, the reference received {expected.total()}")
            missing, strange = expected - delivered, delivered - expected
            if missing or strange:
                problems.append(f"{missing.total()} items missing, {strange.total()} not sent\n{explain(kind, missing, strange)}")
            results.add(f"{run} {kind} -> {label}", f"{delivered.total():>4} of {expected.total():>4} equal", problems)


def explain(kind: str, missing: Counter, strange: Counter) -> str:
    """How one missing item differs from the item that is most like it among those that nobody sent."""
    texts = [[describe(kind, item).splitlines() for item in list(items)[:50]] for items in (missing, strange)]
    if not all(texts):
        return "for example\n" + "\n".join((texts[0] or texts[1])[0])
    one = texts[0][0]
    likest = min(texts[1], key=lambda other: sum(a != b for a, b in zip(one, other)))
    return "\n".join(difflib.unified_diff(one, likest, "sent", "delivered", lineterm="", n=2))


def check_ledger(agent: Agent, reference: Receiver) -> list[str]:
    """Accepted must be what was sent, and delivered to the judge, with nothing dropped."""
    body = agent.get("/api/sidelight/v1/ledger")
    if body is None:
        return ["the ledger did not answer"]
    sent = Counter()
    for (_, kind), items in reference.recorder.snapshot().items():
        sent[kind] += items.total()
    problems = []
    for kind, entry in json.loads(body)["signals"].items():
        accepted = entry["accepted"]["items"]
        if accepted != sent[kind]:
            problems.append(f"{kind}: {sent[kind]} sent, {accepted} accepted")
        for name, exporter in entry["exporters"].items():
            if exporter["delivered"]["items"] != accepted or any(exporter["dropped"].values()):
                problems.append(f"{kind} to {name}: {accepted} accepted, {json.dumps(exporter)}")
    return problems


def through_agent(results: Results, commands, binary: str, label: str) -> None:
    reference, outcome = Receiver(), Receiver()
    agent = Agent(binary, DESTINATIONS[label].format(grpc=outcome.grpc_port, http=outcome.http_port))
    started = time.monotonic()
    made, problems = run_clients(commands, reference, agent.grpc, agent.http)
    wait_for(lambda: outcome.recorder.total() >= reference.recorder.total())
    results.add(f"clients -> agent -> {label}", f"{time.monotonic() - started:.1f} s", problems)
    compare(results, label, made, reference, outcome)
    wait_for(lambda: not check_ledger(agent, reference))
    results.add(f"ledger, destination {label}", "", check_ledger(agent, reference))
    requests = outcome.recorder.requests
    wrong = [f"the judge received {dict(requests)}"] if set(requests) != {label} else []
    wrong += reference.recorder.problems + outcome.recorder.problems + agent.stop()
    results.add(f"transport and end, destination {label}", f"{requests[label]} requests", wrong)
    reference.stop()
    outcome.stop()


def direct(results: Results, commands) -> None:
    reference, outcome = Receiver(), Receiver()
    grpc, http = f"http://127.0.0.1:{outcome.grpc_port}", f"http://127.0.0.1:{outcome.http_port}"
    made, problems = run_clients(commands, reference, grpc, http)
    results.add("clients -> judge", "", problems + reference.recorder.problems + outcome.recorder.problems)
    compare(results, "judge", made, reference, outcome)
    reference.stop()
    outcome.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", help="the agent's binary")
    parser.add_argument("--rust-client", required=True, help="the Rust client's binary")
    parser.add_argument("--direct", action="store_true", help="clients straight to the judge, no agent")
    parser.add_argument("--language", action="append", help="only this client (python, node, rust)")
    chosen = parser.parse_args()
    commands = [
        ("python", [sys.executable, str(HERE / "python/client.py")], [run for run in RUNS if "json" not in run]),
        ("node", ["node", str(HERE / "node/client.mjs")], RUNS),
        ("rust", [os.path.abspath(chosen.rust_client)], RUNS),
    ]
    if chosen.language:
        commands = [command for command in commands if command[0] in chosen.language]
    results = Results()
    if chosen.direct:
        direct(results, commands)
    else:
        for label in DESTINATIONS:
            through_agent(results, commands, os.path.abspath(chosen.agent), label)
    print(f"clients: {results.passed} passed, {results.failed} failed")
    return 1 if results.failed or not results.passed else 0


if __name__ == "__main__":
    sys.exit(main())
