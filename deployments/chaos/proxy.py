"""What both proxies share: a listener on loopback, a thread a connection, and an end that leaves nothing behind."""

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_BACKLOG = 64


class Proxy:
    """Listens on a free port of 127.0.0.1 while its `with` block runs.

    Attributes:
        port: where.
        failure: the first exception that is no broken connection: a defect of the proxy, to be raised by its owner.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self.failure: BaseException | None = None
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._ending = False

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._start(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Break all connections and end all threads.

        Raises:
            BaseException: what the proxy itself failed with, where the block did not fail.
        """
        self._ending = True
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()
        if self.failure and exc is None:
            raise self.failure

    def serve(self, client: socket.socket) -> None:
        """Serve one connection to its end."""
        raise NotImplementedError

    def track(self, connection: socket.socket) -> socket.socket:
        """A connection that is broken at the end at the latest."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(connection)
        return connection

    def close(self, connection: socket.socket, *, reset: bool = False) -> None:
        """Close a connection that is tracked."""
        with self._lock:
            self._open.discard(connection)
        if reset:
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while not self._ending:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, self.track(client))

    def _serve(self, client: socket.socket) -> None:
        try:
            self.serve(client)
        except (ConnectionError, EOFError):
            pass  # a caller that was killed hangs up without a word
        except BaseException as exc:  # noqa: BLE001 - kept for the owner
            if not self._ending:
                self.failure = self.failure or exc
        finally:
            self.close(client, reset=True)
