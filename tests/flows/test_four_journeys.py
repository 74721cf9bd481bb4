"""The four journeys run by themselves: a real web server, Celery worker, beat, mail server and analytics client.

One day is two seconds here (six where a person must act before a wait ends), for the waits of journeys only. People
come in over HTTP, mails are read from the mail server's own record, links are followed, orders are sent, and the
credit is read from the report's API.
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from email import message_from_string, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from segment.analytics.client import Client

from campaigns.models import Conversion, Credit, Enrolment, Journey, Touch, Visit
from common.clock import now
from common.models import ApiKey
from messaging.machines import FAST
from messaging.models import Consent, Delivery
from messaging.outbox.reads import balance
from segments.models import Coupon, Identity, MissionProgress, Scores, Source, Wallet
from tests.harness import Cluster, wait_until

LINK = re.compile(r'href="([^"]+/c/[^"]+)"')
pytestmark = pytest.mark.timeout(300)


def awake_zone() -> str:
    """A zone in which it is about noon now, so that quiet hours do not decide this test."""
    ahead = 12 - now().hour
    return "Etc/GMT" if ahead == 0 else f"Etc/GMT{-ahead:+d}"


class Shop:
    """The shop that uses Perennial: its own site's events, and its customers' mailboxes."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        source = Source.objects.create(key="shop", name="Shop", kind=Source.Kind.HTTP)
        _, write_key = ApiKey.issue("shop", ["ingest"], now=now(), subject=f"source:{source.key}")
        _, self.api_key = ApiKey.issue("reports", ["reports:read"], now=now())
        self.events = Client(write_key, host=cluster.url)

    def sign_up(self, user: str, **traits: Any) -> None:
        """A form with a ticked box for offers."""
        self.events.identify(user, {"email": f"{user}@example.com", "timezone": awake_zone(), **traits})
        self.events.track(user, "Subscribed", {"topic": "offers", "wording": "2026-01"})
        self.events.track(user, "Signed Up")
        self.events.flush()

    def order(self, user: str, order_id: str, total: float, **said: Any) -> None:
        self.events.track(user, "Order Completed", {"order_id": order_id, "total": total, "currency": "USD", **said})
        self.events.flush()

    def mails(self, user: str, *, seconds: float = 40, count: int = 1) -> list[EmailMessage]:
        """The person's mails, once there are at least so many."""
        to = f"{user}@example.com"
        found = wait_until(
            lambda: len(self.cluster.mails(to)) >= count and self.cluster.mails(to),
            seconds=seconds,
            what=f"{count} mails to {user}",
        )
        return [message_from_string(mail["raw"], policy=policy.default) for mail in found]  # type: ignore[arg-type]

    def click(self, mail: EmailMessage) -> str:
        """Follow the first tracked link of a mail as a reader's browser does, not sooner than one can read; the
        address it leads to."""
        sent = Delivery.objects.get(public_id=mail["message-id"].strip("<>").partition("@")[0]).sent_at
        assert sent is not None
        time.sleep(max(0.0, (sent + FAST - now()).total_seconds()))
        body = mail.get_body(("html",))
        assert body is not None
        found = LINK.search(body.get_content())
        assert found is not None, body.get_content()[:2000]
        browser = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"}
        with self.cluster.client() as client:
            answer = client.get(found[1].replace("&amp;", "&"), headers=browser)
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])

    def report(self, **params: str) -> dict[str, Any]:
        day = now().date()
        span = {"from": str(day - timedelta(days=1)), "to": str(day + timedelta(days=1))}
        with self.cluster.client() as client:
            answer = client.get(
                "/api/reports/utm-conversions",
                params=span | params,
                headers={"authorization": f"Bearer {self.api_key}"},
            )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def shop(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Shop]:
    # A week passes in fourteen seconds: caps would hold it all.
    day = getattr(request, "param", "2")
    cluster.environ |= {"MESSAGE_GAPS": "", "MESSAGE_CAPS": "", "PERENNIAL_DAY_SECONDS": day}
    cluster.start_all()
    cluster.mail_account()
    made = Shop(cluster)
    yield made
    made.events.join()


def install(shop: Shop, key: str, *, present: bool = False) -> Journey:
    """Install a recipe; its holdout stays as it is, so some people become ghosts."""
    shop.cluster.manage("recipe", key, *(["--enter-present"] if present else []))
    return Journey.objects.get(key=key)


