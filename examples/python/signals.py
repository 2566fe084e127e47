"""What stock instrumentation cannot know, said through the plain OpenTelemetry API.

The names are those of docs/signals.md: any SDK of any language that writes them is understood. SIGNALS chooses
how they are said:

    metrics  (default) as metrics, exact whatever is sampled
    spans    as attributes and events of spans, which the agent counts
    off      not at all: what stock instrumentation shows alone
"""

import contextlib
import os
import queue
import random
import sys
import threading
import time

from opentelemetry import metrics, trace
from opentelemetry.metrics import NoOpMeterProvider, Observation
from opentelemetry.trace import NoOpTracerProvider
from sqlalchemy import event

MODE = os.environ.get("SIGNALS", "metrics")
METRICS, SPANS = MODE == "metrics", MODE == "spans"

_meters = metrics.get_meter_provider() if METRICS else NoOpMeterProvider()
_tracers = trace.get_tracer_provider() if SPANS else NoOpTracerProvider()
meter = _meters.get_meter("shop.signals")
tracer = _tracers.get_tracer("shop.signals")

_seconds = [0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]


def _histogram(name, bounds=_seconds, unit="s"):
    return meter.create_histogram(name, unit=unit, explicit_bucket_boundaries_advisory=bounds)


def _outcome():
    """Of the block that is left now: call it in `except` or `finally`."""
    return "error" if sys.exc_info()[0] else "ok"


# Caches (S3)

cache_requests = meter.create_counter("sidelight.cache.requests", unit="{request}")
cache_duration = _histogram("sidelight.cache.request.duration")
cache_evictions = meter.create_counter("sidelight.cache.evictions", unit="{eviction}")


class Cache:
    """A cache whose entries live for some seconds and that says how well it does."""

    def __init__(self, name, type, limit, seconds=5.0):
        self.labels = {"cache.name": name, "cache.type": type}
        self.limit, self.seconds, self.entries = limit, seconds, {}
        self.lock = threading.Lock()
        named = {"cache.name": name}
        for metric, value in [
            ("sidelight.cache.entry.count", lambda: len(self.entries)),
            ("sidelight.cache.entry.limit", lambda: self.limit),
        ]:
            callback = lambda _, value=value: [Observation(value(), named)]
            meter.create_observable_up_down_counter(metric, [callback], unit="{entry}")

    @contextlib.contextmanager
    def lookup(self, key):
        started, found = time.monotonic(), Lookup(self, key)
        result = "hit" if found.hit else "miss"
        with tracer.start_as_current_span("cache lookup") as span:
            try:
                yield found
            except Exception:
                result = "error"
                raise
            finally:
                labels = {**self.labels, "cache.result": result}
                cache_requests.add(1, labels)
                cache_duration.record(time.monotonic() - started, labels)
                span.set_attributes({f"sidelight.{key}": value for key, value in labels.items()})

    def put(self, key, value):
        with self.lock:
            full = key not in self.entries and len(self.entries) >= self.limit
            if full:
                self.entries.pop(next(iter(self.entries)))
            self.entries[key] = (value, time.monotonic())
        if full:
            cache_evictions.add(1, {"cache.name": self.labels["cache.name"], "reason": "capacity"})


class Lookup:
    def __init__(self, cache, key):
        self.cache, self.key = cache, key
        value, written = cache.entries.get(key, (None, 0))
        self.value, self.hit = value, time.monotonic() - written < cache.seconds

    def fill(self, value):
        self.cache.put(self.key, value)
        return value


# Queues (S4)

queue_wait = _histogram("sidelight.queue.item.wait.duration")
queue_rejected = meter.create_counter("sidelight.queue.rejected", unit="{item}")


class Queue:
    """A bounded queue that says how full it is."""

    def __init__(self, name, type, capacity):
        self.labels = {"queue.name": name, "queue.type": type}
        self.items = queue.Queue(capacity)
        for metric, value in [
            ("sidelight.queue.size", self.items.qsize),
            ("sidelight.queue.capacity", lambda: capacity),
        ]:
            callback = lambda _, value=value: [Observation(value(), self.labels)]
            meter.create_observable_up_down_counter(metric, [callback], unit="{item}")

    def put(self, item):
        try:
            self.items.put_nowait((item, time.monotonic()))
            return True
        except queue.Full:
            queue_rejected.add(1, {"queue.name": self.labels["queue.name"], "reason": "full"})
            return False

    def get(self):
        item, since = self.items.get()
        queue_wait.record(time.monotonic() - since, self.labels)
        return item


# Connections (S5): stock instrumentation shows how many are used, not how old they are.

AGES = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 14400, 28800, 43200]

connections_opened = meter.create_counter("sidelight.connection.opened", unit="{connection}")
connections_closed = meter.create_counter("sidelight.connection.closed", unit="{connection}")
connection_reuses = meter.create_counter("sidelight.connection.reuses", unit="{connection}")
connection_duration = _histogram("sidelight.connection.duration", AGES)


