"""What the agent derives of spans, as it arrives in Prometheus through a destination (`aggregate.export`).

exported.py --agent target/release/sidelight --prometheus BINARY

Spans of two services go to the agent. Prometheus must then answer what Grafana's dashboards ask of span metrics with the
numbers that the spans have, and every derived series as the agent itself answers it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "clients")]

from compare import Prometheus, ask, difference, post, values  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status  # noqa: E402
from run import Agent, wait_for  # noqa: E402

BOUNDS = [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384]
# Service, name, kind, route, seconds, whether it failed, how many.
SPANS = [
    ("cart", "GET /cart", Span.SPAN_KIND_SERVER, "/cart", 0.010, False, 40),
    ("cart", "GET /cart", Span.SPAN_KIND_SERVER, "/cart", 0.700, True, 10),
    ("cart", "charge", Span.SPAN_KIND_CLIENT, None, 0.300, False, 20),
    ("payment", "POST /charge", Span.SPAN_KIND_SERVER, "/charge", 0.200, False, 20),
]
TOTAL = sum(count for *_, count in SPANS)


def spans(at: float) -> bytes:
    """One request; every span ends at `at`."""
    request = ExportTraceServiceRequest()
    number = 0
    for service in ("cart", "payment"):
        of = request.resource_spans.add()
        for key, value in (("service.name", service), ("service.instance.id", f"{service}-1")):
            attribute = of.resource.attributes.add(key=key)
            attribute.value.string_value = value
        scope = of.scope_spans.add()
        for _, name, kind, route, seconds, failed, count in (span for span in SPANS if span[0] == service):
            for _ in range(count):
                number += 1
                end = int(at * 1e9)
                one = scope.spans.add(name=name, kind=kind, end_time_unix_nano=end)
                one.start_time_unix_nano = end - round(seconds * 1e9)
                one.trace_id, one.span_id = number.to_bytes(16), number.to_bytes(8)
                if route:
                    one.attributes.add(key="http.route").value.string_value = route
                if failed:
                    one.status.code = Status.STATUS_CODE_ERROR
    return request.SerializeToString()


def expected() -> dict[str, dict[tuple[str, ...], float]]:
    """What the spans sent once are in the expressions that are asked, by the values of the labels that they keep."""
    calls, failed, buckets, seconds = Counter(), Counter(), Counter(), Counter()
    for service, name, _, _, took, fails, count in SPANS:
        calls[service, name] += count
        failed[(service,)] += count if fails else 0
        seconds[(service,)] += took * count
        for bound in [*BOUNDS, float("inf")]:
            buckets[service, "+Inf" if bound == float("inf") else repr(bound)] += count if took <= bound else 0
    return {
        "sum by (service, span_name) (traces_spanmetrics_calls_total)": calls,
        'sum by (service) (traces_spanmetrics_calls_total{status_code="STATUS_CODE_ERROR"})': +failed,
        "sum by (service, le) (traces_spanmetrics_latency_bucket)": buckets,
        "sum by (service) (traces_spanmetrics_latency_count)": Counter({
            (service,): sum(span[-1] for span in SPANS if span[0] == service) for service in ("cart", "payment")}),
        "sum by (service) (traces_spanmetrics_latency_sum)": seconds,
        'sum by (service) (traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER", http_route=~"/.+"})':
            Counter({("cart",): 50, ("payment",): 20}),
    }


def found(url: str, query: str, at: float) -> dict[tuple[str, ...], float]:
    labels = query.partition("(")[2].partition(")")[0].split(", ")
    status, answer = ask(url, "/api/v1/query", query=query, time=at)
    if status != 200:
        raise SystemExit(f"{query}: {status}: {answer}")
    return {
        tuple(series["metric"].get(label, "") for label in labels): float(series["value"][1])
        for series in answer["data"]["result"]
    }


def problems(agent: Agent, prometheus: Prometheus) -> list[str]:
    total = "sum by (job) (last_over_time(traces_spanmetrics_calls_total[5m]))"
    arrived = lambda times: sum(found(prometheus.url, total, time.time()).values()) == times * TOTAL
    problems = []
    for times in (1, 2):
        post(agent.http + "/v1/traces", spans(time.time()))
        if not wait_for(lambda: arrived(times)):
            return [f"after {times} requests Prometheus has {found(prometheus.url, total, time.time())}"]
        now = time.time()
        for query, once in expected().items():
            want = {key: value * times for key, value in once.items()}
            have = found(prometheus.url, query, now)
            if have.keys() != want.keys() or any(values(have[key], want[key]) for key in want):
                problems.append(f"{query}\n    is {have}\n    not {want}")
    at = time.time()
    # A count begins at zero, so that the first request is seen to have come.
    grown = found(prometheus.url, "sum by (job) (increase(traces_spanmetrics_calls_total[5m]))", at)
    if not 2 * TOTAL * 0.5 <= sum(grown.values()) <= 2 * TOTAL * 2:
        problems.append(f"increase() is {grown} of {2 * TOTAL}")
    for query in (
        '{__name__=~"traces_spanmetrics_.+"}',
        "histogram_quantile(0.9, sum by (service, le) (traces_spanmetrics_latency_bucket))",
        'sum by (service_name, http_route) (sidelight_operation_duration_seconds_count)',
    ):
        ours, theirs = (ask(url, "/api/v1/query", query=query, time=at) for url in (agent.admin, prometheus.url))
        if not ours[1]["data"]["result"]:
            problems.append(f"{query}: the agent has none")
        if differs := difference(ours, theirs, ordered=False):
            problems.append(f"{query}: {differs}")
    return problems


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--agent", required=True)
    arguments.add_argument("--prometheus", required=True)
    options = arguments.parse_args()
    prometheus = Prometheus(options.prometheus)
    exporters = (
        f"{{otlp_http/prometheus: {{endpoint: '{prometheus.url}', metrics_endpoint: '{prometheus.otlp}'}}}}\n"
        "aggregate: {export: {enabled: true, interval: 5s}}"
    )
    agent = Agent(options.agent, exporters)
    try:
        wrong = problems(agent, prometheus)
        wrong and print(agent.read_log()[-3000:])
    finally:
        ended = agent.stop()
        prometheus.stop()
    for problem in wrong + ended:
        print(problem)
    print(f"derived series in Prometheus: {'as they should be' if not wrong + ended else 'NOT as they should be'}")
    return 1 if wrong + ended else 0


if __name__ == "__main__":
    sys.exit(main())
