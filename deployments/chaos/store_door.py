"""The door before the store: a proxy where it is a server, nothing where it is a file."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlencode, urlsplit

from deployments.chaos.exchange import Interceptor
from deployments.chaos.postgres_proxy import PostgresProxy

_DEFAULT_PORT = 5432
_OF_TLS = {"sslmode", "sslrootcert"}


@contextmanager
def store_door(store_url: str, intercept: Interceptor) -> Iterator[str]:
    """Stand before a store; the URL that leads there through the proxy.

    The importer speaks to the proxy in the clear, the proxy to the server as the URL has it.
    """
    url = urlsplit(store_url)
    if url.scheme == "sqlite":
        yield store_url
        return
    parameters = dict(parse_qsl(url.query))
    with PostgresProxy(str(url.hostname), url.port or _DEFAULT_PORT, intercept, _tls(parameters)) as proxy:
        credentials, at, _ = url.netloc.rpartition("@")
        inside = {name: value for name, value in parameters.items() if name not in _OF_TLS}
        query = urlencode({**inside, "sslmode": "disable"})
        yield url._replace(netloc=f"{credentials}{at}127.0.0.1:{proxy.port}", query=query).geturl()


def _tls(parameters: dict[str, str]) -> ssl.SSLContext | None:
    """How to speak to the server, in the words of libpq."""
    mode = parameters.get("sslmode", "prefer")
    if mode in {"disable", "allow", "prefer"}:
        return None
    context = ssl.create_default_context(cafile=parameters.get("sslrootcert"))
    if not mode.startswith("verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.check_hostname = mode == "verify-full"
    return context
