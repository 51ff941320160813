"""A proxy before an HTTP service that changes no byte: not the Host, which is signed, nor the order of headers."""

import http.client
import io
import socket
import ssl
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from deployments.chaos.exchange import Call, Door, Interceptor, Reply
from deployments.chaos.proxy import Proxy

_SECONDS = 60.0
_MOST_LINE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class _Message:
    """A request or an answer: its first line, its headers as they came, its body as it came."""

    first: bytes
    headers: tuple[bytes, ...]
    body: bytes

    @property
    def data(self) -> bytes:
        return b"\r\n".join([self.first, *self.headers, b"", self.body])


class HttpProxy(Proxy):
    """Before one service; callers address it as the service itself, or as their HTTP proxy.

    Bodies are held whole in memory: it is for small files.
    """

    def __init__(self, door: Door, upstream_url: str, intercept: Interceptor, *, above: str = "") -> None:
        """Listen.

        Args:
            door: where it stands.
            upstream_url: where requests go, over TLS if it is https, whatever host they name.
            intercept: decides what becomes of them.
            above: beginning of the paths that is not shown to a person.
        """
        super().__init__()
        self._door, self._upstream, self._intercept, self._above = door, urlsplit(upstream_url), intercept, above

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self, client: socket.socket) -> None:
        """See `Proxy`."""
        with client.makefile("rb") as stream:
            while request := _read_request(stream, client):
                exchange = _HttpExchange(self, request)
                reply = self._intercept(exchange)
                client.sendall(reply.data)
                if reply.breaks or b"connection: close" in {header.lower() for header in request.headers}:
                    return

    def send_on(self, request: _Message) -> bytes:
        """The service's answer, as it came."""
        default = 443 if self._upstream.scheme == "https" else 80
        address = (str(self._upstream.hostname), self._upstream.port or default)
        upstream = self.track(socket.create_connection(address, _SECONDS))
        try:
            if self._upstream.scheme == "https":
                upstream = self.track(ssl.create_default_context().wrap_socket(upstream, server_hostname=address[0]))
            upstream.sendall(request.data)
            with upstream.makefile("rb") as stream:
                return _read_answer(stream, request.first.split(b" ")[0])
        finally:
            self.close(upstream)

    def call(self, method: str, target: str, body: bytes) -> Call:
        """A request as a person reads it."""
        path = unquote(urlsplit(target).path).lstrip("/").removeprefix(self._above)
        listing = parse_qs(urlsplit(target).query).get("prefix")
        if listing:  # its path is the bucket's alone
            method, path = "LIST", listing[0].removeprefix(self._above.partition("/")[2])
        return Call(self._door, f"{method} {path}", body)


class _HttpExchange:
    """See `Exchange`."""

    def __init__(self, proxy: HttpProxy, request: _Message) -> None:
        method, target, version = request.first.split(b" ")
        path = urlsplit(target.decode("ascii"))
        origin = target[target.index(path.path.encode(), len(path.netloc)) :] if path.netloc else target
        self._proxy, self._method = proxy, method
        self._request = _Message(b" ".join([method, origin, version]), request.headers, request.body)
        self.call = proxy.call(method.decode(), target.decode(), request.body)

    def forward(self) -> Reply:
        return Reply(self._proxy.send_on(self._request))

    def refusal(self, status: int, code: str) -> Reply:
        body = b"" if self._method == b"HEAD" else f"<Error><Code>{code}</Code></Error>".encode()
        reason = http.client.responses[status]
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        return Reply(head.encode() + body)


def _read_request(stream: BinaryIO, client: socket.socket) -> _Message | None:
    """The next request, None where the caller hangs up."""
    first = stream.readline(_MOST_LINE_BYTES).rstrip(b"\r\n")
    if not first:
        return None
    headers = _read_headers(stream)
    if _value(headers, b"expect").lower() == b"100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")  # here and not by the service, which gets the body at once
        headers = tuple(header for header in headers if not header.lower().startswith(b"expect:"))
    return _Message(first, headers, _read_body(stream, headers, until_end=False))


def _read_answer(stream: BinaryIO, method: bytes) -> bytes:
    while True:
        first = stream.readline(_MOST_LINE_BYTES).rstrip(b"\r\n")
        if not first:
            raise EOFError("the service hung up")
        headers = _read_headers(stream)
        status = int(first.split(b" ")[1])
        if status >= 200:
            break
    if method == b"HEAD" or status in {204, 304}:
        return _Message(first, headers, b"").data
    return _Message(first, headers, _read_body(stream, headers, until_end=True)).data


def _read_headers(stream: BinaryIO) -> tuple[bytes, ...]:
    headers = []
    while line := stream.readline(_MOST_LINE_BYTES).rstrip(b"\r\n"):
        headers.append(line)
    return tuple(headers)


def _read_body(stream: BinaryIO, headers: tuple[bytes, ...], *, until_end: bool) -> bytes:
    """The body as it stands on the wire, chunk sizes included."""
    if b"chunked" in _value(headers, b"transfer-encoding").lower():
        return _read_chunks(stream)
    length = _value(headers, b"content-length")
    if length:
        return _exactly(stream, int(length))
    return stream.read() if until_end else b""


def _read_chunks(stream: BinaryIO) -> bytes:
    raw = io.BytesIO()
    while True:
        line = stream.readline(_MOST_LINE_BYTES)
        raw.write(line)
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        raw.write(_exactly(stream, size + 2))
    while (line := stream.readline(_MOST_LINE_BYTES)).rstrip(b"\r\n"):  # trailers
        raw.write(line)
    raw.write(line)
    return raw.getvalue()


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the body broke off")
    return data


def _value(headers: tuple[bytes, ...], name: bytes) -> bytes:
    return next((h.partition(b":")[2].strip() for h in headers if h.lower().startswith(name + b":")), b"")
