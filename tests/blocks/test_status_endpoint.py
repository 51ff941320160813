import gc
import logging
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks import Webhook

from blocks import status_endpoint
from blocks.public_address import is_allowed, is_public, literal_address
from blocks.status_endpoint import Answer, StatusEndpoint
from schemas.delivery import Callback
from tests.receiver import OK, Script, ScriptedReceiver, SilentListener, endless, raw, reset, status, unused_port

NOW = datetime(2021, 12, 25, 3, 0, tzinfo=UTC)
BODY = '{"folder_path": "drop/processed/20211225", "success": true, "message": "Größe — 5\\nrows"}'.encode()
CALLBACK = Callback(id="msg_0b6f2f0e", delivery_id="d-1", body=BODY, attempts=0)
HERE = ["127.0.0.0/8", "::1/128"]
API_KEY = "canary-api-key-6f1d"
SIGNING_SECRET = "whsec_Y2FuYXJ5LXNpZ25pbmctc2VjcmV0LWNhbmFyeQ=="
FAST = 0.4


def endpoint(url: str, **settings: Any) -> StatusEndpoint:
    return StatusEndpoint(**{"url": url, "allow_http": True, "allowed_networks": HERE, **settings})


def told(url: str, **settings: Any) -> Answer:
    return endpoint(url, **settings).send(CALLBACK, now=NOW)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@dataclass(frozen=True)
class Line:
    """How a receiver is called: in the open, or over TLS."""

    tls: ssl.SSLContext | None
    ca_file: str

    def receiver(self, *scripts: Script) -> ScriptedReceiver:
        return ScriptedReceiver(*scripts, tls=self.tls)

    def told(self, receiver: ScriptedReceiver, **settings: Any) -> Answer:
        return told(receiver.at("127.0.0.1"), ca_file=self.ca_file, allow_http=self.tls is None, **settings)


@pytest.fixture(params=["http", "https"])
def line(request: pytest.FixtureRequest, authority: trustme.CA, ca_file: str) -> Line:
    if request.param == "http":
        return Line(None, "")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return Line(context, ca_file)


# --- what is sent -----------------------------------------------------------------------------------------------------


@pytest.mark.rule("N1")
@pytest.mark.rule("N3")
def test_the_body_is_sent_byte_for_byte_with_its_headers() -> None:
    with ScriptedReceiver() as receiver:
        answer = told(receiver.url, api_key=API_KEY)
    [received] = receiver.received
    assert answer == Answer(True, False, 200, None, "The status endpoint 127.0.0.1 answered 200.")
    assert received.path == "/import-status"
    assert received.body == BODY
    headers = dict(received.headers)
    assert headers.pop("user-agent").startswith("px-import/")
    assert headers.pop("host") == f"127.0.0.1:{receiver.port}"
    assert headers == {
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
        "content-length": str(len(BODY)),
        "content-type": "application/json",
        "idempotency-key": CALLBACK.id,
        "webhook-id": CALLBACK.id,
        "webhook-timestamp": str(int(NOW.timestamp())),
        "x-api-key": API_KEY,
    }


@pytest.mark.rule("N3")
def test_a_second_try_has_the_same_id_and_its_own_time() -> None:
    with ScriptedReceiver(status(500), status(200)) as receiver:
        here = endpoint(receiver.url)
        first, second = (here.send(CALLBACK, now=NOW + timedelta(seconds=wait)) for wait in (0, 5))
    assert (first.received, second.received) == (False, True)
    one, two = (received.headers for received in receiver.received)
    assert one["webhook-id"] == two["webhook-id"]
    assert one["idempotency-key"] == two["idempotency-key"]
    assert int(two["webhook-timestamp"]) - int(one["webhook-timestamp"]) == 5


@pytest.mark.rule("N4")
@pytest.mark.parametrize("secret", [SIGNING_SECRET, SIGNING_SECRET.rstrip("=")], ids=["padded", "unpadded"])
def test_a_signature_is_one_of_standard_webhooks(secret: str) -> None:
    with ScriptedReceiver() as receiver:
        assert endpoint(receiver.url, signing_secret=secret).send(CALLBACK, now=datetime.now(UTC)).received
    [received] = receiver.received
    assert Webhook(SIGNING_SECRET).verify(received.body, dict(received.headers))["success"] is True


@pytest.mark.rule("N4")
def test_without_a_key_and_a_secret_neither_header_is_sent() -> None:
    with ScriptedReceiver() as receiver:
        told(receiver.url)
    assert not {"x-api-key", "webhook-signature"} & set(receiver.received[0].headers)


