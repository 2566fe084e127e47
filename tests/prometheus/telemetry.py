"""An hour of metrics of a shop, as OTLP export requests of every 15 s: the same every time.

Cumulative counters with resets, gauges with gaps and NaN, up-down counters, histograms with explicit and with
exponential buckets, delta sums, a series that ends, one that begins late.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, DataPointFlags, Metric

STEP_SECONDS = 15
STEPS = 240
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
NO_VALUE = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
ROUTES = ["/cart", "/cart/{id}", "/checkout", "/search"]
RESET_AT = 100
ENDS_AT = 225


class Shop:
    """One instance of one service."""

    def __init__(self, service: str, instance: str, seed: int, start: int) -> None:
        self.service, self.instance = service, instance
        self.random = random.Random(seed)
        self.start = start
        self.forget()

    def forget(self) -> None:
        self.age = 0
        self.requests: dict[tuple[str, str], int] = {}
        self.buckets = {route: [0] * (len(BOUNDS) + 1) for route in ROUTES}
        self.sums = dict.fromkeys(ROUTES, 0.0)
        self.exponential: dict[int, int] = {}
        self.exponential_sum = 0.0

    def step(self, index: int, now: int, previous: int, request: ExportMetricsServiceRequest) -> None:
        if index == RESET_AT and self.instance.endswith("1"):
            self.forget()
            self.start = previous
        self.age += 1
        resource = request.resource_metrics.add()
        for key, value in (
            ("service.name", self.service),
            ("service.instance.id", self.instance),
            ("service.version", "1.4.2"),
            ("deployment.environment.name", "test"),
            ("host.name", f"host-{self.instance}"),
        ):
            resource.resource.attributes.add(key=key).value.string_value = value
        scope = resource.scope_metrics.add()
        scope.scope.name = "shop"
        add = lambda name, unit, text: scope.metrics.add(name=name, unit=unit, description=text)
        self.counters(add, index, now)
        self.gauges(add, index, now)
        self.histograms(add, now)
        self.deltas(add, index, now, previous)

    def counters(self, add, index: int, now: int) -> None:
        requests = add("http.server.requests", "{request}", "Requests.").sum
        requests.is_monotonic, requests.aggregation_temporality = True, CUMULATIVE
        for route in ROUTES:
            for status in ("200", "404", "500"):
                grown = self.random.randrange({"200": 60, "404": 5, "500": 3}[status])
                key = (route, status)
                self.requests[key] = self.requests.get(key, 0) + grown
                if status == "500" and index < 60 and route == "/search":
                    continue
                point = requests.data_points.add(start_time_unix_nano=self.start, time_unix_nano=now, as_int=self.requests[key])
                attributes(point, {"http.route": route, "http.response.status_code": status})
        seconds = add("process.cpu.time", "s", "CPU.").sum
        seconds.is_monotonic, seconds.aggregation_temporality = True, CUMULATIVE
        for state, share in (("user", 0.7), ("system", 0.1)):
            point = seconds.data_points.add(start_time_unix_nano=self.start, time_unix_nano=now, as_double=self.age * STEP_SECONDS * share)
            attributes(point, {"cpu.mode": state})
        pool = add("db.client.connection.count", "{connection}", "Connections.").sum
        pool.aggregation_temporality = CUMULATIVE
        for state in ("idle", "used"):
            point = pool.data_points.add(start_time_unix_nano=self.start, time_unix_nano=now, as_int=self.random.randrange(20))
            attributes(point, {"db.client.connection.state": state})

    def gauges(self, add, index: int, now: int) -> None:
        memory = add("process.memory.usage", "By", "Memory.").gauge
        memory.data_points.add(time_unix_nano=now, as_int=50_000_000 + 1_000_000 * index + self.random.randrange(500_000))
        temperature = add("room.temperature", "Cel", "Temperature.").gauge
        for room in ("north", "south"):
            value = 20 + 5 * math.sin(index / 20) + self.random.random()
            if room == "south" and 120 <= index < 150:
                continue
            if room == "north" and index % 37 == 5:
                value = math.nan
            point = temperature.data_points.add(time_unix_nano=now, as_double=value)
            attributes(point, {"room": room})
        if index > ENDS_AT:
            return
        ratio = add("cache.hit.ratio", "1", "Hits.").gauge
        if index < ENDS_AT:
            ratio.data_points.add(time_unix_nano=now, as_double=self.random.random())
        else:
            ratio.data_points.add(time_unix_nano=now, flags=NO_VALUE)

    def histograms(self, add, now: int) -> None:
        duration = add("http.server.request.duration", "s", "Durations.").histogram
        duration.aggregation_temporality = CUMULATIVE
        for route in ROUTES:
            for _ in range(self.random.randrange(40)):
                value = self.random.lognormvariate(-3, 1.2)
                self.buckets[route][next((i for i, bound in enumerate(BOUNDS) if value <= bound), len(BOUNDS))] += 1
                self.sums[route] += value
            point = duration.data_points.add(
                start_time_unix_nano=self.start,
                time_unix_nano=now,
                count=sum(self.buckets[route]),
                sum=self.sums[route],
                bucket_counts=self.buckets[route],
                explicit_bounds=BOUNDS,
            )
            attributes(point, {"http.route": route})
        exponential = add("rpc.server.duration", "ms", "Durations.").exponential_histogram
        exponential.aggregation_temporality = CUMULATIVE
        # At least one: where Prometheus begins a chunk, it takes the same histogram in another layout for a change.
        for _ in range(1 + self.random.randrange(60)):
            value = self.random.lognormvariate(3, 1)
            bucket = math.ceil(math.log2(value) * 2**3) - 1
            self.exponential[bucket] = self.exponential.get(bucket, 0) + 1
            self.exponential_sum += value
        if self.exponential:
            first, last = min(self.exponential), max(self.exponential)
            point = exponential.data_points.add(
                start_time_unix_nano=self.start,
                time_unix_nano=now,
                count=sum(self.exponential.values()),
                sum=self.exponential_sum,
                scale=3,
            )
            point.positive.offset = first
            point.positive.bucket_counts.extend(self.exponential.get(i, 0) for i in range(first, last + 1))

    def deltas(self, add, index: int, now: int, previous: int) -> None:
        jobs = add("jobs.done", "{job}", "Jobs.").sum
        jobs.is_monotonic, jobs.aggregation_temporality = True, DELTA
        for kind in ("mail", "report"):
            point = jobs.data_points.add(start_time_unix_nano=previous, time_unix_nano=now, as_int=self.random.randrange(9))
            attributes(point, {"kind": kind})


def attributes(point, pairs: dict[str, str]) -> None:
    for key, value in pairs.items():
        point.attributes.add(key=key).value.string_value = value


def requests(end_seconds: int) -> Iterator[bytes]:
    """The export requests of the hour that ends at `end_seconds`, in order."""
    nano = 1_000_000_000
    start = end_seconds - STEPS * STEP_SECONDS
    shops = [
        Shop(service, f"{service}-{number}", seed, start * nano)
        for seed, (service, number) in enumerate([("shop", 0), ("shop", 1), ("billing", 0), ("billing", 1)])
    ]
    for index in range(1, STEPS + 1):
        now = (start + index * STEP_SECONDS) * nano
        request = ExportMetricsServiceRequest()
        for shop in shops:
            shop.step(index, now, now - STEP_SECONDS * nano, request)
        yield request.SerializeToString()
