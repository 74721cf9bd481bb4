"""The one way out: calls to other people's servers, which must not be steered at our own.

A name is resolved once, every address it has must be a public one, and the connection goes to an address that was
checked, with the name kept for TLS and the Host header; so a name that changes its mind between check and call
(DNS rebinding) gains nothing. No redirects, no proxy from the environment, bounded time and size; and no address in
a log, only its host.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 10.0
ANSWER_BYTES = 64 * 1024
TOO_LONG = "the answer took too long"
PORTS = {"https": {443, 8443}, "http": {80, 8080}}
# What ipaddress calls global though it leads inside: NAT64, 6to4, Teredo, site-local, protocol assignments.
INSIDE = [
    ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10", "192.0.0.0/24")
]
PREFIX = "whsec_"
Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]


def host_only(record: logging.LogRecord) -> bool:
    """httpx logs every address whole, and addresses hold keys (robots, hooks): only the host stays, at any level."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            f"{arg.scheme}://{arg.host}/…" if isinstance(arg, httpx.URL) else arg for arg in record.args
        )
    return True


logging.getLogger("httpx").addFilter(host_only)


class Refused(ValueError):
    """The address may not be called; nothing was sent."""


class Failed(Exception):
    """The call did not end with a whole answer: what the other side did is unknown once `begun`."""

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun


@dataclass(frozen=True)
class Answer:
    """Status, headers (lower case) and as much of the unpacked body as was wanted; `cut` when there was more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool


def is_public(address: Address) -> bool:
    """Whether an address lies in the open internet, seen through its IPv4-in-IPv6 disguises."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    inside = any(address.version == net.version and address in net for net in INSIDE)
    return address.is_global and not address.is_multicast and not address.is_reserved and not inside


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, as the operating system has them."""
    return [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def check(url: str, *, resolve: Resolve = resolve) -> tuple[str, Address]:
    """The host of an address that may be called and where to connect. Raises Refused, telling why."""
    parts = urlsplit(url)
    host, scheme = parts.hostname or "", parts.scheme
    if scheme != "https" and not (scheme == "http" and settings.OUTBOUND_HTTP):
        raise Refused("only https may be called")
    if not host or parts.username is not None:
        raise Refused("a host is needed, and no user name")
    try:
        port = parts.port or (443 if scheme == "https" else 80)
        found = [ip_address(text.partition("%")[0]) for text in resolve(host, port)]
    except (OSError, ValueError, UnicodeError):
        raise Refused("the host has no address") from None
    allowed = [ip_network(text) for text in settings.OUTBOUND_PRIVATE]
    private = [one for one in found if not is_public(one)]
    if any(not any(one.version == net.version and one in net for net in allowed) for one in private) or not found:
        raise Refused("the host lies inside a private network")
    if port not in PORTS[scheme] and not private:
        raise Refused(f"port {port} may not be called")
    return host, found[0]


def call(
    method: str,
    url: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    resolve: Resolve = resolve,
    seconds: float = TOTAL_SECONDS,
    most: int = ANSWER_BYTES,
) -> Answer:
    """Call another server; it has `seconds` for its whole answer, of which `most` octets are read. Raises Refused
    before anything is sent, Failed when no whole answer came."""
    host, address = check(url, resolve=resolve)
    parts = urlsplit(url)
    literal = f"[{address}]" if address.version == 6 else str(address)
    target = httpx.URL(url).copy_with(host=literal)
    said = {**(headers or {}), "Host": parts.netloc}
    timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
    deadline = _Deadline()
    extensions = {"sni_hostname": host, "trace": deadline.watch}
    try:
        with (
            deadline.running(seconds),
            httpx.Client(verify=_trust(), timeout=timeout, trust_env=False, follow_redirects=False) as client,
            client.stream(method, target, content=body, headers=said, extensions=extensions) as response,
        ):
            content, cut = _read(response, most)
            found = Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content, cut)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise Failed(type(error).__name__, begun=False) from None
    except httpx.HTTPError as error:
        late = deadline.passed or isinstance(error, httpx.TimeoutException)  # whichever clock was the faster
        raise Failed(TOO_LONG if late else type(error).__name__, begun=True) from None
    if deadline.passed:
        raise Failed(TOO_LONG, begun=True)
    return found


@cache
def _trust() -> ssl.SSLContext:
    """The authorities that are believed, read once: reading them takes longer than most calls."""
    return httpx.create_ssl_context(trust_env=False)


class _Deadline:
    """Cuts the connection when the time is up. A timeout of httpx bounds one read and not their sum: a server that
    sends its headers one octet at a time would otherwise hold us for ever."""

    def __init__(self) -> None:
        self.passed = False
        self._socket: socket.socket | None = None

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """httpx's "trace" extension: learn the socket once there is one, and once it speaks TLS."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.passed:
                self._cut()

    @contextlib.contextmanager
    def running(self, seconds: float) -> Iterator[None]:
        """Cut after so many seconds unless the block ended before."""
        timer = Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        self.passed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def _read(response: httpx.Response, most: int) -> tuple[bytes, bool]:
    """The unpacked body, up to the size allowed."""
    content = b""
    for chunk in response.iter_bytes(8192):
        content += chunk
        if len(content) > most:
            return content[:most], True
    return content, False


def signed(body: bytes, keys: Sequence[bytes], *, identifier: str, at: datetime) -> dict[str, str]:
    """Headers of the Standard Webhooks specification; one signature per key, so that a receiver may change its secret
    in peace. https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    stamp = str(int(at.timestamp()))
    said = f"{identifier}.{stamp}.".encode() + body
    macs = [base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode() for key in keys]
    return {
        "webhook-id": identifier,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{mac}" for mac in macs),
    }


def key_of(secret: str) -> bytes:
    """The key of a secret: base64 after "whsec_". Raises ValueError, never with the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else b""
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("not a whsec_ secret")
    return key
