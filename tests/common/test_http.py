"""The outbound client: it cannot be steered inside, whatever the name says, and bounds what comes back."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from typing import Any

import pytest

from common.http import ANSWER_BYTES, Failed, Refused, call, check, is_public, key_of, signed

INSIDE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.0",
    "192.0.0.192", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:53aa::1",
]  # fmt: skip


@pytest.mark.parametrize("text", INSIDE)
def test_what_lies_inside_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))
    with pytest.raises(Refused, match="private"):
        check("https://example.com/", resolve=lambda host, port: [text])


@pytest.mark.parametrize("text", ["93.184.216.34", "2606:2800:220:1::1", "8.8.8.8"])
def test_the_open_internet_is(text: str) -> None:
    assert check("https://example.com/x", resolve=lambda host, port: [text]) == ("example.com", ip_address(text))


def test_one_address_inside_refuses_the_name() -> None:
    with pytest.raises(Refused, match="private"):
        check("https://example.com", resolve=lambda host, port: ["8.8.8.8", "127.0.0.1"])


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "localhost", "[::1]"])
def test_odd_spellings_of_this_machine_are_refused(host: str) -> None:
    with pytest.raises(Refused):
        check(f"https://{host}/")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/", "https"),
        ("ftp://example.com/", "https"),
        ("https://user:pw@example.com/", "user name"),
        ("https:///path", "host"),
        ("https://example.com:22/", "port 22"),
        ("https://example.com:99999/", "no address"),
    ],
)
def test_other_addresses_are_refused(url: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        check(url, resolve=lambda host, port: ["8.8.8.8"])


class Partner(BaseHTTPRequestHandler):
    """A server that says what it was asked, and misbehaves on demand."""

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        said = f"{self.headers['Host']} {self.rfile.read(size).decode()}".encode()
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1/secret")
            self.end_headers()
            return
        body = gzip.compress(b"x" * 10_000_000) if self.path == "/bomb" else said
        self.send_response(200)
        if self.path == "/bomb":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body) + (5 if self.path == "/cut" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def partner(settings: Any) -> Iterator[str]:
    settings.OUTBOUND_HTTP, settings.OUTBOUND_PRIVATE = True, ["127.0.0.0/8"]
    server = HTTPServer(("127.0.0.1", 0), Partner)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"partner.example:{server.server_port}"
    server.shutdown()
    server.server_close()


def home(host: str, port: int) -> list[str]:
    assert host == "partner.example"
    return ["127.0.0.1"]


def test_it_calls_the_checked_address_under_the_name(partner: str) -> None:
    answer = call("POST", f"http://{partner}/x", body=b"hello", resolve=home)
    assert (answer.status, answer.body, answer.cut) == (200, f"{partner} hello".encode(), False)


def test_it_follows_no_redirect(partner: str) -> None:
    answer = call("POST", f"http://{partner}/redirect", resolve=home)
    assert (answer.status, answer.headers["location"]) == (302, "http://127.0.0.1/secret")


def test_it_cuts_what_unpacks_too_large(partner: str) -> None:
    answer = call("POST", f"http://{partner}/bomb", resolve=home)
    assert (len(answer.body), answer.cut) == (ANSWER_BYTES, True)


class Dripping(BaseHTTPRequestHandler):
    """A server that never stands still and never comes to an end: in its headers, or in its body."""

    def do_GET(self) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if self.path == "/body" else b"X-Slow: "))
            for _ in range(100):
                time.sleep(0.1)
                self.wfile.write(b"x")
                self.wfile.flush()

    def log_message(self, *args: Any) -> None: ...


@pytest.mark.parametrize("path", ["/headers", "/body"])
def test_one_octet_at_a_time_does_not_hold_us_beyond_our_time(settings: Any, path: str) -> None:
    settings.OUTBOUND_HTTP, settings.OUTBOUND_PRIVATE = True, ["127.0.0.0/8"]
    server = HTTPServer(("127.0.0.1", 0), Dripping)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(Failed, match="took too long") as late:
        call("GET", f"http://partner.example:{server.server_port}{path}", resolve=home, seconds=0.5)
    assert late.value.begun
    assert time.monotonic() - began < 2
    server.shutdown()
    server.server_close()


def test_as_much_is_read_as_was_asked_for(partner: str) -> None:
    answer = call("POST", f"http://{partner}/x", body=b"hello", resolve=home, most=3)
    assert (answer.body, answer.cut) == (partner.encode()[:3], True)


def test_a_broken_answer_leaves_it_unknown_and_a_closed_door_does_not(partner: str) -> None:
    with pytest.raises(Failed) as broken:
        call("POST", f"http://{partner}/cut", resolve=home)
    assert broken.value.begun
    with pytest.raises(Failed) as closed:
        call("POST", "http://partner.example:1/", resolve=home)
    assert not closed.value.begun


def test_the_proxy_of_the_environment_is_not_used(partner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert call("POST", f"http://{partner}/x", resolve=home).status == 200


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_is_that_of_the_published_example() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    keys = [key_of(SECRET)]
    assert signed(b'{"test": 2432232314}', keys, identifier="msg_p5jXN8AQM9LWM0D4loKWxJek", at=at) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", ["", "plain", "whsec_", "whsec_***"])
def test_a_secret_that_is_none_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(ValueError, match=r"^not a whsec_ secret$"):
        key_of(secret)


def test_only_the_host_of_an_address_is_logged(partner: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="httpx")
    call("POST", f"http://{partner}/hook/k3y?token=t0ken", body=b"x", resolve=home)
    lines = [record.getMessage() for record in caplog.records if record.name == "httpx"]
    assert lines == ['HTTP Request: POST http://127.0.0.1/… "HTTP/1.0 200 OK"']
