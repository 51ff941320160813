"""Looks whether a feed's status endpoint can be reached, and sends it a test if that is wanted (rules N1, N5)."""

import contextlib
import json
import ssl
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from blocks.import_settings import ImportSettings
from blocks.public_address import Line
from blocks.status_endpoint import StatusEndpoint, why_not_told
from schemas.delivery import Callback
from schemas.diagnosis import Remark, State

#: No date, so no receiver takes it for a folder; a failure, so that nobody goes on as if something had come.
TEST_FOLDER = "test"
TEST_MESSAGE = "This is a test of px-import doctor: nothing was delivered and nothing has failed"


def reach(endpoint: StatusEndpoint) -> Iterator[Remark]:
    """Connect, with TLS where the URL says so, and hang up: no request is made."""
    parts = urlsplit(endpoint.url)
    if not endpoint.url:
        yield State.OK, "none is set: nobody is told"
        return
    line = Line(map(ip_network, endpoint.allowed_networks), endpoint.timeout_seconds)
    try:
        with contextlib.closing(line.connect(endpoint.host, parts.port or _PORTS[parts.scheme])) as sock:
            sock.settimeout(endpoint.timeout_seconds)
            if parts.scheme == "https":
                _trusting(endpoint).wrap_socket(sock, server_hostname=endpoint.host).close()
    except (OSError, ValueError) as error:
        late = isinstance(error, TimeoutError)
        why = f"no answer within {endpoint.timeout_seconds:g} seconds" if late else why_not_told(error)
        yield State.FAILED, f"{endpoint.host} cannot be reached: {why}"
    else:
        yield State.OK, f"{endpoint.host} can be reached; nothing was sent, --send-test would"
    finally:
        line.cut()


_PORTS = {"https": 443, "http": 80}


def _trusting(endpoint: StatusEndpoint) -> ssl.SSLContext:
    """Trusts whom a callback would trust."""
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    if endpoint.ca_file and not Path(endpoint.ca_file).is_file():
        raise FileNotFoundError(2, f"the file {endpoint.ca_file} (ca_file) is not there")
    return ssl.create_default_context(cafile=endpoint.ca_file or DEFAULT_CA_BUNDLE_PATH)


def send_test(settings: ImportSettings) -> Iterator[Remark]:
    """POST a callback that tells of no delivery; its `folder_path` ends in `processed/test`, and it says failure."""
    endpoint = settings.status_endpoint
    if not endpoint.url:
        yield State.OK, "none is set: nobody is told"
        return
    folder = settings.zone.key("processed", TEST_FOLDER)
    body = json.dumps({"folder_path": folder, "success": False, "message": TEST_MESSAGE}).encode()
    answer = endpoint.send(Callback(str(uuid.uuid4()), "", body, 0), now=datetime.now(UTC))
    said = answer.reason.rstrip(".")
    yield State.OK if answer.received else State.FAILED, f"{said} to a test with the folder_path {folder}"
