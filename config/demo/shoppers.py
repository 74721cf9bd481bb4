"""Simulated recipients: they read their own mail, open, click and order, over public HTTP addresses only.

Nothing they do touches the database or the engine's code; every order says `simulated`. What a mail makes its
reader do is a stable hash of its Message-ID, so a second run decides alike. Run as a process:
python -m config.demo.shoppers URL WRITE_KEY FOLDER.
"""

from __future__ import annotations

import heapq
import itertools
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parseaddr
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import structlog

from common.buckets import unit
from config.demo import mailbox
from config.demo.names import DOMAIN, person

log = structlog.get_logger(__name__)

OPENS, CLICKS, ORDERS, LEAVES = 0.55, 0.35, 0.45, 0.01
PER_SECOND = 8.0
NEWCOMER_EVERY = 20.0
NEWCOMERS = 150
BROWSER = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15"
)
LINK = re.compile(r"""<a\b[^>]*?\bhref=["']([^"']+)["']""", re.IGNORECASE)
IMAGE = re.compile(r"""<img\b[^>]*?\bsrc=["']([^"']+)["']""", re.IGNORECASE)
CODE = re.compile(r"\b[A-Z]{2,10}-[A-Z0-9]{6,14}\b")


@dataclass(frozen=True)
class Letter:
    """What a reader sees in a mail: the tracked picture and links, the way out, a coupon code perhaps."""

    id: str
    user_id: str
    pixel: str
    links: tuple[str, ...]
    leave: str
    coupon: str


def user_of(address: str) -> str:
    """The user id behind one of the demo's addresses."""
    local = address.partition("@")[0]
    return local if "." not in local else f"household-{local.rpartition('.')[2]}"


def read_letter(folder: Path, mail_id: str, base: str) -> Letter:
    """Take from a mail what its reader could look at or press."""
    message = mailbox.read(folder, mail_id)
    html, text = mailbox.part(message, "html"), mailbox.part(message, "plain")
    pixels = [unescape(url) for url in IMAGE.findall(html) if url.startswith(base)]
    links = [unescape(url) for url in LINK.findall(html) if urlsplit(url).path.startswith("/c/")]
    leave = re.search(r"<(https?://[^>]+)>", str(message["List-Unsubscribe"] or ""))
    coupon = CODE.search(text or html)
    return Letter(
        id=str(message["Message-ID"] or mail_id),
        user_id=user_of(parseaddr(str(message["To"]))[1]),
        pixel=pixels[-1] if pixels else "",
        links=tuple(links),
        leave=leave.group(1) if leave else "",
        coupon=coupon.group(0) if coupon else "",
    )


