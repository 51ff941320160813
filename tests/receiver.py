"""A real receiver of callbacks that answers by script, in the open or over TLS."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

from deployments.receiver import Receiver

#: Writes one answer, byte by byte if it likes, on the connection of a request.
Script = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\n"


def status(code: int, body: bytes = b"", **headers: str) -> Script:
    """A whole answer; `Retry_After="7"` is the header `Retry-After: 7`."""
    lines = [f"HTTP/1.1 {code} Scripted", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def raw(answer: bytes) -> Script:
    """Exactly these bytes, then the end."""
    return lambda connection: connection.sendall(answer)


def endless(start: bytes, again: bytes, pause_seconds: float = 0.0, sent: list[bytes] | None = None) -> Script:
    """A beginning, then the same bytes again and again until the caller hangs up; they are noted in `sent`."""

    def play(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # little is sent that nobody has read
        connection.sendall(start)
        end = time.monotonic() + 20  # a test that hangs must still end
        while time.monotonic() < end:
            connection.sendall(again)
            if sent is not None:
                sent.append(again)
            time.sleep(pause_seconds)

    return play


def reset(connection: socket.socket) -> None:
    """Drop the connection with an RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class ScriptedReceiver(Receiver):
    """Plays one script per request and then the last one again; answers 200 without any.

    Attributes:
        names: the host names that callers asked for in their TLS greeting.
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._scripts = list(scripts)
        self._turn = threading.Lock()
        self.names: list[str | None] = []
        if tls:
            tls.sni_callback = lambda _, name, __: self.names.append(name)
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https" if tls else "http"

    def at(self, host: str) -> str:
        """The URL under another name or spelling of the host."""
        return f"{self.scheme}://{host}:{self.port}/import-status"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        with self._turn:
            script = self._scripts.pop(0) if len(self._scripts) > 1 else next(iter(self._scripts), None)
        if script is None:
            super().answer(request)
        else:
            script(request.connection)


class SilentListener:
    """Takes connections and never says a word: not even the greeting of TLS."""

    def __enter__(self) -> "SilentListener":
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
