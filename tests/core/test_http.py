from __future__ import annotations

import datetime
import gzip
import os
import ssl
import threading
import time
import traceback
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portal.core import egress, http
from portal.core.context import request_id
from portal.core.egress import EgressPolicy
from portal.core.errors import (
    CallboardError,
    EgressRefusedError,
    InputError,
    NotFoundError,
    TimedOutError,
    TooLargeError,
)
from portal.core.http import HttpStatusError, HttpUnreachableError, transport
from portal.core.process import CancelledError
from tests.services.http_server import Reply, Seen, Server, drip, hang, raw_serving, serving

LOOPBACK = EgressPolicy(("127.0.0.0/8",))
SECRET = "tok-5ecret-value"


@pytest.fixture
def echo() -> Iterator[Server]:
    with serving(lambda seen: Reply(body=b"hello", headers={"ETag": '"v1"'})) as server:
        yield server


def test_a_file_is_read(echo: Server) -> None:
    response = http.get(f"{echo.base}/a.yaml", policy=LOOPBACK)
    assert (response.status, response.body, response.etag) == (200, b"hello", '"v1"')


def test_the_host_header_carries_the_name_while_the_socket_goes_to_the_approved_address(
    echo: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "resolve", lambda host, port: ["127.0.0.1"])
    http.get(f"http://files.example:{echo.port}/x", policy=EgressPolicy(("files.example",)))
    assert echo.seen[0].headers["host"] == f"files.example:{echo.port}"


@pytest.mark.req("R298")
def test_a_name_that_changes_its_address_after_the_check_changes_nothing(
    echo: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [["127.0.0.1"], ["169.254.169.254"], ["10.0.0.1"]]
    monkeypatch.setattr(egress, "resolve", lambda host, port: answers.pop(0))
    assert http.get(f"http://rebind.example:{echo.port}/", policy=LOOPBACK).body == b"hello"
    assert len(answers) == 2
    with pytest.raises(EgressRefusedError):
        http.get(f"http://rebind.example:{echo.port}/", policy=LOOPBACK)


@pytest.mark.req("R298")
@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://10.0.0.1/"]
)
def test_a_redirect_to_an_internal_address_is_refused(target: str) -> None:
    with (
        serving(lambda seen: Reply(302, headers={"Location": target})) as server,
        pytest.raises(EgressRefusedError, match="redirects to") as caught,
    ):
        http.get(f"{server.base}/start", policy=LOOPBACK)
    assert target in caught.value.message
    assert f"{server.base}/start" in caught.value.message


def test_this_machine_is_refused_unless_allowed(echo: Server) -> None:
    with pytest.raises(EgressRefusedError):
        http.get(f"{echo.base}/", policy=EgressPolicy())
    assert not echo.seen


def test_redirects_are_followed_up_to_a_number() -> None:
    def answer(seen: Seen) -> Reply:
        step = int(seen.path.strip("/"))
        return Reply(302, headers={"Location": f"/{step + 1}"}) if step < 4 else Reply(body=b"end")

    with serving(answer) as server:
        assert http.get(f"{server.base}/0", policy=LOOPBACK, max_redirects=4).body == b"end"
        with pytest.raises(HttpStatusError, match="more than 3 times"):
            http.get(f"{server.base}/0", policy=LOOPBACK, max_redirects=3)


def test_credentials_stay_with_the_host_that_they_are_for() -> None:
    with serving(lambda seen: Reply(body=b"other")) as other:

        def answer(seen: Seen) -> Reply:
            if seen.path == "/same":
                return Reply(302, headers={"Location": "/away"})
            return Reply(307, headers={"Location": f"{other.base}/there"})

        with serving(answer) as server:
            http.get(
                f"{server.base}/same",
                policy=LOOPBACK,
                auth=http.bearer(SECRET),
                headers={"PRIVATE-TOKEN": SECRET, "Accept": "text/plain"},
            )
    first, second = server.seen
    assert first.headers["authorization"] == second.headers["authorization"] == f"Bearer {SECRET}"
    assert second.headers["private-token"] == SECRET
    assert SECRET not in str(other.seen[0].headers)
    assert other.seen[0].headers["accept"] == "text/plain"


