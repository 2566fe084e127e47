"""Floods against a running agent on this machine's loopback, one after the other.

run.py --agent target/release/sidelight [NAME...]

Each flood is bounded, takes some seconds, and is judged alike:

- The agent's resident set stays below `limits.memory` with these floods. Memory is given back later than it is freed, so that
  a flood of ordinary requests at full speed can pass it a little (docs/operations.md, "Memory is short"): no such one is here.
- Somebody else's requests go on: a sender on a connection of its own is answered within PATIENCE each time, with 200 or
  a refusal that is to be tried again, and it is acknowledged as often as ACKS_MIN says.
- The process lives, and says in its own metrics what it refused and why.
- What the flood held is given back: nothing is in flight after it, and who comes new is served.

Ends with `floods: N passed, M failed`.
"""

from __future__ import annotations

import argparse
import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import h2
import payloads

MEMORY = 128 << 20
# Of one request of the other sender, in seconds. Its machine is busy with the flood as well.
PATIENCE = 5
# Of its requests, a second.
ACKS_MIN = 1
# Connections of a crowd: more than there are places with this much memory, 136.
CROWD = 300
# For three evaluations of the rules.
CARDINALITY_SECONDS = 20
# How long a crowd presses.
SECONDS = 4
PROTOBUF = {"content-type": "application/x-protobuf"}