def enrolments(journey: Journey) -> dict[str, Enrolment]:
    """Enrolments by user id."""
    users = dict(Identity.objects.filter(kind="user_id").values_list("profile_id", "value"))
    return {users[row.profile_id]: row for row in Enrolment.objects.filter(journey=journey).exclude(state="refused")}


def walked(enrolment: Enrolment) -> list[str]:
    return list(Visit.objects.filter(enrolment=enrolment).order_by("n").values_list("node", flat=True))


def subjects(mails: list[EmailMessage]) -> list[str]:
    return [str(mail["subject"]) for mail in mails]


def assert_ghosts_got_nothing(journey: Journey, found: dict[str, Enrolment], shop: Shop) -> None:
    sent = {to for mail in shop.cluster.mails() for to in mail["to"]} if shop.cluster.mails() else set()
    for user, row in found.items():
        if row.ghost:
            ours = Delivery.objects.filter(enrolment=row.pk)
            assert all(one.ghost and one.state in ("skipped", "planned", "held") for one in ours), user
            assert f"{user}@example.com" not in sent


@pytest.mark.parametrize("shop", ["6"], indirect=True)
def test_new_user_gift_from_sign_up_to_credit(shop: Shop) -> None:
    """Sign-up → welcome with a coupon → order → guide; without an order → one reminder. Credit to the cent."""
    journey = install(shop, "new-user-gift")
    people = [f"user{number}" for number in range(12)]
    for user in people:
        chinese = {"locale": "zh-CN", "firstName": "美"} if user == "user3" else {}
        shop.sign_up(user, **{"firstName": "Mei"} | chinese)
    found = wait_until(
        lambda: len(enrolments(journey)) == 12 and enrolments(journey), seconds=40, what="all twelve enrolled"
    )
    treated = [user for user in people if not found[user].ghost]
    assert treated, "a holdout of 10 % does not hold out twelve people"
    buyer, *rest = treated
    welcome = shop.mails(buyer)[0]
    coupon = Coupon.objects.get(profile=found[buyer].profile_id)
    body = welcome.get_body(("html",))
    text = welcome.get_body(("plain",))
    assert body is not None
    assert text is not None
    assert coupon.code in body.get_content()
    assert coupon.code in text.get_content()
    assert welcome["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"

    landing = shop.click(welcome)
    utm = {name: values[0] for name, values in parse_qs(urlsplit(landing).query).items()}
    assert (utm["utm_medium"], utm["utm_campaign"]) == ("email", "new-user-gift")
    shop.events.page(buyer, properties={"url": landing, "path": urlsplit(landing).path})
    shop.order(buyer, "o-1", 42.5, coupon=coupon.code)

    mails = shop.mails(buyer, count=2)
    assert "three small things" in subjects(mails)[1].lower()
    reminded = rest[0]
    assert len(shop.mails(reminded, count=2)) == 2
    wait_until(lambda: walked(found[reminded])[-1:] == ["reminded"], what="the reminded person's walk ends")
    assert walked(found[buyer]) == ["gift", "welcome", "first-order", "guide", "ordered"]
    assert walked(found[reminded]) == ["gift", "welcome", "first-order", "reminder", "reminded"]
    if "user3" in treated:
        assert re.search("[\u4e00-\u9fff]", subjects(shop.mails("user3"))[0])

    conversion = wait_until(
        lambda: Conversion.objects.filter(order_ref="o-1").first(), what="the order is a conversion"
    )
    wait_until(lambda: Credit.objects.filter(conversion=conversion).exists(), what="credit")
    assert conversion.value == 4250
    assert Touch.objects.filter(profile=conversion.profile_id).count() == 1  # the click and its visit are one touch
    clicks = Delivery.objects.filter(journey=journey.key, clicked_at__isnull=False)
    wait_until(lambda: clicks.exists(), what="the click is judged a person's")
    for model in ("last", "linear"):
        assert sum(Credit.objects.filter(conversion=conversion, model=model).values_list("amount", flat=True)) == 4250
        report = shop.report(model=model, by="campaign")
        row = next(row for row in report["rows"] if row["campaign"] == "new-user-gift")
        assert (row["clicks"], row["conversions"], row["revenue"]) == (1, 1, 4250), report
        assert row["sent"] >= len(treated)
    wait_until(lambda: Coupon.objects.get(pk=coupon.pk).state == "redeemed", what="the coupon is redeemed")
    assert_ghosts_got_nothing(journey, found, shop)
    books = balance()
    assert books.adds_up, books


def test_growth_tasks(shop: Shop) -> None:
    """An order completes a mission: points, badge, congratulation; no new level → a nudge."""
    journey = install(shop, "growth-tasks")
    for number in range(4):
        shop.sign_up(f"player{number}", firstName="Bo")
        shop.order(f"player{number}", f"g-{number}", 10)
    found = wait_until(lambda: len(enrolments(journey)) == 4 and enrolments(journey), seconds=40, what="four players")
    player = next(user for user, row in found.items() if not row.ghost)
    assert "task completed" in subjects(shop.mails(player))[0]
    person = found[player].profile_id
    assert MissionProgress.objects.get(profile=person, mission__key="first-order").completed_at is not None
    wait_until(lambda: Wallet.objects.get(pk=person).balance == 60, what="50 points and a bonus of 10")
    assert "next level" in subjects(shop.mails(player, count=2, seconds=60))[1]
    ghosts = [row for row in found.values() if row.ghost]
    assert all(Wallet.objects.get(pk=row.profile_id).balance == 50 for row in ghosts)
    assert_ghosts_got_nothing(journey, found, shop)


def history(folder: Path, today: datetime) -> Path:
    """Orders of forty customers: four champions, many regulars, and a dozen who have fallen silent."""
    file = folder / "orders.csv"
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["order", "customer", "at", "total"])
        for number in range(40):
            silent = 150 if number >= 28 else 0
            count, gap = (14, 3) if number < 4 else (3 + number % 4, 12 + number)
            for index in range(count):
                at = today - timedelta(days=1 + silent + number // 4 + index * gap)
                total = 200 if number < 4 else 20 + number % 7
                rows.writerow([f"h{number}-{index}", f"c{number}", at.isoformat(), total])
    return file


def test_vip_perks_and_win_back_on_imported_history(shop: Shop, tmp_path: Path) -> None:
    """History fires nothing; who is inside enters when asked; leaving the cell or ordering ends the walk."""
    file = history(tmp_path, now())
    shop.cluster.manage(
        "import_facts", str(file), "--kind", "orders", "--source", "history", "--map",
        "order_id=order", "user_id=customer", "placed_at=at", "total=total", "currency=:USD",
    )  # fmt: skip
    wait_until(lambda: Scores.objects.exclude(cell="").count() == 40, seconds=60, what="everybody is scored")
    for number in range(40):
        shop.events.identify(f"c{number}", {"email": f"c{number}@example.com", "timezone": awake_zone()})
        shop.events.track(f"c{number}", "Subscribed", {"topic": "offers"})
    shop.events.flush()
    wait_until(lambda: Consent.objects.count() == 40, seconds=40, what="everybody's consent is heard")
    vip = install(shop, "vip-perks", present=True)
    back = install(shop, "churn-winback", present=True)

    champions = wait_until(lambda: enrolments(vip), seconds=40, what="champions entered")
    assert set(champions) <= {f"c{number}" for number in range(28)}
    perked = next(user for user, row in champions.items() if not row.ghost)
    assert "thank-you" in subjects(shop.mails(perked))[0]
    assert_ghosts_got_nothing(vip, champions, shop)

    silent = wait_until(lambda: len(enrolments(back)) > 3 and enrolments(back), seconds=40, what="the silent entered")
    assert {f"c{number}" for number in range(28, 40)} <= set(silent)
    returning, staying = [user for user, row in silent.items() if not row.ghost][:2]
    assert "It has been a while" in subjects(shop.mails(returning))[0]
    shop.order(returning, "back-1", 30)
    wait_until(
        lambda: enrolments(back)[returning].state in ("exited", "completed"), what="an order ends the walk at once"
    )
    assert "came back" in enrolments(back)[returning].reason
    assert "on us" in subjects(shop.mails(staying, count=2, seconds=60))[1]
    assert len(shop.cluster.mails(f"{returning}@example.com")) == 1
    assert_ghosts_got_nothing(back, silent, shop)
    books = balance()
    assert books.adds_up, books