def test_a_post_that_is_redirected_with_303_becomes_a_get_without_body() -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(303, headers={"Location": "/done"}) if seen.method == "POST" else Reply(body=b"ok")

    with serving(answer) as server:
        http.request(
            "POST",
            f"{server.base}/make",
            policy=LOOPBACK,
            content=b"{}",
            headers={"Content-Type": "application/json"},
            max_redirects=1,
        )
    assert [(seen.method, seen.body) for seen in server.seen] == [("POST", b"{}"), ("GET", b"")]
    assert "content-type" not in server.seen[1].headers


def test_without_redirects_the_redirect_is_the_answer() -> None:
    with serving(lambda seen: Reply(302, headers={"Location": "/x"})) as server:
        assert http.request("GET", f"{server.base}/", policy=LOOPBACK).status == 302


def test_an_unchanged_file_costs_no_body() -> None:
    def answer(seen: Seen) -> Reply:
        if seen.headers.get("if-none-match") == '"v1"' or "if-modified-since" in seen.headers:
            return Reply(304)
        return Reply(body=b"data", headers={"ETag": '"v1"', "Last-Modified": "Fri, 20 Nov 2026 10:00:00 GMT"})

    with serving(answer) as server:
        first = http.get(f"{server.base}/", policy=LOOPBACK)
        by_etag = http.get(f"{server.base}/", policy=LOOPBACK, etag=first.etag)
        by_time = http.get(f"{server.base}/", policy=LOOPBACK, last_modified=first.last_modified)
    assert not first.not_modified
    assert by_etag.not_modified
    assert by_time.not_modified
    assert by_etag.body == b""


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_told_apart_from_what_cannot_be_read(status: int) -> None:
    with serving(lambda seen: Reply(status)) as server, pytest.raises(NotFoundError):
        http.get(f"{server.base}/", policy=LOOPBACK)


@pytest.mark.parametrize("status", [401, 403, 418, 500])
def test_other_answers_name_the_status_and_a_remedy(status: int) -> None:
    with (
        serving(lambda seen: Reply(status)) as server,
        pytest.raises(HttpStatusError, match=str(status)) as caught,
    ):
        http.get(f"{server.base}/", policy=LOOPBACK)
    assert caught.value.http_status == status
    assert caught.value.remedy
    assert len(server.seen) == 1


def test_a_server_that_is_busy_is_asked_again() -> None:
    replies = [Reply(503), Reply(502), Reply(body=b"now")]
    with serving(lambda seen: replies.pop(0)) as server:
        assert http.get(f"{server.base}/", policy=LOOPBACK).body == b"now"
    assert len(server.seen) == 3


def test_a_server_that_stays_busy_gives_its_last_answer() -> None:
    with serving(lambda seen: Reply(429, headers={"Retry-After": "0"})) as server:
        assert http.request("GET", f"{server.base}/", policy=LOOPBACK).status == 429
    assert len(server.seen) == 3


def test_a_wait_that_does_not_fit_into_the_deadline_is_not_begun() -> None:
    started = time.monotonic()
    with serving(lambda seen: Reply(429, headers={"Retry-After": "3600"})) as server:
        assert http.request("GET", f"{server.base}/", policy=LOOPBACK).status == 429
    assert time.monotonic() - started < 3
    assert len(server.seen) == 1


def test_a_post_is_not_sent_twice() -> None:
    with serving(lambda seen: Reply(503)) as server:
        assert http.request("POST", f"{server.base}/", policy=LOOPBACK, content=b"x").status == 503
    assert len(server.seen) == 1


def test_a_connection_that_breaks_is_tried_again() -> None:
    count = 0

    def talk(connection: object, over: threading.Event) -> None:
        nonlocal count
        count += 1
        if count == 2:
            connection.recv(65536)  # type: ignore[attr-defined]  # a socket
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")  # type: ignore[attr-defined]  # a socket

    with raw_serving(talk) as port:
        assert http.get(f"http://127.0.0.1:{port}/", policy=LOOPBACK).body == b"ok"


