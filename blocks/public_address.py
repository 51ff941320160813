"""Sockets to public addresses only, unless a network is allowed by name (rule N5).

A name is resolved once, and the socket goes to the very address that was checked: a name
server that answers differently the second time is never asked a second time.
"""

import errno
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Not for the public, whatever the `is_global` of this or that Python says.
_NOT_PUBLIC: tuple[Network, ...] = (
    ip_network("192.0.0.0/24"),  # protocol assignments; a metadata service of one cloud lies here
    ip_network("192.88.99.0/24"),  # relays from IPv4 to 6to4, withdrawn
    ip_network("168.63.129.16/32"),  # Azure's own services as a virtual machine sees them
    ip_network("3fff::/20"),  # documentation
)
_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")


def literal_address(host: str) -> Address | None:
    """The address that a host spells out, in any form that a resolver would take; None for a name.

    `2130706433`, `0x7f.1` and `0177.0.0.1` are 127.0.0.1, and so is `localhost` wherever it is asked for.
    """
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    with suppress(ValueError):
        return ip_address(host)
    with suppress(OSError):
        return IPv4Address(socket.inet_aton(name))
    return None


def is_public(address: Address) -> bool:
    """Whether an address is reachable for everyone; one that carries an IPv4 address counts as that one."""
    address = _carried(address)
    if address.is_multicast or not address.is_global or any(address in network for network in _NOT_PUBLIC):
        return False
    return isinstance(address, IPv4Address) or address in _GLOBAL_UNICAST


def is_allowed(address: Address, networks: Iterable[Network]) -> bool:
    """Whether a socket may go there: a public address, or one in a network that the settings allow."""
    return is_public(address) or any(
        candidate in network for network in networks for candidate in (address, _carried(address))
    )


def _carried(address: Address) -> Address:
    """The IPv4 address inside a mapped, NAT64 or 6to4 address, any other as it is."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


class Line:
    """One connection to a checked address, which another thread can cut at any moment.

    Socket timeouts hold for a single read, so that a byte now and then keeps a connection open
    for ever; cutting the line ends it in whatever state it is: greeting, header or body.

    Attributes:
        is_cut: nothing that is read from now on is to be believed, for it may have lost its end.
    """

    def __init__(self, networks: Iterable[Network], timeout_seconds: float) -> None:
        """Start the clock for all that happens on this line."""
        self._networks = tuple(networks)
        self._deadline = time.monotonic() + timeout_seconds
        self._lock = threading.Lock()
        self._twin: socket.socket | None = None
        self.is_cut = False

    def connect(self, host: str, port: int) -> socket.socket:
        """Resolve a name and connect to the first of its addresses that is allowed and answers.

        Raises:
            OSError: none is allowed, or none answers; `strerror` is for a person.
        """
        found = list(_resolve(host, port))
        usable = [entry for entry in found if is_allowed(entry[1], self._networks)]
        if found and not usable:
            raise PermissionError(
                errno.EACCES,
                f"{found[0][1]} is not a public address (add its network to allowed_networks if it is the right one)",
            )
        trouble = OSError(errno.EADDRNOTAVAIL, "its name has no address")
        for tried, (family, _, place) in enumerate(usable):
            # An equal share of the time for each, so that a first address in a black hole leaves some for the second.
            share = (self._deadline - time.monotonic()) / (len(usable) - tried)
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(max(share, 0.001))
                sock.connect(place)
                self._keep(sock)
            except OSError as error:
                sock.close()
                trouble = error
            else:
                return sock
        raise trouble

    def cut(self) -> None:
        """End the connection, if there is one, and let none come about any more."""
        with self._lock:
            self.is_cut = True
            if self._twin:
                with suppress(OSError):
                    self._twin.shutdown(socket.SHUT_RDWR)
                self._twin.close()
                self._twin = None

    def _keep(self, sock: socket.socket) -> None:
        """Keep a second descriptor of the connection: TLS takes the first one away from its socket object."""
        with self._lock:
            if self.is_cut:
                raise TimeoutError(errno.ETIMEDOUT, "the time is over")
            self._twin = sock.dup()


def _resolve(host: str, port: int) -> Iterator[tuple[socket.AddressFamily, Address, tuple[object, ...]]]:
    """Family, address, and the place to connect to, of each address of a name."""
    for family, _, _, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        yield family, ip_address(place[0]), place


def session_over(line: Line) -> "requests.Session":
    """A session of which every connection goes over the line; nothing of the environment counts.

    Only the socket is exchanged: TLS still asks for and checks the name in the URL.
    """
    import requests
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return line.connect(self._dns_host, self.port)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return line.connect(self._dns_host, self.port)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    adapter = requests.adapters.HTTPAdapter()
    adapter.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