# --- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.rule("N1")
@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_any_2xx_is_received(code: int) -> None:
    with ScriptedReceiver(status(code)) as receiver:
        answer = told(receiver.url)
    assert (answer.received, answer.gone, answer.status_code) == (True, False, code)


@pytest.mark.rule("N2")
@pytest.mark.parametrize(
    ("script", "code", "gone", "wait", "says"),
    [
        (status(400), 400, False, None, "answered 400."),
        (status(401), 401, False, None, "check its API key"),
        (status(404), 404, False, None, "check its URL"),
        (status(410), 410, True, None, "wants no callback any more"),
        (status(429, Retry_After="120"), 429, False, 120, "answered 429"),
        (status(429, Retry_After=format_datetime(NOW + timedelta(hours=1), usegmt=True)), 429, False, 3600, "429"),
        (status(503, Retry_After=format_datetime(NOW - timedelta(hours=1), usegmt=True)), 503, False, 0, "503"),
        (status(503, Retry_After="-5"), 503, False, None, "503"),
        (status(503, Retry_After="soon"), 503, False, None, "503"),
        (status(503, Retry_After="9" * 400), 503, False, float("inf"), "503"),
        (status(500, b"a secret of the receiver"), 500, False, None, "answered 500."),
    ],
)
def test_anything_else_is_not(line: Line, script: Script, code: int, gone: bool, wait: float | None, says: str) -> None:
    with line.receiver(script) as receiver:
        answer = line.told(receiver)
    assert not answer.received
    assert (answer.status_code, answer.gone, answer.retry_after_seconds) == (code, gone, wait)
    assert says in answer.reason
    assert "secret" not in answer.reason


@pytest.mark.rule("N5")
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(line: Line, code: int) -> None:
    with ScriptedReceiver() as elsewhere, line.receiver(status(code, Location=elsewhere.url)) as receiver:
        answer = line.told(receiver)
    assert (answer.received, answer.status_code) == (False, code)
    assert "never followed" in answer.reason
    assert len(receiver.received) == 1
    assert elsewhere.received == []


@pytest.mark.rule("N2")
@pytest.mark.parametrize(
    "script",
    [
        reset,
        raw(b""),
        raw(b"secret \xff no HTTP\r\n\r\n"),
        raw(b"HTTP/1.1 abc secret\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X-Secret: 1\r\n" * 1000 + b"\r\n"),
        raw(b"HTTP/1.1 200 " + b"secret" * 20_000),
    ],
    ids=["reset", "hung up", "no HTTP", "no number", "many headers", "long line"],
)
def test_no_valid_answer_is_told_in_a_sentence(line: Line, script: Script) -> None:
    with line.receiver(script) as receiver:
        answer = line.told(receiver)
    assert (answer.received, answer.status_code) == (False, None)
    assert answer.reason.startswith("The status endpoint 127.0.0.1 could not be told: ")
    assert answer.reason.endswith(".")
    assert "certificate" not in answer.reason
    assert "secret" not in answer.reason.lower()


@pytest.mark.rule("N2")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # urllib3 leaves its socket to the garbage collection
@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 1,2",
        b"Content-Length: -1",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\n\r\nzz",
        b"Content-Encoding: gzip\r\n\r\nno gzip",
        b"Content-Type: a; charset=\xff",
        b"Set-Cookie: a=b; Expires=\x00",
        b"no header\xff\x00",
    ],
)
def test_no_header_makes_it_raise(line: Line, header: bytes) -> None:
    with line.receiver(raw(OK + header + b"\r\n\r\n")) as receiver:
        answer = line.told(receiver)
    assert answer.received == (answer.status_code == 200)
    gc.collect()


def test_nobody_there() -> None:
    answer = told(f"http://127.0.0.1:{unused_port()}/")
    assert answer.reason == "The status endpoint 127.0.0.1 could not be told: Connection refused."


def test_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving())
    assert "Name or service not known" in told("http://hooks.invalid/").reason


@pytest.mark.parametrize("url", [f"http://{'x' * 70}.example/", "http://*.example/", "http://xn--a.example./\u00fc"])
def test_a_url_that_no_request_can_be_made_of(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", None)
    assert not told(url).received


def test_no_endpoint() -> None:
    assert told("").reason == "No status endpoint is set."


@given(st.text(max_size=60) | st.datetimes().map(format_datetime) | st.integers().map(str))
def test_no_retry_after_breaks_anything(value: str) -> None:
    wait = status_endpoint._retry_after(value, NOW)
    assert wait is None or wait >= 0


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("N5")
@pytest.mark.parametrize(
    ("start", "again"),
    [
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
        (OK + b"\r\n", b"x" * 4096),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 4096),
    ],
    ids=["chunked", "to the end", "long and packed"],
)
def test_an_endless_body_is_cut_after_64_kib(line: Line, start: bytes, again: bytes) -> None:
    sent: list[bytes] = []
    with line.receiver(endless(start, again, sent=sent)) as receiver:
        assert line.told(receiver).received
    # What neither side has read yet lies in the buffers of the two sockets.
    assert 64 * 1024 <= sum(map(len, sent)) + len(again) < 1024 * 1024


