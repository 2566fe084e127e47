"""The example services under load: what shows of them, and an alert from its first failure to its end.

run.py --agent target/release/sidelight --alertmanager BINARY [--node DIRECTORY] [--postgres DIRECTORY]

Runs in a virtual environment with examples/python/requirements.txt. DIRECTORY is where examples/node is installed, and
where PostgreSQL has its programs; without them the Node service is left out. Every destination is unreachable all the
while. Four parts:

1. The services with stock instrumentation alone: routes, pools and health within 15 s of the first request.
2. The same with examples/python/signals.py, as metrics and as spans: every family of signals, as a view and in PromQL.
3. A quarter of the requests fails: HighErrorRate reaches a webhook and a real Alertmanager, is the same alert after a
   SIGKILL, and is resolved at both.
4. Bursts of calls that all fail, of services that were never heard of: from each to the webhook. Wanted are the interval of the
   rules and 2 s, 7 s. The seconds are told; what is held is the evaluation that sees them, the first after the next sample.

Shorter than usual: SDKs export metrics every 2 s and spans every second, alerts are sent again every 2 s
(rules.resend_delay), and the webhook's groups every second. Thresholds and the intervals of the rules are the built-in
ones: features are judged once a minute, and so this takes a minute and a half. Ends with `signals: N passed, M failed`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("alertmanager_run", ROOT / "tests/alertmanager/run.py")
alertmanager = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(alertmanager)
free_port, get, wait = alertmanager.free_port, alertmanager.get, alertmanager.wait

BIN = Path(sys.executable).parent
# From the first request to what shows of it.
SHOWN_SECONDS = 15.0
# What runs once a minute has run by then.
FAMILY_SECONDS = 75.0
# Below what the services answer where two processors build something else beside them.
RATE = 12
# How often spans are sampled and the built-in rules evaluated, and how many bursts are timed.
INTERVAL = 5
BURSTS = 6

WANTED = {"alertname": "HighErrorRate", "service_name": "shop-failing", "severity": "critical"}

# Of a view: who shows there, by what of it, and which columns have a value.
VIEWS = [
    ("caches", "shop-metrics", {"cache_name": "products"}, ["hit_ratio", "group", "lookups_per_second", "efficiency", "entries"]),
    ("caches", "shop-spans", {"cache_name": "products"}, ["hit_ratio", "group", "lookups_per_second"]),
    ("caches/routes", "shop-spans", {}, ["hit_ratio", "lookups_per_second"]),
    ("queues", "shop-metrics", {"queue_name": "mails"}, ["size", "capacity", "utilization", "wait_p95_seconds"]),
    ("connections", "shop-metrics", {"pool_name": "shop"}, ["health", "old_ratio", "opened", "reuses"]),
    ("retries", "shop-metrics", {"operation_name": "pay"}, ["retries_per_second", "attempts", "backoff_p95_seconds"]),
    ("retries", "shop-spans", {"operation_name": "pay"}, ["attempts"]),
    ("features", "shop-metrics", {"feature_name": "checkout"}, ["uses", "users", "success_ratio", "peak_hour_utc"]),
    ("features", "shop-spans", {"feature_name": "checkout"}, ["uses", "users"]),
    ("intents", "shop-metrics", {"intent_type": "buy"}, ["detections"]),
    ("intents", "shop-spans", {"intent_type": "buy"}, ["detections"]),
    ("llm", "shop-metrics", {"gen_ai_request_model": "small-1"}, ["requests", "input_tokens", "output_tokens", "last_call_seconds"]),
    ("llm", "shop-spans", {"gen_ai_request_model": "small-1"}, ["requests", "input_tokens", "output_tokens"]),
    ("logs", "shop-metrics", {"severity": "error"}, ["records"]),
    ("score", "shop-metrics", {}, ["health_score", "health_grade", "latency", "cache", "errors", "system_score", "pools", "queues", "caches", "features"]),
    ("overview", "shop-metrics", {}, ["requests_per_second", "error_ratio", "p95_seconds", "health_score", "system_score"]),
]

# Series that the agent has by the names of the design.
NAMES = [
    ("shop-metrics", "sidelight_cache_requests_total"),
    ("shop-metrics", "sidelight_cache_request_duration_seconds_count"),
    ("shop-metrics", "sidelight_cache_entry_count"),
    ("shop-metrics", "sidelight_queue_size"),
    ("shop-metrics", "sidelight_queue_capacity"),
    ("shop-metrics", "sidelight_queue_item_wait_duration_seconds_count"),
    ("shop-metrics", 'sidelight_connection_live_age_count{age_le="+Inf"}'),
    ("shop-metrics", "sidelight_connection_age_mean_seconds"),
    ("shop-metrics", "sidelight_connection_opened_total"),
    ("shop-metrics", "sidelight_connection_reuses_total"),
    ("shop-metrics", "sidelight_retry_attempts_total"),
    ("shop-metrics", "sidelight_retry_backoff_duration_seconds_count"),
    ("shop-metrics", "sidelight_retry_operation_retries_sum"),
    ("shop-metrics", "sidelight_feature_uses_total"),
    ("shop-metrics", "sidelight_feature_use_duration_seconds_count"),
    ("shop-metrics", "sidelight_feature_user_estimate > 1"),
    ("shop-metrics", "sidelight_intent_detections_total"),
    ("shop-metrics", "sidelight_gen_ai_tokens_total"),
    ("shop-metrics", "sidelight_gen_ai_requests_total"),
    ("shop-metrics", "sidelight_gen_ai_last_call_timestamp_seconds"),
    ("shop-metrics", "sidelight_log_records_total"),
    ("shop-metrics", "sidelight_operation_duration_seconds_count"),
    ("shop-metrics", "traces_spanmetrics_calls_total"),
    ("shop-spans", "sidelight_cache_requests_total"),
    ("shop-spans", "sidelight_retry_attempts_total"),
    ("shop-spans", "sidelight_feature_uses_total"),
    ("shop-spans", "sidelight_intent_detections_total"),
    ("shop-spans", "sidelight_gen_ai_tokens_total"),
]


class World(alertmanager.World):
    """The agent with its own rules, a webhook, an Alertmanager, and the services beside it."""

    def configure(self, directory: Path) -> None:
        self.services: list[subprocess.Popen] = []
        self.postgres_directory = None
        (directory / "config.yaml").write_text(
            f"""
