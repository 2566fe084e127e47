"""The same data and queries in the agent and in Prometheus, and how long each takes to answer.

speed.py --agent target/release/sidelight --prometheus BINARY [--series N] [--runs N]
(cd tests/prometheus && go build -o BINARY .) makes the other, out of Prometheus' published modules.

An hour of samples every 15 s: N counters and N/10 histograms of 14 buckets, as OTLP, to both. Each query is asked RUNS
times of one and then of the other, over HTTP on loopback; printed are the fastest and the median, and the memory,
the CPU time and the files of each process: the agent's are its store and its journal, which is also its queue.
Nothing is asserted: the numbers depend on the machine, their ratios less so.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from compare import Prometheus, ask, post
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from run import Agent, wait_for
from telemetry import CUMULATIVE, STEP_SECONDS, STEPS, attributes

BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5]
QUERIES = [
    ("sum by (kind) (rate(orders_total[5m]))", 15),
    ("histogram_quantile(0.95, sum by (le, http_route) (rate(http_server_request_duration_seconds_bucket[5m])))", 15),
    ("topk(5, orders_total)", 60),
    ("max_over_time(sum(rate(orders_total[1m]))[30m:1m])", 60),
    ('count(orders_total{shop=~".*7"})', 15),
    ("orders_total", 60),
]


def requests(end_seconds: int, series: int) -> Iterator[bytes]:
    """Every 15 s of the hour, all series in one request."""
    nano = 1_000_000_000
    start = end_seconds - STEPS * STEP_SECONDS
    for index in range(1, STEPS + 1):
        now = (start + index * STEP_SECONDS) * nano
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        resource.resource.attributes.add(key="service.name").value.string_value = "shop"
        resource.resource.attributes.add(key="service.instance.id").value.string_value = "shop-0"
        scope = resource.scope_metrics.add()
        orders = scope.metrics.add(name="orders").sum
        orders.is_monotonic, orders.aggregation_temporality = True, CUMULATIVE
        for number in range(series):
            point = orders.data_points.add(start_time_unix_nano=start * nano, time_unix_nano=now, as_int=index * (1 + number % 13))
            attributes(point, {"kind": f"kind-{number % 10}", "shop": f"shop-{number}"})
        duration = scope.metrics.add(name="http.server.request.duration", unit="s").histogram
        duration.aggregation_temporality = CUMULATIVE
        for number in range(series // 10):
            counts = [index * (1 + (number + bucket) % 5) for bucket in range(len(BOUNDS) + 1)]
            point = duration.data_points.add(
                start_time_unix_nano=start * nano, time_unix_nano=now, count=sum(counts), sum=0.3 * sum(counts),
                bucket_counts=counts, explicit_bounds=BOUNDS,
            )
            attributes(point, {"http.route": f"/r/{number % 20}", "http.request.method": f"M{number // 20}"})
        yield request.SerializeToString()


def used(pid: int, directory: str | Path) -> str:
    """Resident memory and CPU time of a process, and what it has on disk."""
    written = sum(file.stat().st_blocks * 512 for file in Path(directory).rglob("*") if file.is_file())
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / 100
    return f"{resident / 1024:.0f} MiB resident, {cpu:.2f} s of CPU, {written / (1 << 20):.0f} MiB on disk"


def timed(url: str, parameters: dict[str, object], runs: int) -> tuple[list[float], int]:
    times, points = [], 0
    for _ in range(runs):
        begun = time.perf_counter()
        status, answer = ask(url, "/api/v1/query_range", **parameters)
        times.append((time.perf_counter() - begun) * 1000)
        if status != 200:
            raise SystemExit(f"{url}: {parameters['query']}: {status} {answer.get('error')}")
        points = sum(len(series["values"]) for series in answer["data"]["result"])
    return times, points


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--agent", required=True)
    arguments.add_argument("--prometheus", required=True)
    arguments.add_argument("--series", type=int, default=1000)
    arguments.add_argument("--runs", type=int, default=15)
    options = arguments.parse_args()

    end = int(time.time()) // 60 * 60
    prometheus, agent = Prometheus(options.prometheus), Agent(options.agent, "{}")
    both = {
        "sidelight": (agent.process.pid, agent.directory),
        "prometheus": (prometheus.process.pid, prometheus.directory.name),
    }
    try:
        for request in requests(end, options.series):
            post(prometheus.otlp, request)
            post(agent.http + "/v1/metrics", request)
        last = lambda: ask(agent.admin, "/api/v1/query", query="max(timestamp(orders_total))", time=end)[1]
        if not wait_for(lambda: any(float(s["value"][1]) == end for s in last().get("data", {}).get("result", []))):
            raise SystemExit(f"the agent does not answer with the last samples: {last()}\n{agent.read_log()}")
        for name, of in both.items():
            print(f"{name}: after taking in {options.series * STEPS * 13 // 5:,} samples (a bucket counts as one): {used(*of)}")
        print(f"{'fastest / median in ms':<110}{'points':>8}{'sidelight':>18}{'prometheus':>18}{'ratio':>7}")
        for query, step in QUERIES:
            parameters = {"query": query, "start": end - 3600 + STEP_SECONDS, "end": end, "step": step}
            (ours, points), (theirs, their_points) = (
                timed(url, parameters, options.runs) for url in (agent.admin, prometheus.url)
            )
            if points != their_points:
                print(f"{points} points against {their_points}: the agent takes no samples older than an hour, so it lacks the first few")
            shown = (f"{min(times):.1f} / {statistics.median(times):.1f}" for times in (ours, theirs))
            print(f"{query:<110}{points:>8}{next(shown):>18}{next(shown):>18}{min(ours) / min(theirs):>7.2f}")
        for name, of in both.items():
            print(f"{name}: after the queries: {used(*of)}")
        return 0
    finally:
        prometheus.stop()
        agent.process.terminate()


if __name__ == "__main__":
    sys.exit(main())