@pytest.mark.rule("N5")
@pytest.mark.parametrize(
    ("script", "received"),
    [
        (endless(b"", b"H", 0.05), False),
        (endless(OK, b"X-Drip: 1\r\n", 0.05), False),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05), False),
        (endless(OK + b"Content-Length: 5000\r\n\r\n", b"x", 0.05), True),
    ],
    ids=["status line", "header", "continue", "body"],
)
def test_a_drip_ends_at_the_deadline(line: Line, script: Script, received: bool) -> None:
    with line.receiver(script) as receiver:
        began = time.monotonic()
        answer = line.told(receiver, timeout_seconds=FAST)
        took = time.monotonic() - began
    assert FAST * 0.9 < took < FAST + 0.5
    # A 2xx was heard before its body came to an end: that is all that counts.
    assert answer.received == received
    assert received or "did not answer within 0.4 seconds" in answer.reason


@pytest.mark.rule("N5")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_silence_ends_at_the_deadline(scheme: str) -> None:
    with SilentListener() as silent:
        began = time.monotonic()
        answer = told(f"{scheme}://127.0.0.1:{silent.port}/", timeout_seconds=FAST)
        took = time.monotonic() - began
    assert "did not answer within 0.4 seconds" in answer.reason
    assert took < FAST + 0.5


