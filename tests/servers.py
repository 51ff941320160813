"""Servers on loopback that answer as a test wants: wrongly, halfway, or not at all."""

import http.client
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; `said_length` is the Content-Length where it is not the truth, `reset` cuts the connection instead,
    `drip_seconds` pass before each byte of the body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    said_length: int | None = None
    reset: bool = False
    drip_seconds: float = 0.0


class AnsweringServer:
    """An HTTP server whose answers come from a function; it keeps the requests."""

    def __init__(self, respond: Callable[[Request], Answer]) -> None:
        self.requests: list[Request] = []
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body)
                served.requests.append(request)
                _send(self, respond(request))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that hung up is what some tests want
            super().handle_error(request, client_address)


def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    if answer.reset:
        linger_none = struct.pack("ii", 1, 0)  # close with a reset, not with an end of stream
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
        handler.close_connection = True
        return
    handler.send_response_only(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    length = len(answer.body) if answer.said_length is None else answer.said_length
    handler.send_header("Content-Length", str(length))
    handler.end_headers()
    if handler.command == "HEAD":
        return
    for part in (answer.body[n : n + 1] for n in range(len(answer.body))) if answer.drip_seconds else [answer.body]:
        time.sleep(answer.drip_seconds)
        handler.wfile.write(part)
    if answer.said_length is not None:
        handler.close_connection = True


_OWN = {"content-length", "date", "connection"}


def forwarded(request: Request, url: str) -> Answer:
    """The answer of another server, the request untouched, its Host included (it is part of the signature)."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name != "expect":
                connection.putheader(name, value)
        connection.endheaders(request.body)
        response = connection.getresponse()
        body = response.read()
        length = int(response.headers["Content-Length"] or 0) if request.method == "HEAD" else None
        headers = {name: value for name, value in response.headers.items() if name.lower() not in _OWN}
        return Answer(response.status, body, headers, said_length=length)
    finally:
        connection.close()


def xml_error(status: int, code: str, message: str = "as the test wants") -> Answer:
    """S3's way to say no."""
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(status, text.encode(), {"Content-Type": "application/xml"})