def test_a_body_that_ends_early_is_an_error_not_a_short_file() -> None:
    def talk(connection: object, over: threading.Event) -> None:
        connection.recv(65536)  # type: ignore[attr-defined]  # a socket
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")  # type: ignore[attr-defined]  # a socket

    with raw_serving(talk) as port, pytest.raises(HttpUnreachableError):
        http.get(f"http://127.0.0.1:{port}/", policy=LOOPBACK)


def test_nobody_listening_is_said_plainly() -> None:
    with raw_serving(hang) as port:
        pass
    with pytest.raises(HttpUnreachableError, match="refused"):
        http.get(f"http://127.0.0.1:{port}/", policy=LOOPBACK, timeout=5)


def test_a_server_that_hangs_ends_in_a_timeout() -> None:
    started = time.monotonic()
    with raw_serving(hang) as port, pytest.raises(TimedOutError, match=r"within 0\.5 s"):
        http.get(f"http://127.0.0.1:{port}/", policy=LOOPBACK, timeout=0.5)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Long: "],
    ids=["body", "head"],
)
def test_a_server_that_drips_is_cut_off_by_the_deadline(head: bytes) -> None:
    started = time.monotonic()
    with raw_serving(drip(head, 0.05)) as port, pytest.raises(TimedOutError):
        http.get(f"http://127.0.0.1:{port}/", policy=LOOPBACK, timeout=0.6)
    assert time.monotonic() - started < 3


def test_a_cancel_ends_the_wait() -> None:
    flag = threading.Event()
    timer = threading.Timer(0.2, flag.set)
    timer.start()
    started = time.monotonic()
    with raw_serving(hang) as port, pytest.raises(CancelledError):
        http.get(f"http://127.0.0.1:{port}/", policy=LOOPBACK, timeout=30, cancelled=flag.is_set)
    assert time.monotonic() - started < 3
    timer.join()


@pytest.mark.parametrize("announce", [True, False])
def test_a_huge_file_is_cut_off(announce: bool) -> None:
    body = b"x" * 300_000
    headers = {} if announce else {"Content-Length": str(len(body)), "Connection": "close"}
    if not announce:
        headers = {"Transfer-Encoding": "chunked"}
        body = b"".join(b"%x\r\n%s\r\n" % (1000, b"x" * 1000) for _ in range(300)) + b"0\r\n\r\n"
    with (
        serving(lambda seen: Reply(body=body, headers=headers)) as server,
        pytest.raises(TooLargeError, match="more than 100000 bytes"),
    ):
        http.get(f"{server.base}/big", policy=LOOPBACK, max_bytes=100_000)
    assert len(server.seen) == 1


def test_a_compressed_file_is_unpacked() -> None:
    body = gzip.compress(b"first") + gzip.compress(b" second")
    with serving(lambda seen: Reply(body=body, headers={"Content-Encoding": "gzip"})) as server:
        assert http.get(f"{server.base}/", policy=LOOPBACK).body == b"first second"


def test_a_compression_bomb_is_cut_off() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with (
        serving(lambda seen: Reply(body=bomb, headers={"Content-Encoding": "gzip"})) as server,
        pytest.raises(TooLargeError),
    ):
        http.get(f"{server.base}/", policy=LOOPBACK, max_bytes=1_000_000)


DAMAGED = gzip.compress(b"data" * 100, mtime=0)[
    :-9
]  # without a time, so that each process names the test alike


@pytest.mark.parametrize("body", [DAMAGED, b"no gzip at all"], ids=["cut off", "no gzip"])
def test_damaged_compression_is_an_error(body: bytes) -> None:
    with (
        serving(lambda seen: Reply(body=body, headers={"Content-Encoding": "gzip"})) as server,
        pytest.raises(HttpUnreachableError, match="damaged"),
    ):
        http.get(f"{server.base}/", policy=LOOPBACK)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "deflate"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str) -> None:
    with (
        serving(
            lambda seen: Reply(body=zlib.compress(b"x"), headers={"Content-Encoding": encoding})
        ) as server,
        pytest.raises(HttpStatusError, match="encoding"),
    ):
        http.get(f"{server.base}/", policy=LOOPBACK)


def test_the_request_id_travels_along(echo: Server) -> None:
    token = request_id.set("req-1")
    http.get(f"{echo.base}/", policy=LOOPBACK)
    request_id.reset(token)
    http.get(f"{echo.base}/", policy=LOOPBACK)
    assert echo.seen[0].headers["x-request-id"] == "req-1"
    assert "x-request-id" not in echo.seen[1].headers