class Shoppers:
    """A queue of small acts, each due at a time (monotonic seconds), done at a bounded pace."""

    def __init__(self, base: str, key: str, folder: Path) -> None:
        self.base, self.folder, self.last = base, folder, ""
        self.http = httpx.Client(base_url=base, timeout=10, follow_redirects=False, headers={"User-Agent": BROWSER})
        self.auth = (key, "")
        self.acts: list[tuple[float, int, Callable[[], None]]] = []
        self.number = itertools.count()

    def run(self) -> None:
        """Until killed."""
        self.wait_for_doors()
        newcomers, next_newcomer = itertools.count(1), time.monotonic()
        while True:
            at = time.monotonic()
            self.collect(at)
            if at >= next_newcomer and (number := next(newcomers)) <= NEWCOMERS:
                next_newcomer = at + NEWCOMER_EVERY
                self.later(at, lambda number=number: self.join(number))  # type: ignore[misc]
            self.work(at)
            time.sleep(1 / PER_SECOND)

    def wait_for_doors(self) -> None:
        """The web server starts beside us: until it answers, whatever it answers, nobody can come in."""
        while True:
            try:
                self.get("/readyz")
            except httpx.TransportError:
                time.sleep(0.3)
            else:
                return

    def collect(self, at: float) -> None:
        """Look into the mailbox and plan what the readers of new mail will do."""
        for mail_id in mailbox.ids(self.folder, after=self.last):
            self.last = mail_id
            letter = read_letter(self.folder, mail_id, self.base)
            for delay, act in self.plan(letter):
                self.later(at + delay, act)

    def plan(self, letter: Letter) -> Iterator[tuple[float, Callable[[], None]]]:
        """What one reader will do, and after how many seconds: decided by the mail's own id."""

        def draw(what: str) -> float:
            return unit(f"shoppers:{what}", letter.id)

        if draw("open") >= OPENS:
            return
        opened = 5 + 90 * draw("when")
        if letter.pixel:
            yield opened, lambda: self.look(letter)
        if draw("leave") < LEAVES and letter.leave:
            yield opened + 8, lambda: self.leave(letter)
        elif letter.links and draw("click") < CLICKS:
            link = letter.links[0]
            orders = draw("order") < ORDERS
            yield opened + 5 + 20 * draw("pause"), lambda: self.visit(letter, link, orders=orders)

    def later(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.acts, (at, next(self.number), act))

    def work(self, at: float) -> None:
        """Do the first act that is due; a refused connection puts it off."""
        if not self.acts or self.acts[0][0] > at:
            return
        _, _, act = heapq.heappop(self.acts)
        try:
            act()
        except httpx.HTTPError as error:
            log.warning("shopper turned away", error=type(error).__name__)
            self.later(at + 5, act)

    def get(self, url: str) -> httpx.Response:
        return self.http.get(url)

    def look(self, letter: Letter) -> None:
        self.get(letter.pixel)

    def leave(self, letter: Letter) -> None:
        self.http.post(letter.leave, data={"List-Unsubscribe": "One-Click"})

    def visit(self, letter: Letter, link: str, *, orders: bool) -> None:
        """Press a link, arrive where it leads, look at the page, and perhaps buy a minute later."""
        landing = self.get(link).headers.get("Location", "")
        if not landing:
            return
        page = {"userId": letter.user_id, "name": "Landing", "properties": {"url": landing, "simulated": True}}
        self.post("page", {**page, "context": {"page": {"url": landing}}})
        if orders:
            self.later(time.monotonic() + 15 + 60 * unit("shoppers:till", letter.id), lambda: self.buy(letter))

    def buy(self, letter: Letter) -> None:
        """An order of 8 to 120 dollars, once per mail."""
        total = round(8 + 112 * unit("shoppers:total", letter.id) ** 2, 2)
        order = {"order_id": f"simulated-{letter.id.strip('<>')[:60]}", "total": total, "currency": "USD"}
        extra = {"coupon": letter.coupon} if letter.coupon else {}
        self.track(letter.user_id, "Order Completed", {**order, **extra, "simulated": True})

    def join(self, number: int) -> None:
        """A newcomer signs up and agrees to offers."""
        made, user_id = person(100_000 + number), f"newcomer-{number}"
        traits = {
            "email": f"{user_id}@{DOMAIN}",
            "firstName": made.first_name,
            "lastName": made.last_name,
            "locale": made.locale,
            "timezone": made.timezone,
            "simulated": True,
        }
        self.post("identify", {"userId": user_id, "traits": traits, "messageId": f"simulated-identify-{number}"})
        self.track(user_id, "Subscribed", {"topic": "offers", "wording": "demo", "simulated": True})
        self.track(user_id, "Signed Up", {"simulated": True})

    def track(self, user_id: str, event: str, properties: dict[str, object]) -> None:
        key = f"simulated-{event}-{properties.get('order_id', user_id)}"
        self.post("track", {"userId": user_id, "event": event, "properties": properties, "messageId": key})

    def post(self, kind: str, body: dict[str, object]) -> None:
        answer = self.http.post(f"/v1/{kind}", json=body, auth=self.auth)
        if answer.status_code != httpx.codes.OK:
            log.warning("shopper's call refused", kind=kind, status=answer.status_code)


if __name__ == "__main__":
    Shoppers(sys.argv[1].rstrip("/"), sys.argv[2], Path(sys.argv[3])).run()
