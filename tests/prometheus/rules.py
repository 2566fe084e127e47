"""Rules, evaluated by the agent's engine and by Prometheus' own over the same samples: every sample and every alert.

rules.py --agent target/release/sidelight --rules BINARY

Rules are those of rules/files over an hour of machines, pods and requests, and those that come with the agent over the
samples of their unit tests. Both programs read one file in the format of promtool's unit tests. Prometheus says
which alerts fire; the agent has to find the same with the same labels and annotations. Ends with `rules: N passed, M failed`.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
STEP_SECONDS = 15
STEPS = 241
BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5]
# Percentiles of exponential buckets differ in the last bit at times: Go's Exp2 is not the C library's. Nothing else here does.
TOLERANCE = 1e-12


class Series:
    """Input series by their names and labels."""

    def __init__(self) -> None:
        self.lines: list[dict[str, str]] = []
        self.random = random.Random(7)

    def add(self, series: str, values: list[object]) -> None:
        self.lines.append({"series": series, "values": " ".join("_" if value is None else str(value) for value in values)})

    def gauge(self, series: str, at: Callable[[int], float | None]) -> None:
        self.add(series, [at(index) for index in range(STEPS)])

    def counter(self, series: str, grows: Callable[[int], float], resets: tuple[int, ...] = ()) -> None:
        total, values = 0.0, []
        for index in range(STEPS):
            total = 0.0 if index in resets else total + grows(index)
            values.append(round(total, 6))
        self.add(series, values)


def node(series: Series) -> None:
    rand = series.random
    for machine in range(1, 5):
        labels = f'instance="node-{machine}",job="node"'
        for cpu in range(2):
            def idle(index: int) -> float:
                busy = 0.95 if machine == 2 and 40 <= index < 90 else 0.85 if machine == 4 and index % 80 > 50 else 0.3
                return STEP_SECONDS * (1 - busy) * (0.95 + 0.1 * rand.random())
            series.counter(f'node_cpu_seconds_total{{{labels},cpu="{cpu}",mode="idle"}}', idle, (150,) if machine == 1 else ())
            series.counter(f'node_cpu_seconds_total{{{labels},cpu="{cpu}",mode="user"}}', lambda _: STEP_SECONDS * rand.random())
        gone = lambda index: machine == 3 and 100 <= index < 140
        series.gauge(f"node_memory_free_bytes{{{labels}}}", lambda index: None if gone(index) else rand.randrange(1 << 30))
        series.gauge(f"node_memory_total_bytes{{{labels}}}", lambda index: "stale" if gone(index) else 1 << 30)
        series.gauge(f"node_boot_time_seconds{{{labels}}}", lambda index: 1_000 + (2_000 if machine == 4 and index > 120 else 0))
        series.gauge(f"node_hwmon_temp_celsius{{{labels}}}", lambda index: "NaN" if machine == 1 and 30 < index < 50 else 40 + machine)
        for mount in ("/", "/data"):
            fall = 4e6 if mount == "/data" and machine == 2 else 1e4
            disk = f'{{{labels},mountpoint="{mount}"}}'
            series.gauge(f"node_filesystem_avail_bytes{disk}", lambda index: max(1e9 - fall * index, 0) + rand.randrange(1000))
            series.gauge(f"node_filesystem_size_bytes{disk}", lambda index: 1e9)


def kubernetes(series: Series) -> None:
    for namespace, pods in (("shop", 4), ("batch", 3), ("kube-system", 2)):
        for pod in range(pods):
            labels = f'namespace="{namespace}",pod="web-{"abcd"[pod]}"'
            down = lambda index: namespace != "kube-system" and pod < 2 and 60 <= index < 110 + 20 * pod and index % 45 > 5
            series.gauge(f'kube_pod_status_ready{{{labels},condition="true"}}', lambda index: int(not down(index)))
            series.gauge(f'kube_pod_status_ready{{{labels},condition="false"}}', lambda index: int(down(index)))
            restarts = lambda index: int(namespace == "shop" and pod == 1 and 80 < index < 160 and index % 6 == 0)
            series.counter(f'kube_pod_container_status_restarts_total{{{labels},container="main"}}', restarts)
        workload = f'{{namespace="{namespace}",deployment="web"}}'
        series.gauge(f"kube_deployment_spec_replicas{workload}", lambda index: pods)
        series.gauge(f"kube_deployment_status_replicas_available{workload}", lambda index: pods - int(60 <= index < 130))
        series.gauge(f'kube_namespace_ignored{{namespace="{namespace}"}}', lambda index: int(namespace == "batch"))


def http(series: Series) -> None:
    rand = series.random
    for job in ("shop", "search"):
        for route in ("/", "/cart", "/pay"):
            bad = lambda index: job == "shop" and route == "/pay" and (50 <= index < 95 or 110 <= index < 125)
            quiet = lambda index: job == "search" and 130 <= index < 190
            labels = f'job="{job}",route="{route}"'
            for code in ("200", "404", "503"):
                # With a fraction, so that no two are equal: which of two equals topk takes follows, in Prometheus, the
                # order in which their series were made, and in the agent that of their labels.
                def grows(index: int) -> float:
                    if quiet(index):
                        return 0
                    return rand.randrange(30 if code == "200" else 40 if code == "503" and bad(index) else 2) + rand.random()
                series.counter(f'http_requests_total{{{labels},code="{code}"}}', grows, (170,) if job == "shop" else ())
            for le in [*BOUNDS, math.inf]:
                share = lambda index: (0.3 if bad(index) else 0.99) if le < 1 else 1
                bound = "+Inf" if le == math.inf else le
                series.counter(f'http_request_duration_seconds_bucket{{{labels},le="{bound}"}}', lambda index: round(20 * share(index) * min(1, 0.4 + le)))
        counts = [0, 0, 0, 0]
        values: list[object] = []
        for index in range(STEPS):
            counts = [count + rand.randrange(1, 5) * (3 if at == 3 and 90 <= index < 150 else 1) for at, count in enumerate(counts)]
            buckets = " ".join(map(str, counts))
            values.append(f"{{{{schema:0 sum:{sum(counts)} count:{sum(counts)} offset:-1 buckets:[{buckets}]}}}}")
        series.add(f'rpc_duration_seconds{{job="{job}"}}', values)


def growing(series: Series) -> None:
    """One part more every quarter of an hour, so that limits end the test at some time."""
    for part in range(5):
        series.gauge(f'growing{{part="{part}"}}', lambda index: part + 1 if index >= part * 50 else None)


def test_file(directory: Path, name: str, rule_files: list[str], *parts: Callable[[Series], None]) -> Path:
    series = Series()
    for part in parts:
        part(series)
    test = {
        "name": name,
        "interval": f"{STEP_SECONDS}s",
        "input_series": series.lines,
        "external_labels": {"region": "eu-1"},
        "external_url": "https://rules.example/sidecar",
        "promql_expr_test": [{"expr": "vector(1)", "eval_time": "1h", "exp_samples": [{"labels": "{}", "value": 1}]}],
    }
    files = [str(HERE / "rules/files" / file) for file in rule_files]
    path = directory / f"{name}.yaml"
    path.write_text(json.dumps({"rule_files": files, "evaluation_interval": "30s", "tests": [test]}))
    return path


def sidelight(agent: str, path: Path) -> tuple[dict[str, dict[str, list[str]]], str]:
    """The samples of every test by its name, and everything else that was said."""
    ran = subprocess.run([agent, "test", "rules", "--debug", path], capture_output=True, text=True, timeout=250)
    samples: dict[str, dict[str, list[str]]] = {}
    said, series, test = [], None, None
    for line in (ran.stdout + ran.stderr).splitlines():
        if line.endswith(": every sample:"):
            test = samples.setdefault(line.removeprefix(f"{path}: ").removesuffix(": every sample:"), {})
        elif test is not None and line.startswith("{") and line.endswith(" =>"):
            series = test.setdefault(line.removesuffix(" =>"), [])
        elif series is not None and re.search(r" @\[\d+\]$", line):
            series.append(line)
        elif line:
            said.append(line)
    return samples, "\n".join(said)


def is_same(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    pattern = r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|Inf|NaN)"
    if re.sub(pattern, "#", ours) != re.sub(pattern, "#", theirs):
        return False
    pairs = zip(re.findall(pattern, ours), re.findall(pattern, theirs), strict=True)
    return all(one == other or math.isclose(float(one), float(other), rel_tol=TOLERANCE) for one, other in pairs)


def differences(ours: dict[str, list[str]], theirs: dict[str, list[str]]) -> list[str]:
    found = [f"only the agent has {series}" for series in ours.keys() - theirs.keys()]
    found += [f"only Prometheus has {series}" for series in theirs.keys() - ours.keys()]
    for series in ours.keys() & theirs.keys():
        a, b = ours[series], theirs[series]
        if len(a) != len(b):
            extra = [sample for sample in a if sample not in b][:3], [sample for sample in b if sample not in a][:3]
            found.append(f"{series}: {len(a)} samples, {len(b)} in Prometheus: {extra}")
        elif wrong := [pair for pair in zip(a, b, strict=True) if not is_same(*pair)]:
            found.append(f"{series}: {len(wrong)} samples differ: {wrong[:3]}")
    return sorted(found)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", required=True)
    parser.add_argument("--rules", required=True)
    arguments = parser.parse_args()
    passed = failed = 0

    def check(what: str, found: list[str]) -> None:
        nonlocal passed, failed
        passed, failed = passed + (not found), failed + bool(found)
        print(f"{'FAIL' if found else 'ok'}   {what}", *found[:20], sep="\n     " if found else "", flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        whole = ["node.yaml", "kubernetes.yaml", "http.yaml", "slo.yaml"]
        hours = [
            test_file(directory, "an hour", whole, node, kubernetes, http),
            test_file(directory, "a limit", ["limits.yaml"], growing),
            test_file(directory, "series twice", ["duplicates.yaml"], growing),
            test_file(directory, "alerts twice", ["duplicate-alerts.yaml"], growing),
        ]
        shipped = sorted((ROOT / "deploy/rules/tests").glob("*.yaml"))
        for path in [*hours, *shipped]:
            ran = subprocess.run([arguments.rules, path], capture_output=True, text=True, timeout=250)
            if ran.returncode != 0:
                check(path.stem, [ran.stderr])
                continue
            outcomes = json.loads(ran.stdout)
            if path in hours:
                # What Prometheus says that fires is what the agent's test expects.
                document = json.loads(path.read_text())
                document["tests"][0]["alert_rule_test"] = outcomes[0]["firing"]
                path.write_text(json.dumps(document))
            samples, said = sidelight(arguments.agent, path)
            for outcome in outcomes:
                ours, theirs = samples.get(outcome["name"], {}), outcome["samples"]
                made = sum(len(of) for of in theirs.values())
                alerts = sum(len(one["exp_alerts"] or []) for one in outcome["firing"])
                alike = sum(len(set(of) - set(ours.get(series, []))) for series, of in theirs.items())
                what = f"{path.stem}: {outcome['name']}: {len(theirs)} series, {made} samples, {alike} not to the last bit"
                check(what, differences(ours, theirs))
                if path in hours and not outcome["errors"]:
                    wrong = [said] if "FAILED" in said or "1 passed, 0 failed" not in said else []
                    check(f"{path.stem}: {alerts} firing alerts with their labels and annotations", wrong)
                for error in outcome["errors"]:
                    ended = error.split(", err: ")[0].replace("m0s", "m")
                    check(f"{path.stem}: both fail: {error}", [] if ended in said else [said])
    print(f"rules: {passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
