"""What is sent: ordinary requests, and bodies that are more, or say they are more, than they look."""

from __future__ import annotations

import gzip
import struct
import time


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def traces(spans: bytes) -> bytes:
    """An ExportTraceServiceRequest of spans that are encoded already."""
    return field(1, field(2, spans))


def span(nth: int) -> bytes:
    start = struct.pack("<Q", 1_700_000_000_000_000_000 + nth)
    ids = field(1, struct.pack(">QQ", 1, nth + 1)) + field(2, struct.pack(">Q", nth + 1))
    return field(2, ids + field(5, b"GET /") + b"\x39" + start + b"\x41" + start)


def ordinary(spans: int = 10) -> bytes:
    return traces(b"".join(span(nth) for nth in range(spans)))


def text(key: bytes, value: bytes) -> bytes:
    """A KeyValue."""
    return field(1, key) + field(2, field(1, value))


def routes(service: int, count: int, length: int) -> bytes:
    """Requests that end now, to a service of `count` routes of so many characters each."""
    end = time.time_ns()
    times = b"\x39" + struct.pack("<Q", end - 1_000_000) + b"\x41" + struct.pack("<Q", end)
    spans = []
    for nth in range(count):
        route = b"/%d/%d/" % (service, nth)
        ids = field(1, struct.pack(">QQ", end, nth + 1)) + field(2, struct.pack(">Q", nth + 1))
        attributes = [text(b"http.route", route + b"x" * (length - len(route))), text(b"http.request.method", b"GET")]
        spans.append(field(2, ids + field(5, b"GET") + b"\x30\x02" + times + b"".join(field(9, one) for one in attributes)))
    resource = field(1, field(1, text(b"service.name", b"service-%d" % service)))
    return field(1, resource + field(2, b"".join(spans)))


def empty_spans(count: int) -> bytes:
    return traces(span(0) + b"\x12\0" * (count - 1))


def nested(depth: int) -> bytes:
    """A span with an attribute whose value is a list in a list in a list …"""
    value = b""
    for _ in range(depth):
        value = field(5, field(1, value))
    return traces(span(0) + field(2, field(9, field(1, b"k") + field(2, value))))


def padding(length: int) -> bytes:
    """A request with a field that nobody knows of so many bytes."""
    return ordinary(1) + field(2047, bytes(length))


def gzip_bomb(mebibytes: int) -> bytes:
    """Members of 16 MiB of zeros, one after the other."""
    return gzip.compress(bytes(16 << 20), 9) * (mebibytes // 16)


def zstd_bomb(mebibytes: int) -> bytes:
    """A frame of blocks that each repeat one byte 128 Ki times."""
    block = struct.pack("<I", 1 << 1 | (128 << 10) << 3)[:3] + b"\0"
    last = struct.pack("<I", 1 | 1 << 1)[:3] + b"\0"
    return struct.pack("<IBB", 0xFD2FB528, 0, 7 << 3) + block * (mebibytes * 8) + last


def zstd_window(exponent: int) -> bytes:
    """A frame that wants a window of 2 to that many bytes."""
    return struct.pack("<IBB", 0xFD2FB528, 0, (exponent - 10) << 3) + struct.pack("<I", 1 | 16 << 3)[:3] + bytes(16)


def zstd_claim(length: int) -> bytes:
    """A frame that says that it holds so many bytes, in one segment."""
    return struct.pack("<IBQ", 0xFD2FB528, 0xE0, length) + struct.pack("<I", 1 | 16 << 3)[:3] + bytes(16)


def framed(message: bytes, compressed: bool = False, claim: int | None = None) -> bytes:
    return struct.pack(">BI", compressed, len(message) if claim is None else claim) + message
