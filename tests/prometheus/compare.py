"""The agent against Prometheus: the same OTLP bytes to both, the same expressions asked of both.

compare.py --agent target/release/sidelight --prometheus BINARY [--show N]

Both take an hour of metrics (telemetry.py); every expression of expressions.py is then asked as an instant query
at three times and as a range query. Equal means: the same status, the same series, values within 1e-9 relative.
Prometheus knows no start time of a counter unless told to, while the agent stores a zero there; so times are
asked from which no window reaches the start of the hour or the reset.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "clients")]

from expressions import expressions  # noqa: E402
from run import Agent, wait_for  # noqa: E402
from telemetry import requests  # noqa: E402

TOLERANCE = 1e-9


class Prometheus:
    """The part of Prometheus in main.go, with a TSDB in a directory of its own."""

    def __init__(self, binary: str) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="prometheus-")
        self.process = subprocess.Popen(
            [binary, "-directory", self.directory.name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.url = f"http://{self.process.stdout.readline().strip()}"
        self.otlp = self.url + "/api/v1/otlp/v1/metrics"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.directory.cleanup()


def post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"content-type": "application/x-protobuf"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            response.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url} answered {error.code}: {error.read().decode(errors='replace')}") from None


def ask(url: str, path: str, **parameters: object) -> tuple[int, dict]:
    form = urllib.parse.urlencode(parameters).encode()
    try:
        with urllib.request.urlopen(url + path, form, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text.startswith(b"{") else {"error": text.decode()}


def difference(ours: tuple[int, dict], theirs: tuple[int, dict], ordered: bool) -> str | None:
    """What differs, in a line; None when nothing does."""
    if ours[0] != theirs[0]:
        return f"status {ours[0]} against {theirs[0]}: {ours[1].get('error')} against {theirs[1].get('error')}"
    for name in ("errorType", "error", "warnings", "infos"):
        ours_said, theirs_said = (said(answer[1].get(name)) for answer in (ours, theirs))
        if ours_said != theirs_said:
            return f"{name}: {ours_said} against {theirs_said}"
    if ours[0] != 200:
        return None
    a, b = ours[1]["data"], theirs[1]["data"]
    if a["resultType"] != b["resultType"]:
        return f"{a['resultType']} against {b['resultType']}"
    if a["resultType"] in ("scalar", "string"):
        return values(a["result"], b["result"])
    key = lambda series: json.dumps(series["metric"], sort_keys=True)
    a, b = a["result"], b["result"]
    if not ordered:
        a, b = sorted(a, key=key), sorted(b, key=key)
    if [key(series) for series in a] != [key(series) for series in b]:
        only = lambda x, y: [k for k in map(key, x) if k not in set(map(key, y))][:2]
        return f"{len(a)} series against {len(b)}; only ours {only(a, b)}, only theirs {only(b, a)}"
    for one, other in zip(a, b):
        found = values(one, other)
        if found:
            return f"{key(one)}: {found}"
    return None


def said(text: object) -> object:
    """Which of several duplicates is named depends on the order of Prometheus' index."""
    return text.split(" for the match group ")[0] if isinstance(text, str) else text


def values(a: object, b: object) -> str | None:
    """Compares JSON, numbers within the tolerance, whether written as numbers or as strings."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return f"{sorted(a)} against {sorted(b)}"
        return next((found for k in a if (found := values(a[k], b[k]))), None)
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return f"{len(a)} values against {len(b)}: {str(a)[:120]} against {str(b)[:120]}"
        return next((found for x, y in zip(a, b) if (found := values(x, y))), None)
    try:
        x, y = float(a), float(b)
    except (TypeError, ValueError):
        return None if a == b else f"{a} against {b}"
    equal = x == y or (math.isnan(x) and math.isnan(y)) or math.isclose(x, y, rel_tol=TOLERANCE, abs_tol=1e-12)
    return None if equal else f"{a} against {b}"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--agent", required=True)
    arguments.add_argument("--prometheus", required=True)
    arguments.add_argument("--show", type=int, default=20, help="differences shown")
    options = arguments.parse_args()

    end = int(time.time()) // 60 * 60
    prometheus, agent = Prometheus(options.prometheus), Agent(options.agent, "{}")
    try:
        for request in requests(end):
            post(prometheus.otlp, request)
            post(agent.http + "/v1/metrics", request)
        last = lambda: ask(agent.admin, "/api/v1/query", query="timestamp(process_memory_usage_bytes)", time=end)[1]
        arrived = lambda: any(float(s["value"][1]) == end for s in last().get("data", {}).get("result", []))
        if not wait_for(arrived):
            print(f"the agent does not answer with the last samples: {last()}\n{agent.read_log()}")
            return 1
        return compare(agent, prometheus, end, options.show)
    finally:
        prometheus.stop()
        agent.process.terminate()


def compare(agent: Agent, prometheus: Prometheus, end: int, show: int) -> int:
    asked = equal = 0
    unequal: list[str] = []
    for expression in expressions():
        # By group, the order of the groups is that of a map of Prometheus.
        ordered = expression.startswith(("sort", "topk(", "bottomk("))
        found = None
        for at in (end - 7, end - 300, end - 600):
            parameters = {"query": expression, "time": at}
            answers = [ask(url, "/api/v1/query", **parameters) for url in (agent.admin, prometheus.url)]
            asked += 1
            found = found or difference(*answers, ordered)
        parameters = {"query": expression, "start": end - 900, "end": end, "step": 30}
        answers = [ask(url, "/api/v1/query_range", **parameters) for url in (agent.admin, prometheus.url)]
        asked += 1
        found = found or difference(*answers, False)
        if found:
            unequal.append(f"{expression}\n    {found[:500]}")
        else:
            equal += 1
    for line in unequal[:show]:
        print(line)
    print(f"{asked} queries asked of both")
    print(f"expressions: {equal} passed {len(unequal)} failed")
    return 1 if unequal else 0


if __name__ == "__main__":
    sys.exit(main())