def watch_pool(engine, pool):
    """Follows the connections of a SQLAlchemy engine from opening to closing."""
    labels = {"connection.type": "db", "pool.name": pool}
    opened, lock = {}, threading.Lock()

    @event.listens_for(engine, "connect")
    def _(connection, record):
        with lock:
            opened[connection] = [time.monotonic(), 0]
        connections_opened.add(1, labels)

    @event.listens_for(engine, "checkout")
    def _(connection, record, proxy):
        with lock:
            known = opened.get(connection)
            if known and known[1]:
                connection_reuses.add(1, labels)
            if known:
                known[1] += 1

    @event.listens_for(engine, "close")
    def _(connection, record):
        with lock:
            known = opened.pop(connection, None)
        connections_closed.add(1, labels)
        if known:
            connection_duration.record(time.monotonic() - known[0], labels)

    def ages():
        now = time.monotonic()
        with lock:
            return [now - since for since, _ in opened.values()]

    def live(_):
        known = ages()
        for bound in [*AGES, float("inf")]:
            le = "+Inf" if bound == float("inf") else str(bound)
            yield Observation(sum(age <= bound for age in known), {**labels, "age.le": le})

    def mean(_):
        known = ages()
        return [Observation(sum(known) / len(known), labels)] if known else []

    meter.create_observable_up_down_counter(
        "sidelight.connection.live_age.count", [live], unit="{connection}"
    )
    meter.create_observable_gauge("sidelight.connection.age.mean", [mean], unit="s")
    meter.create_observable_gauge(
        "sidelight.connection.age.max",
        [lambda _: [Observation(max(known), labels)] if (known := ages()) else []],
        unit="s",
    )


# Retries (S8)

retry_attempts = meter.create_counter("sidelight.retry.attempts", unit="{attempt}")
retry_backoff = _histogram("sidelight.retry.backoff.duration")
operation_retries = _histogram("sidelight.retry.operation.retries", [0, 1, 2, 3, 5, 10], "{retry}")


@contextlib.contextmanager
def retries(operation, attempts_max=4):
    """Attempts with a growing pause between them; the last failure is the caller's."""
    done = [0]

    def all_attempts():
        while done[0] >= 0:
            number = done[0]

            @contextlib.contextmanager
            def attempt(*retryable):
                with tracer.start_as_current_span(operation) as span:
                    span.set_attribute("http.request.resend_count", number)
                    try:
                        yield
                    except retryable as error:
                        reason = type(error).__name__
                        span.set_attribute("error.type", reason)
                        span.set_status(trace.StatusCode.ERROR)
                        if number + 1 >= attempts_max:
                            _attempt(operation, reason, "exhausted")
                            raise
                        _attempt(operation, reason, "retry")
                        pause = 0.02 * 2**number * random.uniform(0.5, 1.0)
                        retry_backoff.record(
                            pause,
                            {"operation.name": operation, "reason": reason, "retry.attempt": number},
                        )
                        done[0] = number + 1
                        time.sleep(pause)
                    else:
                        _attempt(operation, "none", "success")
                        done[0] = ~number

            yield attempt

    try:
        yield all_attempts()
    finally:
        count = done[0] if done[0] >= 0 else ~done[0]
        operation_retries.record(count, {"operation.name": operation, "outcome": _outcome()})


def _attempt(operation, reason, result):
    labels = {"operation.name": operation, "attempt.result": result}
    retry_attempts.add(1, labels if reason == "none" else {**labels, "reason": reason})


# Features (S9) and intents (S11)

feature_uses = meter.create_counter("sidelight.feature.uses", unit="{use}")
feature_duration = _histogram("sidelight.feature.use.duration")
intents = meter.create_counter("sidelight.intent.detections", unit="{detection}")


@contextlib.contextmanager
def feature(name, user=None, pattern="direct"):
    """A use of a feature. Who used it is said on the span alone, and the agent keeps no more than a sketch of it."""
    started = time.monotonic()
    flag = {"feature_flag.key": name, "feature_flag.result.variant": "on"}
    if user:
        flag["user.id"] = user
    if MODE != "off":
        trace.get_current_span().add_event("feature_flag.evaluation", flag)
    try:
        yield
    finally:
        labels = {"feature.name": name, "outcome": _outcome()}
        feature_uses.add(1, {**labels, "feature.type": "component", "usage.pattern": pattern})
        feature_duration.record(time.monotonic() - started, labels)


def intent(type, confidence):
    level = "high" if confidence >= 0.8 else "medium" if confidence >= 0.5 else "low"
    intents.add(1, {"intent.type": type, "confidence": level})
    if SPANS:
        trace.get_current_span().add_event(
            "sidelight.intent", {"intent.type": type, "confidence": confidence}
        )


# Language models (S6): what the provider's own record says, never an estimate.

llm_tokens = meter.create_counter("sidelight.gen_ai.tokens", unit="{token}")
llm_requests = meter.create_counter("sidelight.gen_ai.requests", unit="{request}")
llm_last_call = meter.create_gauge("sidelight.gen_ai.last_call.timestamp", unit="s")


def model_call(model, input_tokens, output_tokens, provider="example"):
    labels = {"gen_ai.provider.name": provider, "gen_ai.request.model": model}
    for type, count in [("input", input_tokens), ("output", output_tokens)]:
        llm_tokens.add(count, {**labels, "gen_ai.token.type": type})
    llm_requests.add(1, {**labels, "outcome": "ok"})
    llm_last_call.set(time.time(), labels)
    with tracer.start_as_current_span(f"chat {model}", kind=trace.SpanKind.CLIENT) as span:
        span.set_attributes(
            {
                **labels,
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.input_tokens": input_tokens,
                "gen_ai.usage.output_tokens": output_tokens,
            }
        )