class Agent:
    """The agent, as a child."""

    def __init__(self, program: str, directory: Path, files: int | None = None, memory: int = MEMORY):
        directory.mkdir(parents=True)
        self.grpc, self.http, self.admin = free_ports(3)
        config = directory / "agent.yaml"
        config.write_text(
            f"receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{self.grpc}'}},"
            f" http: {{endpoint: '127.0.0.1:{self.http}'}}}}}}}}\n"
            f"journal: {{directory: {directory}/journal, max_size: 64MiB}}\nstore: {{directory: {directory}/store}}\n"
            f"admin: {{endpoint: '127.0.0.1:{self.admin}'}}\nlimits: {{memory: {memory >> 20}MiB}}\n"
        )
        self.log = directory / "stderr.log"
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        with self.log.open("w") as stderr:
            self.process = subprocess.Popen(
                [program, "run", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=stderr, preexec_fn=limit
            )
        until("the agent is ready", lambda: self.get("/readyz")[0] == 200, 20)

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        lines = self.get("/metrics")[1].splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def count(self, name: str, **labels: str) -> float:
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(
            value
            for series, value in self.metrics().items()
            if series.split("{")[0] == name and all(label in series for label in wanted)
        )

    def limit(self, name: str) -> float:
        return self.count("sidelight_receiver_limit_refusals_total", limit=name)

    def evicted(self, state: str) -> float:
        return self.count("sidelight_receiver_evicted_connections_total", state=state)

    def refused(self, reason: str) -> float:
        return self.count("sidelight_receiver_refused_requests_total", reason=reason)

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        return self.status("VmHWM")

    def status(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) << 10

    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


class Other(threading.Thread):
    """Somebody else, who sends a small request again and again over one connection."""

    def __init__(self, port: int):
        super().__init__(daemon=True)
        self.port, self.going = port, True
        self.answers: list[tuple[float, float, int]] = []
        self.start()

    def run(self) -> None:
        body, connection = payloads.ordinary(), None
        while self.going:
            began = time.monotonic()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE * 2)
                connection.request("POST", "/v1/traces", body, PROTOBUF)
                response = connection.getresponse()
                response.read()
                status = response.status
            except OSError:
                connection, status = None, 0
            except http.client.HTTPException:
                connection, status = None, 0
            self.answers.append((began, time.monotonic() - began, status))
            time.sleep(0.02 if status == 200 else 0.2)

    def since(self, began: float) -> list[tuple[float, float, int]]:
        return [answer for answer in self.answers if answer[0] >= began]


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def until(what: str, condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def post(
    port: int, path: str, body: bytes, headers: dict[str, str] = PROTOBUF, timeout: float = 30, way: float = 0
) -> int:
    """The status of an answer that is asked for so many seconds after connecting; 0 when there was none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.connect()
        time.sleep(way)
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def together(times: int, work) -> list:
    """What so many threads gave."""
    results: list = [None] * times

    def one(nth: int) -> None:
        results[nth] = work(nth)

    threads = [threading.Thread(target=one, args=(nth,), daemon=True) for nth in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def raw(port: int, start: bytes) -> socket.socket | None:
    """A connection on which something was begun."""
    try:
        connection = socket.create_connection(("127.0.0.1", port), 5)
        connection.sendall(start)
        return connection
    except OSError:
        return None


def close(connections: list) -> None:
    for connection in connections:
        if connection is not None:
            connection.close()


def only(statuses: list, *allowed: int) -> None:
    assert set(statuses) <= set(allowed), f"{sorted(set(statuses))} instead of {allowed}"


# Each takes the agent and floods it; what it expects of metrics, it asserts.


def gzip_bombs(agent: Agent) -> str:
    bomb, before = payloads.gzip_bomb(10 << 10), agent.limit("message_bytes")
    encoded = PROTOBUF | {"content-encoding": "gzip"}
    statuses = together(8, lambda _: [post(agent.http, "/v1/traces", bomb, encoded) for _ in range(3)])
    only(sum(statuses, []), 413, 503)
    message = payloads.framed(bomb, compressed=True)
    connection = h2.Connection(agent.grpc)
    connection.send(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.head(h2.TRACES, *h2.GRPC, ("grpc-encoding", "gzip"))))
    for at in range(0, len(message), 16384):
        connection.send(h2.frame(h2.DATA, 0, 1, message[at : at + 16384]))
    connection.send(h2.frame(h2.DATA, h2.END_STREAM, 1))
    connection.close()
    refused = agent.limit("message_bytes") - before
    assert refused > 0, "bombs are not counted"
    return f"{len(bomb) >> 10} KiB each that become 10 GiB: {refused:.0f} refused for their size"


def zstd_bombs(agent: Agent) -> str:
    before = agent.limit("message_bytes")
    encoded = PROTOBUF | {"content-encoding": "zstd"}
    bomb = payloads.zstd_bomb(1024)
    only(sum(together(8, lambda _: [post(agent.http, "/v1/traces", bomb, encoded) for _ in range(3)]), []), 413, 503)
    wide = [post(agent.http, "/v1/traces", payloads.zstd_window(exponent), encoded) for exponent in (27, 31, 41)]
    only(wide, 400, 413)
    claims = [post(agent.http, "/v1/traces", payloads.zstd_claim(length), encoded) for length in (1 << 32, 1 << 60)]
    only(claims, 400, 413)
    refused = agent.limit("message_bytes") - before
    assert refused > 0, "bombs are not counted"
    return f"{len(bomb) >> 10} KiB each that become 1 GiB: {refused:.0f} refused for their size; windows {wide}, claims {claims}"


def claims_of_4_gib(agent: Agent) -> str:
    before = agent.limit("message_bytes")
    start = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 4294967296\r\n\r\n"
    for _ in range(50):
        connection = raw(agent.http, start)
        assert connection.recv(12) == b"HTTP/1.1 413"
        connection.close()
    connection = h2.Connection(agent.grpc)
    for stream in range(1, 200, 2):
        connection.send(
            h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.head(h2.TRACES, *h2.GRPC)),
            h2.frame(h2.DATA, 0, stream, payloads.framed(b"x", claim=0xFFFFFFFF)),
        )
    assert connection.until(h2.HEADERS), "no answer to a message that claims 4 GiB"
    connection.close()
    until("claims are counted", lambda: agent.limit("message_bytes") >= before + 51, 5)
    return f"{agent.limit('message_bytes') - before:.0f} refused before anything was held"


def a_million_empty_spans(agent: Agent) -> str:
    body = payloads.empty_spans(1_000_000)
    statuses = [post(agent.http, "/v1/traces", body) for _ in range(5)]
    only(statuses, 200, 503)
    accepted = agent.count("otelcol_receiver_accepted_spans_total")
    return f"{len(body) >> 10} KiB a request: {statuses}; {accepted:.0f} spans accepted"


def deep_nesting(agent: Agent) -> str:
    before = agent.refused("malformed")
    only([post(agent.http, "/v1/traces", payloads.nested(depth)) for depth in (150, 3_000, 20_000)], 400)
    json = {"content-type": "application/json"}
    for opening in (b"[", b'{"a":', b'{"resourceSpans":['):
        only([post(agent.http, "/v1/traces", opening * 200_000, json)], 400, 413)
    refused = agent.refused("malformed") - before
    assert refused >= 6, f"{refused} counted"
    return f"{refused:.0f} refused as malformed"


def huge_header_lists(agent: Agent) -> str:
    before = agent.limit("header_bytes")
    for size in (20_000, 1_000_000):
        many = {f"x-{nth}": "x" * 100 for nth in range(size // 110)}
        only([post(agent.http, "/v1/traces", b"", PROTOBUF | many)], 431, 0)
    for _ in range(20):
        connection = h2.Connection(agent.grpc)
        fields = h2.head(h2.TRACES, *h2.GRPC) + h2.literal(b"x", b"y" * 16_000)
        connection.send(h2.frame(h2.HEADERS, 0, 1, fields[:16384]))
        for _ in range(3):
            connection.send(h2.frame(h2.CONTINUATION, 0, 1, h2.literal(b"x", b"y" * 16_000)))
        connection.send(h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1))
        connection.close()
    until("long headers are counted", lambda: agent.limit("header_bytes") > before, 5)
    return f"{agent.limit('header_bytes') - before:.0f} refused"


def continuation_flood(agent: Agent) -> str:
    before, sent = agent.limit("http2_flood"), 0
    for _ in range(5):
        connection = h2.Connection(agent.grpc)
        going = connection.send(h2.frame(h2.HEADERS, 0, 1, h2.head(h2.TRACES, *h2.GRPC)))
        piece = h2.frame(h2.CONTINUATION, 0, 1, h2.literal(b"x", b"y" * 1_000)) * 16
        while going and sent < 64 << 20:
            sent += len(piece)
            going = connection.send(piece)
        assert not going, f"{sent >> 20} MiB of headers that never end were taken"
        connection.close()
    until("connections that were cut for it are counted", lambda: agent.limit("http2_flood") > before, 5)
    return f"5 connections were cut after {sent >> 10} KiB in all"


def rapid_reset(agent: Agent) -> str:
    before, streams = agent.limit("http2_flood"), 0
    for _ in range(10):
        connection = h2.Connection(agent.grpc)
        fields, going, stream = h2.head(h2.TRACES, *h2.GRPC), True, 1
        while going and stream < 40_000:
            pair = [
                h2.frame(h2.HEADERS, h2.END_HEADERS, s, fields) + h2.frame(h2.RST_STREAM, 0, s, b"\0\0\0\x08")
                for s in range(stream, stream + 200, 2)
            ]
            stream, streams = stream + 200, streams + 100
            going = connection.send(*pair)
        goaway = connection.until(h2.GOAWAY)
        assert goaway or not going, "streams are opened and reset without end"
        connection.close()
    until("connections that were cut for it are counted", lambda: agent.limit("http2_flood") > before, 5)
    return f"10 connections were cut after {streams} streams in all"


def control_frames(agent: Agent) -> str:
    kinds = {
        "PING": h2.frame(h2.PING, 0, 0, bytes(8)),
        "SETTINGS": h2.frame(h2.SETTINGS, 0, 0, b"\0\4\0\0\xff\xff"),
        "WINDOW_UPDATE": h2.frame(h2.WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
        "empty DATA": h2.frame(h2.DATA, 0, 1),
    }
    before, told, cut = agent.limit("http2_flood"), [], []
    request = h2.frame(h2.DATA, h2.END_STREAM, 1, payloads.framed(payloads.ordinary()))
    for name, one in kinds.items():
        connection, sent, going = h2.Connection(agent.grpc), 0, True
        connection.send(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.head(h2.TRACES, *h2.GRPC)))
        while going and sent < 100_000:
            sent += 500
            going = connection.send(one * 500)
        # Behind all of these, the request that they came in the middle of.
        answer = connection.until(h2.HEADERS, h2.GOAWAY) if connection.send(request) else None
        if answer is None or answer[0] == h2.GOAWAY:
            cut.append(name)
        told.append(f"{name} {'cut' if name in cut else 'answered'} after {sent}")
        connection.close()
    assert "empty DATA" in cut, "frames that say nothing are taken without end"
    until("the connection that was cut for it is counted", lambda: agent.limit("http2_flood") > before, 5)
    return ", ".join(told)


def stalled_bodies(agent: Agent) -> str:
    """Bodies that come fast, just short of what only one may have at a time, and then stand still."""
    before = agent.limit("in_flight_bytes")
    start = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 4000000\r\n\r\n"
    held = [raw(agent.http, start + bytes(3_900_000)) for _ in range(24)]
    time.sleep(3)
    used, refused = agent.metrics()["sidelight_memory_in_flight_bytes"], agent.limit("in_flight_bytes") - before
    close(held)
    assert used // 4_000_000 + refused == len(held), f"{used / 1e6:.1f} MB held, {refused:.0f} of {len(held)} bodies refused"
    until("their bytes are given back", lambda: agent.metrics()["sidelight_memory_in_flight_bytes"] < 1 << 20, 10)
    return f"{used / 1e6:.1f} MB held by 24 bodies; {refused:.0f} refused for want of bytes"


def crowd(
    agent: Agent, start, trickle, seconds: float, apart: float = 0, way: float = 0
) -> tuple[list[float], int, list[bytes]]:
    """More connections than there are places, begun by `start` so many seconds `apart`, continued each half second by `trickle`
    and opened again when they are closed; beside them somebody new up to ten times a second, on a connection each, whose request
    is so long on its `way`. Gives the seconds that each who was served took, how many were not, and what the others were told."""
    held: list[socket.socket | None] = [None] * CROWD
    told: list[bytes] = []
    deadline = time.monotonic() + seconds

    def press() -> None:
        while time.monotonic() < deadline:
            for nth in range(CROWD):
                held[nth] = going_on(held[nth], trickle, told)
                if held[nth] is None:
                    held[nth] = start(nth)
                    time.sleep(apart)
            time.sleep(0 if apart else 0.5)

    pressing = threading.Thread(target=press, daemon=True)
    pressing.start()
    time.sleep(1)
    served, turned_away = [], 0
    while time.monotonic() < deadline:
        began = time.monotonic()
        if post(agent.http, "/v1/traces", payloads.ordinary(), timeout=PATIENCE, way=way) == 200:
            served.append(time.monotonic() - began)
        else:
            turned_away += 1
        time.sleep(0.1)
    pressing.join(PATIENCE)
    close(held)
    return served, turned_away, told


def going_on(connection: socket.socket | None, trickle, told: list[bytes]) -> socket.socket | None:
    """The connection, if it is still there and was continued."""
    if connection is None:
        return None
    try:
        connection.setblocking(False)
        try:
            answer = connection.recv(1 << 16)
            if not answer or answer.startswith(b"HTTP/1.1 "):
                told.append(answer)
                raise ConnectionError
        except BlockingIOError:
            pass
        trickle(connection)
        return connection
    except OSError:
        connection.close()
        return None


def served_all_the_same(served: list[float], turned_away: int, times: int = 9) -> str:
    assert len(served) >= times * turned_away and served, f"{len(served)} were served and {turned_away} turned away"
    return f"{len(served)} of {len(served) + turned_away} who were new were served, in {max(served) * 1000:.0f} ms at most"


def slow_bodies(agent: Agent) -> str:
    """Bodies of two bytes a second, over HTTP/1.1."""
    before, refused = agent.evicted("slow"), agent.refused("body_timeout")
    start = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100000\r\n\r\n"
    served, turned_away, told = crowd(agent, lambda _: raw(agent.http, start), lambda c: c.send(b"\x0a"), SECONDS)
    said = served_all_the_same(served, turned_away)
    evicted, refused = agent.evicted("slow") - before, agent.refused("body_timeout") - refused
    assert min(evicted, refused) > 0, f"not counted: {evicted:.0f} evicted, {refused:.0f} refused"
    back = sum(answer.startswith(b"HTTP/1.1 503") and b"retry-after" in answer.lower() for answer in told)
    assert back > 0, "nobody was told to come back"
    return f"{said}; {evicted:.0f} evicted, {back} of them told to come back"


def slow_streams(agent: Agent) -> str:
    """The same over HTTP/2, of calls that declare 64 KiB and frames of one byte."""
    before = agent.evicted("slow")
    head = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.head(h2.TRACES, *h2.GRPC))
    start = h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0) + head + h2.frame(h2.DATA, 0, 1, payloads.framed(b"", claim=64 << 10))
    byte = h2.frame(h2.DATA, 0, 1, b"\x0a")
    served, turned_away, _ = crowd(agent, lambda _: raw(agent.grpc, start), lambda c: c.send(byte), SECONDS)
    said = served_all_the_same(served, turned_away)
    evicted = agent.evicted("slow") - before
    assert evicted > 0, "not counted"
    return f"{said}; {evicted:.0f} evicted"


def silent_connections(agent: Agent) -> str:
    """Connections that say nothing, never end their headers, or begin HTTP/2 and ask nothing."""
    before = agent.evicted("silent")
    starts = [b"", b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-a: ", h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0)]

    def start(nth: int) -> socket.socket | None:
        return raw((agent.http, agent.grpc)[nth % 2], starts[nth % 3])

    served, turned_away, _ = crowd(agent, start, lambda _: None, SECONDS)
    said = served_all_the_same(served, turned_away)
    evicted = agent.evicted("silent") - before
    assert evicted > 0, "not counted"
    return f"{said}; {evicted:.0f} evicted"


def newcomers_only(agent: Agent) -> str:
    """So many new connections that nobody can have sent too little yet; who is from far away is served nearly always."""
    before = agent.evicted("beginning")
    start = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 1024
    served, turned_away, _ = crowd(agent, lambda _: raw(agent.http, start), lambda _: None, 2 * SECONDS, 0.004, 0.05)
    # About ten others come meanwhile, each of whom takes its place once in 137 times.
    said = served_all_the_same(served, turned_away, 3)
    evicted = agent.evicted("beginning") - before
    assert evicted > 0, "not counted"
    return f"{said}; {evicted:.0f} evicted"


def admin_floods(agent: Agent) -> str:
    before = agent.count("sidelight_api_evicted_connections_total")
    slow_head = b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nx-a: "
    slow_form = b"POST /api/v1/query HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    slow_form += b"content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nq"
    for start in (slow_head, slow_form):
        held = [raw(agent.admin, start) for _ in range(200)]
        until("the admin listener answers while others hold its places", lambda: agent.get("/healthz")[0] == 200, 2)
        close(held)
    # Those that were closed may still have their places: then whoever asks is closed on arrival.
    until("connections that made room are counted", lambda: agent.count("sidelight_api_evicted_connections_total") > before, 5)
    until("nobody new is closed any more", lambda: all(agent.get("/healthz")[0] == 200 for _ in range(20)), 5)
    evicted = agent.count("sidelight_api_evicted_connections_total") - before
    # Less than a form may have, and more: then the answer may come, and the end of the connection, before all of it is sent.
    deep = "query=" + "(" * 50_000 + "1" + ")" * 50_000
    form = {"content-type": "application/x-www-form-urlencoded"}
    statuses = [post(agent.admin, "/api/v1/query", body, form) for body in (deep.encode(), b"query=" + b"x" * (2 << 20))]
    only(statuses[:1], 400)
    only(statuses[1:], 0, 400, 413)
    heavy = "query=count(count_over_time({__name__=~\".%2B\"}[1d:1s]))&time=1700000000".encode()
    busy = together(30, lambda _: post(agent.admin, "/api/v1/query", heavy, form))
    only(busy, 200, 400, 422, 429, 503)
    tree = b"query=a{" + b'b="c",' * 160_000 + b"}"
    only(together(30, lambda _: post(agent.admin, "/api/v1/parse_query", tree, form)), 400, 413, 503, 0)
    tree = b"query=a{" + b'b="c",' * 5_000 + b"}"
    only(together(30, lambda _: post(agent.admin, "/api/v1/parse_query", tree, form)), 200, 503)
    slow = [raw(agent.admin, b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n") for _ in range(30)]
    assert agent.get("/api/v1/status/buildinfo")[0] == 200, "clients that do not read hold up who asks for little"
    close(slow)
    assert agent.get("/healthz")[0] == 200
    return f"{evicted:.0f} connections made room; hostile queries {statuses}, 30 heavy ones at once {sorted(set(busy))}"


FLOODS = [
    gzip_bombs,
    zstd_bombs,
    claims_of_4_gib,
    a_million_empty_spans,
    deep_nesting,
    huge_header_lists,
    continuation_flood,
    rapid_reset,
    control_frames,
    stalled_bodies,
    slow_bodies,
    slow_streams,
    admin_floods,
    silent_connections,
    newcomers_only,
]


def judge(agent: Agent, other: Other, flood) -> str:
    agent.forget_peak()
    began = time.monotonic()
    told = flood(agent)
    took = time.monotonic() - began
    assert agent.alive(), f"the agent ended:\n{agent.log.read_text()[-2000:]}"
    peak, answers = agent.peak(), other.since(began)
    assert peak <= MEMORY, f"{peak / (1 << 20):.1f} MiB resident, above {MEMORY >> 20} MiB"
    statuses = [status for _, _, status in answers]
    only(statuses, 200, 429, 503)
    slowest = max((latency for _, latency, _ in answers), default=0)
    acks = statuses.count(200)
    assert slowest <= PATIENCE, f"another sender waited {slowest:.1f} s"
    assert acks >= int(took) * ACKS_MIN, f"another sender was acknowledged {acks} times in {took:.0f} s"
    until("nothing is in flight", lambda: agent.metrics().get("sidelight_memory_in_flight_bytes", 1) <= 1 << 20, 10)
    return f"{peak / (1 << 20):.1f} MiB, another sender {acks} times in {took:.1f} s, {slowest * 1000:.0f} ms at most; {told}"


def without_files(program: str, directory: Path) -> str:
    """The process is out of file descriptors: who is connected is served, and when there are some again everybody is."""
    agent = Agent(program, directory, files=40)
    try:
        other = Other(agent.http)
        until("it is served", lambda: other.answers and other.answers[-1][2] == 200, 10)
        held = [raw((agent.http, agent.grpc)[nth % 2], b"") for nth in range(60)]
        began = time.monotonic()
        time.sleep(4)
        during = other.since(began)
        close(held)
        only([status for _, _, status in during], 200)
        assert len(during) >= 4, f"{len(during)} answers"
        assert "Too many open files" in agent.log.read_text(), "it was never out of files: the test shows nothing"
        until("somebody new is served", lambda: post(agent.http, "/v1/traces", payloads.ordinary(), timeout=5) == 200, 10)
        lines = agent.log.read_text().count("\n")
        assert lines < 60, f"{lines} lines were logged for it"
        assert agent.alive() and agent.end() == 0
        other.going = False
        return f"{len(during)} acknowledgements without a file descriptor left; {lines} lines logged"
    finally:
        agent.process.kill()


def cardinality_with_rules_on(program: str, directory: Path) -> str:
    """Services of 500 routes each, in a burst and again for three evaluations of the rules that come with the agent. What is
    mapped from files the system can take back: it counts beside `limits.memory`. Scraped at last, by some who do not read what
    they asked for and while requests come, which must not need more than a container has of which the limit is three quarters."""
    memory, container, told = 96 << 20, 128 << 20, []
    for services, length in ((10, 60), (5, 1_000)):
        agent = Agent(program, directory / str(length), memory=memory)
        try:
            deadline, statuses = time.monotonic() + CARDINALITY_SECONDS, []
            while time.monotonic() < deadline:
                for service in range(services):
                    statuses.append(post(agent.http, "/v1/traces", payloads.routes(service, 500, length)))
                time.sleep(1)
            only(statuses, 200, 429, 503)
            assert statuses.count(200) >= services, f"{statuses.count(200)} requests were taken"
            peak, mapped = agent.peak(), agent.status("RssFile")
            assert agent.alive() and agent.get("/healthz")[0] == 200
            held = [raw(agent.admin, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n") for _ in range(2)]
            assert all(held), "connections"
            for connection in held:
                begun = connection.recv(12, socket.MSG_PEEK)
                assert begun == b"HTTP/1.1 200", f"a page begins with {begun!r}"
            send = lambda _: post(agent.http, "/v1/traces", payloads.routes(0, 500, length))
            asked = together(3, lambda nth: agent.get("/metrics")[0] if nth else [send(nth) for _ in range(10)])
            only(asked[0], 200, 429, 503)
            # Two large ones are sent at once, and these two are.
            only(asked[1:], 503)
            close(held)
            pages = [agent.get("/metrics") for _ in range(3)]
            assert [status for status, _ in pages] == [200] * 3, [status for status, _ in pages]
            page, scraped = len(pages[-1][1]), agent.peak()
            assert page > 10 << 20, f"a page of {page} bytes shows nothing"
            assert scraped <= container, f"{scraped / (1 << 20):.1f} MiB with a page of {page / (1 << 20):.1f}"
            told.append((peak, mapped, f"{services} services of 500 routes of {length} characters: {peak / (1 << 20):.1f} MiB,"
                         f" {mapped / (1 << 20):.1f} of files; {scraped / (1 << 20):.1f} with a page of {page / (1 << 20):.1f}"))
            assert agent.end() == 0
        finally:
            agent.process.kill()
    said = "; ".join(line for _, _, line in told)
    assert all(peak <= memory + mapped for peak, mapped, _ in told), f"above {memory >> 20} MiB: {said}"
    return said


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", required=True)
    parser.add_argument("floods", nargs="*")
    arguments = parser.parse_args()
    passed = failed = 0

    def report(name: str, work) -> None:
        nonlocal passed, failed
        try:
            print(f"ok    {name}: {work()}", flush=True)
            passed += 1
        except AssertionError as error:
            print(f"FAIL  {name}: {error}", flush=True)
            failed += 1

    wanted = set(arguments.floods)
    with tempfile.TemporaryDirectory() as directory:
        agent = Agent(arguments.agent, Path(directory) / "agent")
        other = Other(agent.http)
        for flood in FLOODS:
            if not wanted or flood.__name__ in wanted:
                report(flood.__name__, lambda: judge(agent, other, flood))
        other.going = False
        other.join(PATIENCE * 2)
        alive = agent.alive()
        ended = agent.end() if alive else agent.process.returncode
        if ended != 0:
            print(f"FAIL  end: {'exit' if alive else 'it had ended'} {ended}:\n{agent.log.read_text()[-2000:]}")
            failed += 1
        for alone in (without_files, cardinality_with_rules_on):
            if not wanted or alone.__name__ in wanted:
                report(alone.__name__, lambda: alone(arguments.agent, Path(directory) / alone.__name__))
    print(f"floods: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
