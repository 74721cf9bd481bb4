"""Asking feeds over the network: several at once, within one budget of time, in threads that know no database."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from common import http
from messaging.feed.address import is_allowed
from messaging.feed.answer import OCTETS, Unusable, read

AT_ONCE = 8  # calls side by side
SECONDS = 6.0  # for all calls of a batch
SECRET = "_env"  # headers {"Authorization_env": "FEED_SHOP_KEY"} become {"Authorization": its value}
SECRET_NAME = "FEED_"  # how the name of a variable must begin, so that nobody sends out another secret of the house
RESERVED = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "proxy-authorization", "upgrade", "te", "trailer",
    "expect",
})  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One address of a feed to be asked. `patience` in seconds; `trip` so many failures in a row end the feed's calls
    of this batch."""

    feed: int
    url: str
    headers: Mapping[str, str]
    pick: str
    patience: float
    trip: int = 5


@dataclass(frozen=True)
class Got:
    """What a call brought: a value, or `error`; `later` when it was not asked at all (no time, or the feed fails)."""

    value: Any = None
    error: str = ""
    later: bool = False


LATER = Got(error="not asked: no time left, or the server fails", later=True)


def fetch(calls: Sequence[Call], *, seconds: float = SECONDS, resolve: http.Resolve = http.resolve) -> list[Got]:
    """One Got per call, in order, after `seconds` at most. Never raises for a server's sake."""
    if not calls:
        return []
    ends = time.monotonic() + seconds
    failures: dict[int, int] = {}
    pool = ThreadPoolExecutor(min(AT_ONCE, len(calls)), thread_name_prefix="feed")
    futures = [pool.submit(_in_time, call, ends, failures, resolve) for call in calls]
    wait(futures, timeout=max(ends - time.monotonic(), 0) + 0.2)
    pool.shutdown(wait=False, cancel_futures=True)
    return [future.result() if future.done() and not future.cancelled() else LATER for future in futures]


def _in_time(call: Call, ends: float, failures: dict[int, int], resolve: http.Resolve) -> Got:
    """One call, unless the time is up or the feed has failed too often in this batch."""
    left = ends - time.monotonic()
    if left <= 0 or failures.get(call.feed, 0) >= call.trip:
        return LATER
    got = ask(call, seconds=min(call.patience, left), resolve=resolve)
    failures[call.feed] = failures.get(call.feed, 0) + 1 if got.error else 0
    return got


def ask(call: Call, *, seconds: float, resolve: http.Resolve = http.resolve) -> Got:
    """One call. The host is compared with FEED_HOSTS here too: a row may be older than the list."""
    try:
        parts = urlsplit(call.url)
        if not is_allowed(parts.hostname or "", parts.port):
            return Got(error="the host is not in FEED_HOSTS")
        headers = {"Accept": "application/json", **secrets_read(call.headers)}
        answer = http.call("GET", call.url, headers=headers, seconds=seconds, most=OCTETS, resolve=resolve)
        return Got(value=read(answer, call.pick))
    except (http.Refused, http.Failed, Unusable, ValueError) as error:
        return Got(error=str(error)[:200] or type(error).__name__)


def secrets_read(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with "_env" names replaced by what the environment holds. Raises Unusable for one that is not set; the
    error never holds a value."""
    found = {}
    for name, value in headers.items():
        if name.endswith(SECRET):
            secret = _secret(value) if value.startswith(SECRET_NAME) else ""
            if not secret:
                raise Unusable(f"{value[:60]} is not set in the environment")
            found[name.removesuffix(SECRET)] = secret
        else:
            found[name] = value
    return found


def _secret(name: str) -> str:
    """The variable's value, or what the file says that NAME_FILE names."""
    if path := os.environ.get(f"{name}_FILE"):
        try:
            with open(path, encoding="utf-8") as file:
                return file.read(10_000).strip()
        except OSError:
            return ""
    return os.environ.get(name, "").strip()