def test_proxies_in_the_environment_are_not_used(echo: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert http.get(f"{echo.base}/", policy=LOOPBACK).body == b"hello"


def test_a_client_keeps_its_connection(echo: Server) -> None:
    with http.Client(LOOPBACK) as client:
        for _ in range(5):
            client.get(f"{echo.base}/")
    assert echo.connections == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "ftp://example.org/",
        "javascript:alert(1)",
        "http://",
        "http:///x",
        "http://a b/",
        "http://example.org/\r\nX: y",
        "http://example.org\\@evil.example/",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://[::1/",
        "//example.org/",
        "http://" + "a" * 9000,
    ],
)
def test_what_is_not_a_url_to_request_is_refused(url: str) -> None:
    with pytest.raises(InputError) as caught:
        http.get(url, policy=LOOPBACK)
    assert caught.value.remedy


def test_a_url_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(InputError, match="user or password") as caught:
        http.get(f"https://me:{SECRET}@example.org/", policy=LOOPBACK)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("path", ["/missing", "/error", "/away", "/loop"])
def test_credentials_are_in_no_error(path: str) -> None:
    replies = {
        "/missing": Reply(404),
        "/error": Reply(500, body=SECRET.encode()),
        "/away": Reply(302, headers={"Location": f"http://169.254.169.254/?token={SECRET}"}),
        "/loop": Reply(302, headers={"Location": f"/loop?private_token={SECRET}"}),
    }
    with (
        serving(lambda seen: replies[seen.path.split("?")[0]]) as server,
        pytest.raises(CallboardError) as caught,
    ):
        http.get(f"{server.base}{path}?access_token={SECRET}", policy=LOOPBACK, auth=http.bearer(SECRET))
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    assert SECRET not in shown
    assert path in caught.value.message


def test_a_credential_with_a_line_break_is_refused_without_showing_it() -> None:
    with pytest.raises(InputError, match="Authorization") as caught:
        http.get("http://127.0.0.1/", policy=LOOPBACK, auth=http.bearer(SECRET + "\nX-Evil: 1"))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h/x", "https://***@h/x"),
        (
            "https://h/x?path=/a&token=abc&X-Amz-Signature=f",
            "https://h/x?path=/a&token=***&X-Amz-Signature=***",
        ),
        ("https://h/x#access_token=1", "https://h/x#access_token=***"),
        ("https://h/x?path=%2Fa&version=GBmain", "https://h/x?path=%2Fa&version=GBmain"),
    ],
)
def test_urls_are_shown_without_their_secrets(url: str, shown: str) -> None:
    assert http.mask_url(url) == shown


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate of its own for the name good.example, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "good.example")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("good.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_the_certificate_is_checked_against_the_name(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "resolve", lambda host, port: ["127.0.0.1"])
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(certificate))
    transport.tls_context.cache_clear()
    names: list[str] = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.sni_callback = lambda sock, name, context: names.append(name)
    try:
        with serving(lambda seen: Reply(body=b"safe"), tls) as server:
            assert http.get(f"https://good.example:{server.port}/", policy=LOOPBACK).body == b"safe"
            with pytest.raises(HttpUnreachableError, match="certificate") as caught:
                http.get(f"https://bad.example:{server.port}/", policy=LOOPBACK)
    finally:
        monkeypatch.delenv("SSL_CERT_FILE")
        transport.tls_context.cache_clear()
    assert "SSL_CERT_FILE" in caught.value.remedy
    assert names == ["good.example", "bad.example"]


def test_a_redirect_never_leads_from_https_to_http(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "resolve", lambda host, port: ["127.0.0.1"])
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(certificate))
    transport.tls_context.cache_clear()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    try:
        with (
            serving(lambda seen: Reply(302, headers={"Location": "http://good.example/"}), tls) as server,
            pytest.raises(HttpStatusError, match="from https to"),
        ):
            http.get(f"https://good.example:{server.port}/", policy=LOOPBACK)
    finally:
        monkeypatch.delenv("SSL_CERT_FILE")
        transport.tls_context.cache_clear()
