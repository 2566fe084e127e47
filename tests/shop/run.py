"""The example shop under its own load, against the agent: what it did is what shows, to the last request and span.

run.py --agent target/release/sidelight --shop target/shop/debug/shop

The shop sends itself requests for eight seconds and says what it sent. Then it is told to end at once: what it had not yet
exported has to arrive all the same. Every number at the agent is compared with what the shop says it did, every family
of signals as a view and as series, and log lines with the requests they belong to. Ends with `shop: N passed, M failed`.

Shorter than usual: metrics are exported every 2 s. Features are judged once a minute, and so this takes up to 80 s.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("alertmanager_run", ROOT / "tests/alertmanager/run.py")
alertmanager = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(alertmanager)
free_port, get, wait = alertmanager.free_port, alertmanager.get, alertmanager.wait

LOAD_SECONDS = 8
# Lines of the example that are there for Sidelight.
LINES_MAX = 60
INSTRUMENTED = re.compile(
    r"sidelight::|\bllm::|\b(call|lookup|evictions|attempts|followed|opened|used|idle|sized|_waiting|_request)\b[.:;( ]"
    r"|\b(ARTICLES|MAILS|EXPRESS|SOLD|DATABASE|RESERVE|current)\b"
)

# Of a view: what it shows, and which columns have a value.
VIEWS = [
    ("overview", {}, ["requests_per_second", "error_ratio", "p95_seconds", "health_score", "system_score"]),
    ("routes", {}, ["requests_per_second", "p95_seconds", "severity", "impact"]),
    ("caches", {"cache_name": "articles"}, ["hit_ratio", "group", "efficiency", "hit_seconds", "miss_seconds", "entries"]),
    ("caches/routes", {}, ["hit_ratio", "lookups_per_second"]),
    ("queues", {"queue_name": "mails"}, ["size", "capacity", "utilization", "wait_p95_seconds"]),
    ("connections", {"pool_name": "shop"}, ["max", "health", "old_ratio", "opened", "reuses"]),
    ("retries", {"operation_name": "stock.reserve"}, ["retries_per_second", "attempts", "backoff_p95_seconds"]),
    ("features", {"feature_name": "express"}, ["uses", "users", "success_ratio", "peak_hour_utc"]),
    ("intents", {"intent_type": "track_order"}, ["detections"]),
    ("llm", {"gen_ai_request_model": "house-7b"}, ["requests", "input_tokens", "output_tokens", "last_call_seconds"]),
    ("logs", {"severity": "info"}, ["records"]),
    ("score", {}, ["health_score", "health_grade", "latency", "cache", "errors", "pools", "queues", "caches", "features"]),
]


class World:
    """The agent, and the shop that reports to it."""

    def __init__(self, directory: Path, agent: str, shop: str) -> None:
        self.directory, self.grpc, self.admin = directory, free_port(), free_port()
        (directory / "config.yaml").write_text(
            f"""
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{self.grpc}'}}, http: {{enabled: false}}}}}}}}
journal: {{directory: '{directory}/journal'}}
admin: {{endpoint: '127.0.0.1:{self.admin}'}}
"""
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SIDELIGHT_", "RUST_LOG"))}
        self.agent = self.launch([agent, "run", "--config", directory / "config.yaml"], "agent.log", kept)
        wait("the agent is ready", lambda: self.answers("/readyz"))
        self.shop = self.launch([shop, "--port", free_port(), "--load", LOAD_SECONDS], "shop.log", kept | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.grpc}",
            "OTEL_METRIC_EXPORT_INTERVAL": "2000",
            "TMPDIR": str(directory),
        })

    def launch(self, command: list, log: str, environment: dict) -> subprocess.Popen:
        file = open(self.directory / log, "w")
        return subprocess.Popen(
            [str(part) for part in command], env=environment | {"NO_PROXY": "127.0.0.1"}, stdout=file, stderr=file,
            stdin=subprocess.DEVNULL,
        )

    def answers(self, path: str) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5) as response:
            return response.status == 200

    def lines(self) -> list[dict]:
        text = (self.directory / "shop.log").read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def done(self) -> dict[str, int]:
        """What the load was, once it is over."""
        said = [line for line in self.lines() if line["message"] == "load"]
        return json.loads(said[0]["done"]) if said else {}

    def value(self, expr: str) -> float:
        """The sum of what an expression gives."""
        asked = urllib.parse.quote(expr)
        found = get(f"http://127.0.0.1:{self.admin}/api/v1/query?query={asked}")["data"]["result"]
        return sum(float(series["value"][1]) for series in found)

    def view(self, name: str, keys: dict) -> list[dict]:
        rows = get(f"http://127.0.0.1:{self.admin}/api/sidelight/v1/{name}?range=5m")["rows"]
        return [row for row in rows if ({"service_name": "shop"} | keys).items() <= row.items()]

    def stop(self) -> None:
        for process in (self.shop, self.agent):
            process.kill()
            process.wait()


class Checks:
    def __init__(self) -> None:
        self.passed = self.failed = 0

    def check(self, name: str, holds, seconds: float = 10.0) -> None:
        """Passes once `holds` says nothing is wrong; shows the last that was."""
        end, wrong = time.monotonic() + seconds, "not asked"
        while wrong:
            try:
                wrong = holds()
            except (OSError, AssertionError, KeyError) as error:
                wrong = f"{type(error).__name__}: {error}"
            if wrong and time.monotonic() > end:
                break
            if wrong:
                time.sleep(0.5)
        if wrong:
            self.failed += 1
            print(f"FAIL {name}: {wrong}", flush=True)
        else:
            self.passed += 1
            print(f"ok   {name}", flush=True)

    def equal(self, name: str, found, wanted: float) -> None:
        self.check(f"{name}: {wanted:g}", lambda: (value := found()) != wanted and f"{value:g}")


def counts(checks: Checks, world: World, done: dict[str, int]) -> None:
    """Counters equal to what was done."""
    of = lambda start: sum(count for what, count in done.items() if what.startswith(start))  # noqa: E731
    all_requests, orders, asks = sum(done.values()), of("POST /orders"), of("POST /ask")
    articles, reports, coupons = of("GET /articles"), of("GET /report"), of("GET /coupons")
    metric = lambda expr: lambda: world.value(expr)  # noqa: E731
    equal = lambda name, expr, wanted: checks.equal(name, metric(expr), wanted)  # noqa: E731

    for what, wanted in done.items():
        method, route, status = what.split()
        route = f'http_route="{route}"' if route != "/nowhere" else 'http_route=""'
        labels = f'http_request_method="{method}",http_response_status_code="{status}",{route}'
        equal(f"requests {what}", f"http_server_request_duration_seconds_count{{{labels}}}", wanted)
    equal("sizes of answers", "http_server_response_body_size_bytes_count", all_requests)
    equal("no request is under way", "http_server_active_requests", 0)
    equal("rate limited", 'sidelight_http_rate_limited_total{http_route="/coupons/{code}"}', coupons)
    equal("lookups", 'sidelight_cache_requests_total{http_route="/articles/{id}"}', articles)
    equal("timed lookups", "sidelight_cache_request_duration_seconds_count", articles)
    equal("mails that waited", "sidelight_queue_item_wait_duration_seconds_count", orders)
    equal("mails that still wait", "sidelight_queue_size", 0)
    equal("reservations", 'sidelight_retry_attempts_total{attempt_result="success"}', orders)
    equal("retries", 'sidelight_retry_attempts_total{attempt_result="retry"}',
          world.value("sidelight_retry_operation_retries_sum"))
    equal("waits between attempts", "sidelight_retry_backoff_duration_seconds_count",
          world.value("sidelight_retry_operation_retries_sum"))
    equal("requests to the warehouse", 'http_client_request_duration_seconds_count{url_template="/stock/{article}"}',
          orders + world.value("sidelight_retry_operation_retries_sum"))
    equal("busy answers are errors of the client", 'http_client_request_duration_seconds_count{error_type="503"}',
          world.value("sidelight_retry_operation_retries_sum"))
    checks.check("connections", lambda: not 1 <= (opened := world.value("sidelight_connection_opened_total")) <= 4 and opened)
    equal("connections in use at the end", 'db_client_connection_count{db_client_connection_state="used"}', 0)
    equal("waits for connections", "db_client_connection_wait_time_seconds_count",
          orders + world.value('sidelight_cache_requests_total{cache_result="miss"}'))
    equal("uses of the feature", 'sidelight_feature_uses_total{feature_name="express",outcome="ok"}',
          world.value('shop_articles_sold_total{delivery="express"}'))
    equal("articles sold", "shop_articles_sold_total", orders)
    equal("intents", 'sidelight_intent_detections_total{intent_type="track_order",confidence="high"}', asks)
    equal("calls of the model", 'sidelight_gen_ai_requests_total{outcome="ok"}', asks)
    equal("tokens sent", 'sidelight_gen_ai_tokens_total{gen_ai_token_type="input"}', 2006 * asks)
    equal("tokens received", 'sidelight_gen_ai_tokens_total{gen_ai_token_type="output"}', 300 * asks)
    equal("cached tokens", 'sidelight_gen_ai_tokens_detail_total{gen_ai_token_type="cache_read"}', 1920 * asks)
    checks.check("cost", lambda: abs(world.value("sidelight_gen_ai_cost_usd_total") - 300 * asks * 2e-7) > 1e-9 and "differs")
    equal("reports", 'sidelight_operation_duration_seconds_count{operation_name="report.build"}', reports)
    equal("reports over the threshold", "sidelight_operation_threshold_exceeded_total", reports)
    # Every other customer of forty buys articles of even numbers.
    checks.check("users of the feature", lambda: not 5 <= (
        users := world.value('max(sidelight_feature_user_estimate{window="1h"})')
    ) <= 21 and users)
    spans(checks, world, all_requests, {
        "orders": orders, "reports": reports, "calls": 2 * asks, "tries": world.value("sidelight_retry_attempts_total"),
        "reads": world.value('sidelight_cache_requests_total{cache_result="miss"}'),
    })


def spans(checks: Checks, world: World, all_requests: int, others: dict[str, float]) -> None:
    """Not one is lost by SIGTERM."""
    server = 'traces_spanmetrics_calls_total{service="shop",span_kind="SPAN_KIND_SERVER"}'
    checks.equal("server spans", lambda: world.value(server), all_requests)
    every = 'traces_spanmetrics_calls_total{service="shop"}'
    checks.equal("spans", lambda: world.value(every), all_requests + sum(others.values()))


def logs(checks: Checks, world: World, done: dict[str, int]) -> None:
    """Log lines, and the requests and traces that they belong to."""
    lines = world.lines()
    ordered = [line for line in lines if line["message"] == "ordered"]
    mailed = [line for line in lines if line["message"] == "mail sent"]
    orders = sum(count for what, count in done.items() if what.startswith("POST /orders"))
    ids = {line.get("request_id") for line in ordered}
    checks.equal("log lines of orders", lambda: len(ordered), orders)
    checks.check("each order has the id of its caller", lambda: len(ids) != orders and f"{len(ids)} ids")
    checks.check("ids are those of the load", lambda: [i for i in ids if not re.fullmatch(r"load-\d+-\d+", i or "")][:3])
    checks.check("mails have the id of their order", lambda: {line.get("request_id") for line in mailed} ^ ids)
    checks.check("orders have a trace", lambda: [
        line for line in ordered if not re.fullmatch("[0-9a-f]{32}", line.get("trace_id", ""))
    ][:1])
    traces = {line.get("trace_id") for line in ordered}
    checks.check("each request is a trace of its own", lambda: len(traces) != orders and f"{len(traces)} traces")
    checks.check("every line says whose it is", lambda: [line for line in lines if line.get("service.name") != "shop"][:1])
    checks.equal("log records", lambda: world.value("sidelight_log_records_total"), len(lines))


def families(checks: Checks, world: World) -> None:
    """Every family as a view. Features are judged once a minute."""
    for name, keys, columns in VIEWS:
        def shows(name=name, keys=keys, columns=columns):
            rows = world.view(name, keys)
            best = min(rows, key=lambda row: sum(row.get(column) is None for column in columns), default=None)
            if best is None:
                return "no row"
            return [column for column in columns if best.get(column) is None]

        checks.check(f"view {name}", shows, 75.0)
    for name in ("cpu_time_seconds_total", "memory_usage_bytes", "memory_virtual_bytes", "thread_count",
                 "unix_file_descriptor_count", "uptime_seconds"):
        expr = f'sum(process_{name}{{service_name="shop"}})'
        checks.check(f"process.{name}", lambda expr=expr: not world.value(expr) > 0 and "nothing")
    checks.check("host", lambda: not world.value("count(system_memory_utilization_ratio)") and "nothing")


def lines_of_example(checks: Checks) -> None:
    sources = [ROOT / "examples/rust/shop/src" / name for name in ("main.rs", "database.rs", "warehouse.rs", "assistant.rs")]
    code = [line for source in sources for line in source.read_text().splitlines() if not line.lstrip().startswith("//")]
    found = [line for line in code if INSTRUMENTED.search(line)]
    print(f"     {len(found)} of {len(code)} lines of the example are there for Sidelight")
    checks.check(f"less than {LINES_MAX} lines instrument the example", lambda: len(found) >= LINES_MAX and len(found))


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--agent", required=True)
    arguments.add_argument("--shop", required=True)
    chosen = arguments.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="sidelight-shop-") as directory:
        world = World(Path(directory), os.path.abspath(chosen.agent), os.path.abspath(chosen.shop))
        try:
            done = wait("the load is over", world.done, LOAD_SECONDS + 30)
            print("    ", json.dumps(done))
            # At once: spans of the last seconds are not exported yet.
            world.shop.send_signal(signal.SIGTERM)
            checks.check("SIGTERM ends the shop in order", lambda: world.shop.wait(10))
            counts(checks, world, done)
            logs(checks, world, done)
            lines_of_example(checks)
            families(checks, world)
            if checks.failed:
                print((world.directory / "shop.log").read_text()[-1500:])
        finally:
            world.stop()
    print(f"shop: {checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
