"""The proxies change nothing where they are not asked to, and what they are asked to is what the caller sees."""

import socket
import threading
from contextlib import contextmanager

import psycopg
import pytest

from deployments.chaos.exchange import RESET, Door
from deployments.chaos.http_proxy import HttpProxy
from deployments.chaos.store_door import store_door


def let_pass(exchange):
    return exchange.forward()


@contextmanager
def service(answer):
    """A service that keeps what it was sent, byte for byte, and gives one answer."""
    got = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                while not got or not got[-1].endswith(b"END"):
                    got.append(b"".join(got[-1:]) + connection.recv(65_536))
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", got
        thread.join()


def asked(proxy, request):
    """The whole answer to raw bytes; empty where the connection breaks without one."""
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while more := connection.recv(65_536):
                answer += more
        except ConnectionResetError:
            pass
        return answer


BODY = b"Content-Length: 3\r\nConnection: close\r\n\r\nEND"
ANSWERS = {
    "with a length": b"HTTP/1.1 200 OK\r\nx-ODD: 1\r\nContent-Length: 4\r\n\r\nbody",
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n0\r\nTrailer: t\r\n\r\n",
    "up to its end": b"HTTP/1.1 200 OK\r\n\r\nas long as it goes",
    "with nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_http_passes_byte_for_byte(answer):
    request = b"PUT /b/%7Bk%20?x=%2F HTTP/1.1\r\nhOsT: s3.example\r\nB: 2\r\na:1\r\n" + BODY
    with service(answer) as (url, got), HttpProxy(Door.S3, url, let_pass) as proxy:
        assert asked(proxy, request) == answer
        assert got[-1] == request


def test_http_in_the_absolute_form_of_a_proxy_arrives_as_if_asked_directly():
    with service(ANSWERS["with nothing"]) as (url, got), HttpProxy(Door.S3, url, let_pass) as proxy:
        asked(proxy, b"PUT http://bucket.example/k%20 HTTP/1.1\r\nHost: bucket.example\r\n" + BODY)
        assert got[-1].startswith(b"PUT /k%20 HTTP/1.1\r\nHost: bucket.example\r\n")


def test_a_body_that_waits_to_be_asked_for_is_asked_for():
    request = b"PUT /k HTTP/1.1\r\nExpect: 100-continue\r\n" + BODY
    with service(ANSWERS["with nothing"]) as (url, got), HttpProxy(Door.S3, url, let_pass) as proxy:
        assert asked(proxy, request).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204")
        assert got[-1] == request.replace(b"Expect: 100-continue\r\n", b"")


def test_a_call_is_named_as_a_person_would():
    calls = []

    def refuse(exchange):
        calls.append((exchange.call.what, exchange.call.body))
        return exchange.refusal(503, "SlowDown")

    with HttpProxy(Door.S3, "http://127.0.0.1:9", refuse, above="bucket/export/") as proxy:
        answer = asked(proxy, b"PUT /bucket/export/current/a%20b HTTP/1.1\r\nHost: x\r\n" + BODY)
        asked(proxy, b"GET /bucket?list-type=2&prefix=export%2Fcurrent%2F HTTP/1.1\r\nHost: x\r\n" + BODY)
    assert calls == [("PUT current/a b", b"END"), ("LIST current/", b"END")]
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert answer.endswith(b"<Error><Code>SlowDown</Code></Error>")


def test_a_connection_is_reset_and_an_answer_cut():
    with HttpProxy(Door.S3, "http://127.0.0.1:9", lambda _: RESET) as proxy:
        assert asked(proxy, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    answer = ANSWERS["with a length"]
    with service(answer) as (url, _), HttpProxy(Door.S3, url, lambda exchange: exchange.forward().cut()) as proxy:
        assert asked(proxy, b"PUT / HTTP/1.1\r\nHost: x\r\n" + BODY) == answer[: len(answer) // 2]


def test_postgresql_speaks_through_its_proxy_as_without_it(local_postgres):
    calls = []

    def note(exchange):
        calls.append(exchange.call.what)
        return exchange.forward()

    with store_door(local_postgres.url, note) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE t (a int, b text)")
        with connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
            for number in range(1000):
                copy.write_row((number, "x" * 100))
        assert connection.execute("SELECT count(*) FROM t WHERE a < %s", (500,)).fetchone() == (500,)
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
        with connection.cursor() as cursor, cursor.copy("COPY t TO STDOUT") as copy:
            assert len(b"".join(copy).splitlines()) == 1000
    assert calls[0] == "sign in"
    assert "end of COPY" in calls


def test_postgresql_ends_a_session_where_it_is_refused(local_postgres):
    def refuse(exchange):
        return exchange.refusal(500, "InternalError") if "1 + 1" in exchange.call.what else exchange.forward()

    with store_door(local_postgres.url, refuse) as url, psycopg.connect(url) as connection:
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1 + 1")
        assert connection.closed
