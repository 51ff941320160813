"""A proxy before PostgreSQL that knows where a call begins and ends (frontend/backend protocol, version 3).

A call is what the caller sends until it waits for an answer: a simple query, an extended one with its Sync, or the
rows of a COPY with its end. Signing in counts as the first call of a connection.
"""

import socket
import ssl
import struct
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from deployments.chaos.exchange import Call, Door, Interceptor, Reply, shortened
from deployments.chaos.proxy import Proxy

_SECONDS = 60.0
_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_ASKS_BACK = {3, 5, 10, 11}  # authentication requests that the caller answers


class _Message(NamedTuple):
    kind: bytes
    data: bytes  # as on the wire, kind and length included

    @property
    def payload(self) -> bytes:
        return self.data[5:]


class PostgresProxy(Proxy):
    """Before one server; its callers speak in the clear."""

    def __init__(self, host: str, port: int, intercept: Interceptor, tls: ssl.SSLContext | None = None) -> None:
        """Listen; `tls` is how to speak to the server, None for in the clear."""
        super().__init__()
        self._host, self._address, self._intercept, self._tls = host, (host, port), intercept, tls

    def serve(self, client: socket.socket) -> None:
        """See `Proxy`."""
        with client.makefile("rb") as stream:
            startup = _read_startup(stream)
            while _code(startup) in {_SSL, _GSS}:
                client.sendall(b"N")
                startup = _read_startup(stream)
            upstream = self._connect()
            try:
                with upstream.makefile("rb") as answers:
                    if _code(startup) == _CANCEL:
                        upstream.sendall(startup)
                        return
                    self._talk(client, stream, startup, upstream, answers)
            finally:
                self.close(upstream)

    def _talk(
        self, client: socket.socket, stream: BinaryIO, startup: bytes, upstream: socket.socket, answers: BinaryIO
    ) -> None:
        """Sign in, then call after call."""

        def sign_in() -> Reply:
            upstream.sendall(startup)
            return Reply(_signed_in(client, stream, upstream, answers))

        reply = self._intercept(_PostgresExchange("sign in", sign_in))
        client.sendall(reply.data)
        names: dict[bytes, str] = {}
        while not reply.breaks:
            copies = _last_kind(reply.data) == b"G"
            asked = _read_call(stream, copies=copies)
            if asked[-1].kind == b"X":
                upstream.sendall(asked[-1].data)
                return
            data = b"".join(message.data for message in asked)

            def ask(data: bytes = data) -> Reply:
                upstream.sendall(data)
                return Reply(_answer(answers))

            reply = self._intercept(_PostgresExchange(_what(asked, names), ask))
            client.sendall(reply.data)

    def _connect(self) -> socket.socket:
        upstream = self.track(socket.create_connection(self._address, _SECONDS))
        if self._tls is None:
            return upstream
        upstream.sendall(struct.pack("!II", 8, _SSL))
        if upstream.recv(1) != b"S":
            raise ConnectionError("the server speaks no TLS")
        return self.track(self._tls.wrap_socket(upstream, server_hostname=self._host))


class _PostgresExchange:
    """See `Exchange`."""

    def __init__(self, what: str, forward: Callable[[], Reply]) -> None:
        self.call = Call(Door.STORE, what)
        self._forward = forward

    def forward(self) -> Reply:
        return self._forward()

    def refusal(self, status: int, code: str) -> Reply:
        """The session is ended, as by an administrator or a server that shuts down."""
        fields = b"SFATAL\0VFATAL\0C57P01\0M" + f"made up: {code} ({status})".encode() + b"\0\0"
        return Reply(b"E" + struct.pack("!I", len(fields) + 4) + fields, breaks=True)


def _read_startup(stream: BinaryIO) -> bytes:
    head = _exactly(stream, 4)
    return head + _exactly(stream, struct.unpack("!I", head)[0] - 4)


def _code(startup: bytes) -> int:
    return int(struct.unpack("!I", startup[4:8])[0])


def _read_message(stream: BinaryIO) -> _Message:
    head = _exactly(stream, 5)
    return _Message(head[:1], head + _exactly(stream, struct.unpack("!I", head[1:])[0] - 4))


def _read_call(stream: BinaryIO, *, copies: bool) -> list[_Message]:
    """What the caller sends until it waits; with `copies` the rows of a COPY come first."""
    messages = [_read_message(stream)]
    ends = {b"c", b"f", b"X"} if copies else {b"Q", b"S", b"F", b"X"}
    while messages[-1].kind not in ends:
        messages.append(_read_message(stream))
    return messages


def _signed_in(client: socket.socket, stream: BinaryIO, upstream: socket.socket, answers: BinaryIO) -> bytes:
    """Pass on questions about the password and their answers; the last words of the server."""
    data = b""
    while True:
        message = _read_message(answers)
        data += message.data
        if message.kind == b"R" and struct.unpack("!I", message.payload[:4])[0] in _ASKS_BACK:
            client.sendall(data)
            data = b""
            upstream.sendall(_read_message(stream).data)
        elif message.kind in {b"Z", b"E"}:
            return data


def _answer(answers: BinaryIO) -> bytes:
    """All that the server says until it is the caller's turn again; its last words where it ends the session."""
    data: list[bytes] = []
    while True:
        try:
            message = _read_message(answers)
        except EOFError:
            if not data:
                raise
            return b"".join(data)
        data.append(message.data)
        if message.kind in {b"Z", b"G"}:
            return b"".join(data)


def _last_kind(data: bytes) -> bytes:
    """Kind of the last message of an answer."""
    at, kind = 0, b""
    while at + 5 <= len(data):
        kind = data[at : at + 1]
        at += 1 + int(struct.unpack("!I", data[at + 1 : at + 5])[0])
    return kind


def _what(asked: list[_Message], names: dict[bytes, str]) -> str:
    """The beginning of the SQL; `names` remembers prepared statements."""
    sql = "end of COPY" if asked[-1].kind in {b"c", b"f"} else ""
    for message in asked:
        match message.kind:
            case b"Q":
                sql = message.payload.rstrip(b"\0").decode(errors="replace")
            case b"P":
                name, text, *_ = message.payload.split(b"\0")
                sql = names[name] = text.decode(errors="replace")
            case b"B":
                sql = names.get(message.payload.split(b"\0")[1], sql)
    return shortened(sql)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