receivers: {{otlp: {{protocols: {{grpc: {{enabled: false}}, http: {{endpoint: '127.0.0.1:{self.http}'}}}}}}}}
journal: {{directory: '{directory}/journal'}}
exporters:
  otlp_http/away: {{endpoint: 'http://127.0.0.1:{free_port()}'}}
  otlp_grpc/gone: {{endpoint: 'http://127.0.0.1:{free_port()}'}}
admin: {{endpoint: '127.0.0.1:{self.admin}'}}
rules: {{resend_delay: 2s}}
alerting:
  alertmanagers: [{{url: '{self.manager_url}'}}]
  webhooks: [{{url: '{self.webhook.url}', name: hook, group_interval: 1s}}]
"""
        )

    def launch(self, command: list, service: str, directory: Path, **more: str) -> subprocess.Popen:
        """A program under stock instrumentation that tells the agent everything."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SIDELIGHT_"))}
        environment = kept | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.http}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_SERVICE_NAME": service,
            "OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={service}-1",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRIC_EXPORT_INTERVAL": "2000",
            "OTEL_BSP_SCHEDULE_DELAY": "1000",
            "OTEL_BLRP_SCHEDULE_DELAY": "1000",
            "NO_PROXY": "127.0.0.1",
            "PYTHONDONTWRITEBYTECODE": "1",
            # Where the shop has its database.
            "TMPDIR": str(self.directory),
            **more,
        }
        log = open(self.directory / f"{service}.log", "a")
        process = subprocess.Popen(
            [str(part) for part in command], cwd=directory, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        self.services.append(process)
        return process

    def service(self, kind: str, service: str, signals: str) -> str:
        """Starts one of the Python services; its address."""
        port = free_port()
        run = {
            "flask": [BIN / "flask", "--app", "app_flask", "run", "-p", port],
            "fastapi": [BIN / "uvicorn", "app_fastapi:app", "--port", port],
        }[kind]
        self.launch([BIN / "opentelemetry-instrument", *run], service, ROOT / "examples/python", SIGNALS=signals)
        return f"http://127.0.0.1:{port}"

    def node(self, directory: Path, postgres: Path) -> str:
        port, database = free_port(), self.postgres(postgres)
        command = ["node", "--require", "@opentelemetry/auto-instrumentations-node/register", "server.js"]
        self.launch(
            command, "shop-node", directory, PORT=str(port), PGPORT=str(database), PGUSER="postgres", PGHOST="127.0.0.1"
        )
        return f"http://127.0.0.1:{port}"

    def postgres(self, programs: Path) -> int:
        """A PostgreSQL of its own: it refuses to be root's. Its port."""
        self.postgres_directory = directory = Path(tempfile.mkdtemp(prefix="sidelight-postgres-"))
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if user:
            shutil.chown(directory, "postgres")
        port = free_port()
        cluster = ["-D", str(directory / "cluster")]
        log = open(self.directory / "postgres.log", "w")
        subprocess.run(
            [*user, str(programs / "initdb"), *cluster, "-U", "postgres", "-A", "trust", "--no-sync"],
            check=True, cwd=directory, stdout=log, stderr=log,
        )
        command = [*user, str(programs / "postgres"), *cluster, "-p", str(port), "-h", "127.0.0.1", "-k", str(directory), "-F"]
        self.services.append(subprocess.Popen(command, cwd=directory, stdout=log, stderr=log))

        def listens() -> bool:
            asked = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
            return subprocess.run(asked).returncode == 0

        wait("PostgreSQL is ready", listens)
        return port

    def load(self, base: str, seconds: float, *more: str, rate: int = RATE) -> subprocess.Popen:
        command = [sys.executable, "load.py", base, "--seconds", str(seconds), "--rate", str(rate), *more]
        log = open(self.directory / "load.log", "a")
        environment = os.environ | {"NO_PROXY": "127.0.0.1"}
        process = subprocess.Popen(command, cwd=ROOT / "examples/python", env=environment, stdout=log, stderr=log)
        self.services.append(process)
        return process

    def answers(self, *bases: str) -> None:
        for base in bases:
            wait(f"{base} answers", lambda base=base: get(base + "/healthz") is not None, 60)

    def view(self, name: str, **keys: str) -> list[dict]:
        answer = get(f"http://127.0.0.1:{self.admin}/api/sidelight/v1/{name}?range=5m")
        return [row for row in answer["rows"] if keys.items() <= row.items()]

    def query(self, expr: str) -> list[dict]:
        asked = urllib.parse.quote(expr)
        return get(f"http://127.0.0.1:{self.admin}/api/v1/query?query={asked}")["data"]["result"]

    def fail(self, service: str, calls: int) -> None:
        """So many calls of a service that all fail."""
        ended = time.time_ns()
        spans = [
            {
                "traceId": os.urandom(16).hex(),
                "spanId": os.urandom(8).hex(),
                "name": "Shop/Buy",
                "kind": 2,
                "startTimeUnixNano": str(ended - 20_000_000),
                "endTimeUnixNano": str(ended),
                "attributes": [{"key": "rpc.method", "value": {"stringValue": "Shop/Buy"}}],
                "status": {"code": 2},
            }
            for _ in range(calls)
        ]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
        url, headers = f"http://127.0.0.1:{self.http}/v1/traces", {"content-type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        urllib.request.urlopen(request, timeout=5).read()

    def alerts(self) -> list:
        """HighErrorRate of the failing service, as Alertmanager has it. Chance may have the others fail as much."""
        return [alert for alert in get(self.manager_url + "/api/v2/alerts") if WANTED.items() <= alert["labels"].items()]

    def hooked(self) -> list[dict]:
        """The same, as the webhook was told, oldest first."""
        told = [alert for _, body in list(self.webhook.bodies) for alert in body["alerts"]]
        return [alert for alert in told if WANTED.items() <= alert["labels"].items()]

    def end_services(self) -> None:
        for process in self.services:
            process.terminate()
        for process in self.services:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.services = []

    def stop(self) -> None:
        self.end_services()
        super().stop()
        if self.postgres_directory:
            shutil.rmtree(self.postgres_directory, ignore_errors=True)


class Checks:
    def __init__(self, world: World) -> None:
        self.world, self.passed, self.failed = world, 0, 0

    def check(self, name: str, holds, seconds: float = 5.0) -> None:
        """Passes once `holds` says nothing is wrong; shows the last that was."""
        end, wrong = time.monotonic() + seconds, "not asked"
        started = time.monotonic()
        while wrong:
            try:
                wrong = holds()
            except (OSError, AssertionError) as error:
                wrong = str(error) or type(error).__name__
            if wrong and time.monotonic() > end:
                break
            if wrong:
                time.sleep(0.2)
        self.passed += not wrong
        self.failed += bool(wrong)
        took = f" ({time.monotonic() - started:.1f} s)" if seconds > 5.0 else ""
        print(f"FAIL  {name}: {wrong}" if wrong else f"ok    {name}{took}", flush=True)

    def by(self, deadline: float, judged: dict) -> None:
        """Passes what is asked, and holds, before the deadline; everything is asked in turn until then."""
        wrong = dict.fromkeys(judged, "not asked in time")
        began = time.monotonic()
        while wrong and time.monotonic() < deadline:
            for name in list(wrong):
                if time.monotonic() >= deadline:
                    break
                try:
                    wrong[name] = judged[name]()
                except (OSError, AssertionError) as error:
                    wrong[name] = str(error) or type(error).__name__
                if not wrong[name]:
                    del wrong[name]
                    self.passed += 1
                    print(f"ok    {name} ({time.monotonic() - began:.1f} s)", flush=True)
            time.sleep(0.1)
        for name, found in wrong.items():
            self.failed += 1
            print(f"FAIL  {name}: {found}", flush=True)

    def shows(self, name: str, view: str, keys: dict, columns: list[str], seconds: float) -> None:
        self.check(name, self.shown(view, keys, columns), seconds)

    def shown(self, view: str, keys: dict, columns: list[str]):
        def holds() -> str:
            rows = self.world.view(view, **keys)
            # One row has to have them all.
            missing = [[column for column in columns if row.get(column) is None] for row in rows]
            return "" if [] in missing else f"no row with {columns} for {keys}: {json.dumps(rows)[:600]}"

        return holds


def stock_instrumentation(checks: Checks, options) -> None:
    world = checks.world
    bases = {
        "shop-flask": world.service("flask", "shop-flask", "off"),
        "shop-fastapi": world.service("fastapi", "shop-fastapi", "off"),
    }
    if options.node and options.postgres:
        bases["shop-node"] = world.node(options.node, options.postgres)
    else:
        print("      without the Node service: it needs --node and --postgres", flush=True)
    world.answers(*bases.values())
    started = time.monotonic()
    for base in bases.values():
        world.load(base, 30)
        # Rare in the load: chance could leave it out for seconds.
        try:
            get(base + "/broken")
        except OSError:
            pass

    quantiles = ["p50_seconds", "p95_seconds", "p99_seconds", "severity", "error_ratio", "requests_per_second", "impact", "apdex"]
    routes = {"shop-flask": "/products/<int:product_id>", "shop-fastapi": "/products/{product_id}", "shop-node": "/products/:id"}
    judged = {}
    for name in bases:
        own = {"service_name": name}
        route = own | {"http_route": routes[name]}
        judged |= {
            f"{name}: P50, P95, P99, severity of a route": checks.shown("routes", route, quantiles),
            f"{name}: the broken route fails": lambda own=own: broken(world, own),
            f"{name}: the slow route is slow": lambda own=own: slow(world, own),
            f"{name}: the use of the pool": checks.shown("connections", own, ["used", "idle"]),
            f"{name}: a health score": checks.shown("score", own, ["health_score", "health_grade", "latency", "errors"]),
        }
    checks.by(started + SHOWN_SECONDS, judged)


def broken(world: World, own: dict) -> str:
    rows = world.view("routes", **own, http_route="/broken")
    return "" if rows and rows[0]["error_ratio"] == 1 else f"{rows}"


def slow(world: World, own: dict) -> str:
    rows = world.view("routes", **own, http_route="/search")
    return "" if rows and rows[0]["severity"] in ("slow", "critical") else f"{rows}"


def nothing_is_lost(world: World) -> str:
    """Whatever was accepted waits for each of the destinations."""
    wrong = []
    for kind, entry in get(f"http://127.0.0.1:{world.admin}/api/sidelight/v1/ledger")["signals"].items():
        accepted = entry["accepted"]["items"]
        if kind in ("traces", "metrics", "logs") and not accepted:
            wrong.append(f"no {kind}")
        for name, exporter in entry["exporters"].items():
            if exporter["queued"]["items"] != accepted or exporter["delivered"]["items"] or any(exporter["dropped"].values()):
                wrong.append(f"{kind} to {name}: {accepted} accepted, {json.dumps(exporter)}")
    return "; ".join(wrong)


def no_sdk_gave_up(world: World) -> str:
    """What SDKs could not send, they tell in the log; the agent was away for as long as it took to start."""
    given_up = ("Failed to export", "dropping", "Dropping", "Queue is full")
    return "; ".join(
        f"{log.name}: {line}"
        for log in world.directory.glob("shop-*.log")
        for line in log.read_text(errors="replace").splitlines()
        if any(word in line for word in given_up)
    )[:600]


def every_family(checks: Checks) -> None:
    for view, service, keys, columns in VIEWS:
        checks.shows(f"{service}: {view}", view, {"service_name": service} | keys, columns, FAMILY_SECONDS)
    for service, name in NAMES:
        selector, _, rest = name.partition(" ")
        own = f'service_name="{service}"'
        selector = selector.replace("{", "{" + own + ",") if "{" in selector else f"{selector}{{{own}}}"
        asked = f"{selector} {rest}".strip()
        checks.check(asked, lambda asked=asked: "" if checks.world.query(asked) else "no series")


def an_alert(checks: Checks, base: str) -> None:
    world = checks.world
    started = time.monotonic()
    load = world.load(base, 40, "--failing", "0.25", rate=20)
    checks.check("HighErrorRate fires at Alertmanager", lambda: "" if world.alerts() else "no alert", 30)
    checks.check("HighErrorRate fires at the webhook", lambda: "" if world.hooked() else "no alert", 10)
    print(f"      {time.monotonic() - started:.1f} s after the first request", flush=True)
    before = (world.alerts() or [{}])[0]
    checks.check("both have the same alert", lambda: differs(before, world.hooked()))
    world.kill()
    ends = world.alerts()[0]["endsAt"]
    world.start()

    def told_again() -> str:
        after = world.alerts()
        return "" if after and after[0]["endsAt"] > ends else f"{before} {after}"

    checks.check("it is told again after a SIGKILL", told_again, 30)
    checks.check("it is still the same alert", lambda: same(before, world.alerts(), world.hooked()))
    load.terminate()
    load.wait()
    started = time.monotonic()
    world.load(base, 40, "--failing", "0", rate=25)
    checks.check("it is over at Alertmanager", lambda: "" if not world.alerts() else f"{world.alerts()}", 45)
    checks.check("it is over at the webhook", lambda: over(world.hooked()), 10)
    print(f"      {time.monotonic() - started:.1f} s after the last failure", flush=True)


def promptly(checks: Checks) -> None:
    """How long it takes from a failing request to the webhook, at several places between two samples."""
    world, late, told = checks.world, 0, []
    for burst in range(BURSTS):
        time.sleep(1.3 * (burst % 4))
        service = f"burst-{burst}"
        began = time.time()
        world.fail(service, 200)
        taken = time.time()

        def heard(service: str = service) -> tuple | None:
            of = {"alertname": "HighErrorRate", "service_name": service}
            for at, body in list(world.webhook.bodies):
                for alert in body["alerts"]:
                    if of.items() <= alert["labels"].items():
                        return at, alert
            return None

        at, alert = wait(f"the webhook hears of {service}", heard, 30)
        judged = datetime.fromisoformat(alert["startsAt"].replace("Z", "+00:00")).timestamp()
        # Evaluations follow the multiples of 5 s at which spans are sampled.
        late += judged // INTERVAL > taken // INTERVAL + 1
        told.append(at - began)
    print(f"      from a burst to the webhook: {' '.join(f'{seconds:.2f}' for seconds in told)} s", flush=True)
    # A machine that does something else may be late once.
    checks.check("a burst is judged by the first evaluation after its sample", lambda: "" if late <= 1 else f"{late} of {BURSTS} late")


def differs(alert: dict, hooked: list[dict]) -> str:
    right = hooked[0]["fingerprint"] == alert["fingerprint"]
    return "" if right else f"{alert} {hooked}"


def same(before: dict, after: list[dict], hooked: list[dict]) -> str:
    kept = [alert["startsAt"] == before["startsAt"] and alert["fingerprint"] == before["fingerprint"] for alert in after]
    told = {alert["startsAt"] for alert in hooked}
    return "" if kept == [True] and len(told) == 1 else f"{before} {after} {hooked}"


def over(hooked: list[dict]) -> str:
    last = hooked[-1]
    right = last["status"] == "resolved" and last["endsAt"] > last["startsAt"] == hooked[0]["startsAt"]
    return "" if right else f"{hooked}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", required=True)
    parser.add_argument("--alertmanager", required=True)
    parser.add_argument("--node", type=Path)
    parser.add_argument("--postgres", type=Path)
    options = parser.parse_args()
    options.agent = os.path.abspath(options.agent)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sidelight-signals-") as directory:
        world = World(options.agent, options.alertmanager, Path(directory))
        checks = Checks(world)
        try:
            world.start()
            stock_instrumentation(checks, options)
            checks.check("nothing is lost with every destination unreachable", lambda: nothing_is_lost(world))
            world.end_services()
            bases = [world.service("flask", "shop-metrics", "metrics"), world.service("fastapi", "shop-spans", "spans")]
            failing = world.service("flask", "shop-failing", "off")
            world.answers(*bases, failing)
            for base in bases:
                world.load(base, 150)
            an_alert(checks, failing)
            every_family(checks)
            world.end_services()
            promptly(checks)
            checks.check("still nothing is lost", lambda: nothing_is_lost(world))
            checks.check("what SDKs sent was taken", lambda: no_sdk_gave_up(world))
        except (AssertionError, OSError, KeyError, IndexError, subprocess.CalledProcessError) as error:
            checks.failed += 1
            print(f"FAIL  {type(error).__name__}: {error}", flush=True)
        finally:
            world.stop()
        if checks.failed:
            for log in sorted(Path(directory).glob("*.log")):
                print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-12:], sep="\n")
    print(f"      {time.monotonic() - began:.0f} s in all")
    print(f"signals: {checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    sys.exit(main())
