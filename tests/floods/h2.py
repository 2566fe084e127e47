"""HTTP/2 by hand: what no well-behaved library would send."""

from __future__ import annotations

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def integer(value: int, prefix: int) -> bytes:
    most = (1 << prefix) - 1
    if value < most:
        return bytes([value])
    out, value = [most], value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def literal(name: bytes, value: bytes) -> bytes:
    """A header field that is neither indexed nor Huffman-coded."""
    return b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value


def head(path: str, *more: tuple[str, str]) -> bytes:
    fields = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", path), *more]
    return b"".join(literal(name.encode(), value.encode()) for name, value in fields)


GRPC = (("content-type", "application/grpc"), ("te", "trailers"))
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Connection:
    def __init__(self, port: int, timeout: float = 10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, *frames: bytes) -> bool:
        """Whether the peer still took it."""
        try:
            self.socket.sendall(b"".join(frames))
            return True
        except OSError:
            return False

    def until(self, *kinds: int) -> tuple[int, int, int, bytes] | None:
        """The next frame of these kinds; None when the connection ends before."""
        try:
            while True:
                start = self.exactly(9)
                length, kind, flags = int.from_bytes(start[:3], "big"), start[3], start[4]
                payload = self.exactly(length)
                if kind == SETTINGS and not flags & ACK:
                    self.send(frame(SETTINGS, ACK, 0))
                if kind in kinds:
                    return kind, flags, int.from_bytes(start[5:], "big"), payload
        except (OSError, EOFError):
            return None

    def exactly(self, count: int) -> bytes:
        out = b""
        while len(out) < count:
            more = self.socket.recv(count - len(out))
            if not more:
                raise EOFError
            out += more
        return out

    def close(self) -> None:
        self.socket.close()
