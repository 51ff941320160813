"""A small status endpoint on this machine: shows what the importer sends. For demos and tests, not for the world."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_MAX_BODY_BYTES = 16 * 1024**2


@dataclass(frozen=True, slots=True)
class Received:
    """One POST as it came in; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """An HTTP server on 127.0.0.1 that keeps every POST and answers 200; runs while its `with` block does.

    Attributes:
        received: every POST so far, in order.
    """

    def __init__(self, port: int = 0, *, on_receive: Callable[[Received], None] | None = None) -> None:
        """Take a port, 0 for a free one, and begin to listen.

        Args:
            port: of 127.0.0.1.
            on_receive: called with each POST before it is answered, on the thread of its connection.
        """
        self.received: list[Received] = []
        self._on_receive = on_receive
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """What to write as the URL of the status endpoint."""
        return f"http://127.0.0.1:{self.port}/import-status"

    def take(self, received: Received) -> None:
        """Keep a POST and show it."""
        self.received.append(received)
        if self._on_receive:
            self._on_receive(received)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a POST."""
        text = b"received\n"
        request.send_response(200)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Threads that are waited for at the end: none of them may write after the block."""

    daemon_threads = False

    def __init__(self, receiver: Receiver, port: int) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", port), _Request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up is no news."""


class _Request(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server

    def do_POST(self) -> None:
        """Take one callback."""
        size = min(int(self.headers.get("Content-Length", 0)), _MAX_BODY_BYTES)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.receiver.take(Received(self.path, headers, self.rfile.read(size)))
        self.server.receiver.answer(self)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal for what was received."""


def show(received: Received) -> None:
    """Print a callback for a person: its verdict, folder and message."""
    try:
        body = json.loads(received.body)
        verdict = "success" if body["success"] else "error"
        print(f"callback: {verdict} {body['folder_path']}: {body['message']}")
    except (ValueError, KeyError, TypeError):
        print(f"callback: {received.body[:1000]!r}")