@pytest.mark.rule("N5")
def test_a_slow_name_server_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedReceiver() as receiver:
        asked = socket.getaddrinfo

        def slow(*args: Any, **kwargs: Any) -> Any:
            time.sleep(0.5)
            return asked(*args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        monkeypatch.setattr(status_endpoint, "_GRACE_SECONDS", 0.05)
        began = time.monotonic()
        answer = told(receiver.url, timeout_seconds=0.1)
        assert time.monotonic() - began < 0.4
        time.sleep(0.6)
    assert "did not answer within 0.1 seconds" in answer.reason
    assert receiver.received == [], "nothing is sent after the deadline"


@pytest.mark.rule("N5")
def test_a_name_server_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    code = """
import socket, threading
from datetime import UTC, datetime
from blocks.status_endpoint import StatusEndpoint
from schemas.delivery import Callback
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
endpoint = StatusEndpoint(url="https://hooks.example.com/", timeout_seconds=0.1)
print(endpoint.send(Callback("id", "delivery", b"{}", 0), now=datetime.now(UTC)).reason)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "did not answer within 0.1 seconds" in ended.stdout


# --- public addresses only --------------------------------------------------------------------------------------------


def resolving(*answers: list[str]) -> Callable[..., list[Any]]:
    """A resolver that gives these addresses, the next list on each question; it knows no other name."""
    left = list(answers)

    def resolve(host: str, port: int, *_: object, **__: object) -> list[Any]:
        if not left:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in found else socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port))
            for found in left.pop(0)
        ]

    return resolve


def each(words: str) -> list[str]:
    return words.split()


REFUSED = each("""
    127.0.0.1 127.255.255.254 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 169.254.170.2
    100.64.0.1 100.100.100.200 0.0.0.0 0.1.2.3 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 192.0.0.192
    192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 192.88.99.1 168.63.129.16
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:7f00:1
    64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::808:808 2002:7f00:1:: 2002:a9fe:a9fe::1 2001::1 100::1
    fe80::1 fe80::1%lo fec0::1 fc00::1 fd00:ec2::254 ff02::1 ff0e::1 2001:db8::1 3fff::1 5f00::1
""")
PUBLIC = each("""
    8.8.8.8 1.1.1.1 172.32.0.1 100.128.0.1 52.94.236.248 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1
    2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450:4001:80b::200e
""")


@pytest.mark.rule("N5")
@pytest.mark.parametrize("address", REFUSED)
def test_no_public_address(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.rule("N5")
@pytest.mark.parametrize("address", PUBLIC)
def test_public_address(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.rule("N5")
def test_an_allowed_network_lets_in_its_own_addresses_only() -> None:
    networks = [ip_network("10.20.0.0/16"), ip_network("fd00:1234::/32")]
    for inside in ("10.20.3.4", "::ffff:10.20.3.4", "fd00:1234::1", "8.8.8.8"):
        assert is_allowed(ip_address(inside), networks)
    for outside in ("10.21.0.1", "::ffff:10.21.0.1", "fd00:1235::1", "169.254.169.254"):
        assert not is_allowed(ip_address(outside), networks)


SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0.0.0.0",
    "0",
    "localhost",
    "LOCALHOST",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
]


@pytest.mark.rule("N5")
@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_leads_inside(host: str) -> None:
    everywhere = ["127.0.0.0/8", "0.0.0.0/8"]
    with ScriptedReceiver() as receiver:
        url = receiver.at(host)
        with pytest.raises(ValidationError, match=r"no public address: add its network to allowed_networks"):
            StatusEndpoint(url=url, allow_http=True)
        # As if the settings had let it through: the socket is the one that decides.
        answer = StatusEndpoint.model_construct(url=url, allow_http=True).send(CALLBACK, now=NOW)
        assert receiver.received == []
        assert "is not a public address" in answer.reason
        # The twin that shows that the spelling does lead here.
        assert told(url, allowed_networks=everywhere).received
    assert len(receiver.received) == 1


@pytest.mark.rule("N5")
@pytest.mark.parametrize("address", REFUSED)
def test_no_name_leads_inside(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving([address]))
    monkeypatch.setattr(socket.socket, "connect", None)
    answer = StatusEndpoint(url="https://hooks.example.com/").send(CALLBACK, now=NOW)
    assert f"{ip_address(address)} is not a public address" in answer.reason


@pytest.mark.rule("N5")
def test_a_resolver_that_changes_its_mind_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedReceiver() as receiver:
        # 127.0.0.2 stands for the public address that is checked, 127.0.0.1 for the one inside.
        monkeypatch.setattr(socket, "getaddrinfo", resolving(["127.0.0.2"], ["127.0.0.1"]))
        answer = told(receiver.at("hooks.example.com"), allowed_networks=["127.0.0.2/32"])
        assert "Connection refused" in answer.reason
        assert socket.getaddrinfo("still", 1)[0][4][0] == "127.0.0.1", "the second answer was never asked for"
    assert receiver.received == []


@pytest.mark.rule("N5")
def test_of_several_addresses_only_the_allowed_one_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedReceiver() as receiver:
        monkeypatch.setattr(socket, "getaddrinfo", resolving(["10.0.0.1", "127.0.0.3", "127.0.0.1"]))
        assert told(receiver.at("hooks.example.com")).received
    assert receiver.received[0].headers["host"] == f"hooks.example.com:{receiver.port}"


@pytest.mark.rule("N5")
def test_the_environment_counts_for_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password canary")
    monkeypatch.setenv("NETRC", str(netrc))
    with ScriptedReceiver() as proxy, ScriptedReceiver() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert told(receiver.url).received
    assert proxy.received == []
    assert "authorization" not in receiver.received[0].headers


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[ScriptedReceiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example.com").configure_cert(context)
    with ScriptedReceiver(tls=context) as receiver:
        yield receiver


@pytest.mark.rule("N5")
def test_the_name_counts_for_tls_and_the_checked_address_for_the_socket(
    secure: ScriptedReceiver, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving(["127.0.0.1"]))
    answer = told(secure.at("hooks.example.com"), ca_file=ca_file, allow_http=False)
    assert answer.received, answer.reason
    assert secure.names == ["hooks.example.com"]
    assert secure.received[0].body == BODY


@pytest.mark.parametrize(("host", "trusts"), [("hooks.example.com", False), ("other.example.com", True)])
def test_a_certificate_that_is_not_trusted(
    host: str, trusts: bool, secure: ScriptedReceiver, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving(["127.0.0.1"]))
    answer = told(secure.at(host), ca_file=ca_file if trusts else "")
    assert "its certificate is not trusted" in answer.reason
    assert secure.received == []


@pytest.mark.parametrize(("content", "says"), [(None, "is not there"), ("no certificate", "could not be told")])
def test_a_ca_file_that_is_none(content: str | None, says: str, tmp_path: Path, secure: ScriptedReceiver) -> None:
    path = tmp_path / "own.pem"
    if content:
        path.write_text(content)
    assert says in told(secure.at("127.0.0.1"), ca_file=str(path)).reason


def test_a_server_without_tls() -> None:
    with ScriptedReceiver() as receiver:
        answer = told(receiver.url.replace("http:", "https:"))
    assert not answer.received


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("S9")
@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ({"url": "http://example.com/x"}, "url must begin with https://, or allow_http must be set"),
        ({"url": "ftp://example.com/x", "allow_http": True}, "url must begin with https://"),
        ({"url": "example.com/canary"}, "url must begin with https://"),
        ({"url": "https:///canary"}, "url must name a host"),
        ({"url": "https://:443/"}, "url must name a host"),
        ({"url": "https://me:canary@example.com/"}, "put the key into api_key"),
        ({"url": "https://canary@example.com/"}, "put the key into api_key"),
        ({"url": "https://example.com/#canary"}, "url must end before the #"),
        ({"url": "https://example.com:99999/canary"}, "real host and port"),
        ({"url": "https://example.com:0/canary"}, "real host and port"),
        ({"url": "https://[::1/canary"}, "real host and port"),
        ({"url": "https://example.com\\@canary/"}, "no blank, backslash or control character"),
        ({"url": "https://example.com/ca nary"}, "no blank, backslash or control character"),
        ({"url": "https://169.254.169.254/latest"}, "url leads to 169.254.169.254, no public address"),
        ({"url": "https://[fd00::1]/"}, "add its network to allowed_networks"),
        ({"allowed_networks": ["10.0.0.1/8"]}, "a network is written like 10.20.0.0/16"),
        ({"allowed_networks": ["canary"]}, "a network is written like 10.20.0.0/16"),
        ({"api_key": "canary\r\nX-Other: 1"}, "copy it again"),
        ({"api_key": " canary"}, "copy it again"),
        ({"api_key": "canarÿ"}, "copy it again"),
        ({"signing_secret": "whsec_Y2FuYXJ5"}, "whsec_ and the base64 of 24 to 64 bytes"),
        ({"signing_secret": SIGNING_SECRET.removeprefix("whsec_")}, "whsec_ and the base64 of 24 to 64 bytes"),
        ({"signing_secret": "whsec_canary canary canary canary canary"}, "whsec_ and the base64 of 24 to 64 bytes"),
        ({"timeout_seconds": 0}, "greater than 0"),
        ({"canary": 1}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_cure(settings: dict[str, Any], cure: str) -> None:
    with pytest.raises(ValidationError) as refused:
        StatusEndpoint(**settings)
    [error] = refused.value.errors(include_input=False, include_url=False)
    assert cure in error["msg"]
    assert "canary" not in error["msg"].lower()
    assert "canary" not in str(refused.value).lower().replace("\ncanary\n", "")  # but for the name of a field


@pytest.mark.rule("S6")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": "https://www.example.com/prd/data-export"},
        {"url": "https://example.com:8443/a?b=c%20d", "api_key": API_KEY, "signing_secret": SIGNING_SECRET},
        {"url": "https://8.8.8.8/"},
        {"url": "https://[2001:4860:4860::8888]/"},
        {"url": "http://example.com/", "allow_http": True},
        {"url": "https://10.0.0.5/", "allowed_networks": ["10.0.0.0/8"]},
        {"url": "https://10.0.0.5/", "allowed_networks": ["10.0.0.5"]},
        {"url": "https://bücher.example/"},
    ],
)
def test_a_right_setting_is_taken(settings: dict[str, Any]) -> None:
    assert StatusEndpoint(**settings).model_dump(include=set(settings)).keys() == settings.keys()


def test_every_field_has_a_title_and_a_description() -> None:
    for field in StatusEndpoint.model_fields.values():
        assert field.title
        assert field.description


def test_a_name_is_no_literal_address() -> None:
    assert literal_address("example.com") is None
    assert literal_address("10.example.com") is None
    assert str(literal_address("inner.LocalHost.")) == "127.0.0.1"


@pytest.mark.rule("S10")
@pytest.mark.parametrize("script", [status(200), status(401), reset, raw(b"nonsense")])
def test_no_secret_is_shown_anywhere(
    script: Script, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedReceiver(script) as receiver:
        here = endpoint(receiver.url, api_key=API_KEY, signing_secret=SIGNING_SECRET)
        answer = here.send(CALLBACK, now=NOW)
        assert receiver.received[0].headers["x-api-key"] == API_KEY
    out, err = capfd.readouterr()
    shown = "".join([repr(here), str(here), here.model_dump_json(), repr(answer), caplog.text, out, err])
    for canary in (API_KEY, SIGNING_SECRET, SIGNING_SECRET.removeprefix("whsec_"), "canary-signing-secret-canary"):
        assert canary not in shown


def test_importing_the_block_is_cheap() -> None:
    import subprocess
    import sys

    code = "import sys, blocks.public_address; assert not {'requests', 'urllib3'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
