"""The demo: invented people, moved weeks, a mailbox that keeps mail whole, readers who use HTTP only."""

from __future__ import annotations

import smtplib
import sys
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from django.test import Client, override_settings
from django.urls import include, path

from config.demo import data, mailbox
from config.demo.names import person
from config.demo.shoppers import Letter, Shoppers, read_letter, user_of
from tests.harness import Cluster, free_port, listens, wait_until

urlpatterns = [path("mailbox/", include("config.demo.urls"))]


def make_mail(to: str = "maria.diaz.1@example.com", *, subject: str = "Hello", html: str = "") -> bytes:
    message = EmailMessage()
    message["To"], message["From"], message["Subject"] = to, "shop@example.com", subject
    message["Message-ID"] = f"<{subject}@example.com>"
    message["List-Unsubscribe"] = "<http://127.0.0.1:8000/u/abc>"
    message.set_content("Your code: GIFT-7KQ2M4XW")
    message.add_alternative(html or "<p>Hi</p><script>alert(1)</script>", subtype="html")
    return bytes(message)


def test_a_household_is_always_the_same_person() -> None:
    people = [person(number) for number in range(1, 2001)]
    assert person(1) == people[0]
    assert len({one.email for one in people}) == 2000
    assert all(one.email.endswith("@example.com") and one.email.isascii() for one in people)
    chinese = [one for one in people if one.locale == "zh-Hans"]
    assert 600 < len(chinese) < 730
    assert {one.timezone for one in chinese} == {"Asia/Shanghai"}
    assert all(user_of(one.email) == one.user_id for one in people)


@pytest.mark.parametrize("days", range(14))
def test_the_last_day_lies_in_the_past_seven_on_its_weekday(days: int) -> None:
    last, now = date(2017, 12, 31), datetime(2026, 11, 20, 17, tzinfo=UTC) + timedelta(days=days)
    move = data.plan_move(last, now=now)
    moved = last + timedelta(days=move.shift_days)
    assert 1 <= (now.date() - moved).days <= 7
    assert moved.weekday() == last.weekday()
    assert move.live_since.astimezone(data.STORE_ZONE).date() == moved - timedelta(days=13)


def test_people_and_signups_are_made_for_the_whole_year(tmp_path: Path, now: datetime) -> None:
    import pyarrow.parquet as pq

    year = data.read_year()
    move = data.plan_move(year.last, now=now)
    data.write_people(tmp_path / "people.parquet", year, move)
    data.write_signups(tmp_path / "signups.parquet", year, move)
    people = pq.read_table(tmp_path / "people.parquet").to_pylist()
    assert (len(people), sum(row["age"] is not None for row in people)) == (2469, 801)
    assert max(row["registered_at"] for row in people) < now
    assert min(row["registered_at"] for row in people) > now - timedelta(days=375)
    signups = pq.read_table(tmp_path / "signups.parquet").column("event").to_pylist()
    assert signups.count("Signed Up") == 2469
    assert 0.88 < signups.count("Subscribed") / 2469 < 0.92


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "PACKAGE", "no_such_package")
    with pytest.raises(data.MissingData, match="not installed"):
        data.data_file("transactions")


def test_mail_is_kept_found_and_pruned(tmp_path: Path) -> None:
    names = [mailbox.store(tmp_path, make_mail(subject=f"S{number}")) for number in range(5)]
    assert mailbox.ids(tmp_path) == names
    assert mailbox.ids(tmp_path, after=names[2]) == names[3:]
    assert [mail.subject for mail in mailbox.latest(tmp_path, limit=2)] == ["S4", "S3"]
    assert [mail.subject for mail in mailbox.latest(tmp_path, to="s1")] == ["S1"]
    assert mailbox.prune(tmp_path, keep=2) == 3
    assert mailbox.ids(tmp_path) == names[3:]
    for bad in ("../secret", "x", f"{names[0]}/../y"):
        with pytest.raises(FileNotFoundError):
            mailbox.read(tmp_path, bad)


def test_the_browser_shows_mail_in_a_sandbox(settings: Any, tmp_path: Path, client: Client) -> None:
    settings.VAR = tmp_path
    name = mailbox.store(tmp_path / "mailbox", make_mail(subject="Gift"))
    with override_settings(ROOT_URLCONF=__name__):
        assert "Gift" in client.get("/mailbox/").content.decode()
        assert "Gift" not in client.get("/mailbox/?q=other").content.decode()
        page = client.get(f"/mailbox/{name}/").content.decode()
        assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
        assert "<script>alert(1)" not in page
        html = client.get(f"/mailbox/{name}/html")
        assert html["Content-Security-Policy"].startswith("sandbox allow-popups")
        assert "default-src 'none'" in html["Content-Security-Policy"]
        assert client.get("/mailbox/00000000000000000000-000000-1/").status_code == 404


def test_the_mailbox_is_not_mounted_outside_the_demo(client: Client) -> None:
    assert client.get("/mailbox/").status_code == 404


def test_the_post_office_takes_mail_for_anybody(cluster: Cluster) -> None:
    folder, port = cluster.folder / "mailbox", cluster.smtp_port
    cluster.start("mailbox", [sys.executable, "-m", "config.demo.mailbox", str(port), str(folder)])
    wait_until(lambda: listens(port), what="the mailbox listens")
    with smtplib.SMTP("127.0.0.1", port) as wire:
        wire.sendmail("shop@example.com", ["a@example.com"], make_mail("a@example.com"))
    assert [mail.to for mail in mailbox.latest(folder)] == ["a@example.com"]


def test_a_reader_sees_picture_links_and_code(tmp_path: Path) -> None:
    html = (
        '<a href="http://127.0.0.1:8000/c/tok1">Shop</a><a href="http://127.0.0.1:8000/u/x">Unsubscribe</a>'
        '<img src="https://cdn.example.com/logo.png"><img src="http://127.0.0.1:8000/o/pix.gif">'
    )
    name = mailbox.store(tmp_path, make_mail(html=html))
    assert read_letter(tmp_path, name, "http://127.0.0.1:8000") == Letter(
        id="<Hello@example.com>",
        user_id="household-1",
        pixel="http://127.0.0.1:8000/o/pix.gif",
        links=("http://127.0.0.1:8000/c/tok1",),
        leave="http://127.0.0.1:8000/u/abc",
        coupon="GIFT-7KQ2M4XW",
    )


def test_readers_decide_alike_each_time_and_mostly_do_nothing(tmp_path: Path) -> None:
    shoppers = Shoppers("http://127.0.0.1:9", "key", tmp_path)
    letters = [Letter(f"<{n}@example.com>", f"household-{n}", "pixel", ("link",), "leave", "") for n in range(1000)]
    plans = [[round(delay, 6) for delay, _ in shoppers.plan(letter)] for letter in letters]
    assert plans == [[round(delay, 6) for delay, _ in shoppers.plan(letter)] for letter in letters]
    assert 500 < sum(map(bool, plans)) < 600
    assert 150 < sum(len(plan) == 2 for plan in plans) < 250
    assert min(delay for plan in plans for delay in plan) > 4


def test_shoppers_wait_until_the_doors_open(tmp_path: Path) -> None:
    port = free_port()
    server = HTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler, bind_and_activate=False)
    shoppers, waited = Shoppers(f"http://127.0.0.1:{port}", "key", tmp_path), Event()

    def wait() -> None:
        shoppers.wait_for_doors()
        waited.set()

    Thread(target=wait, daemon=True).start()
    assert not waited.wait(1)
    server.server_bind()
    server.server_activate()
    Thread(target=server.handle_request, daemon=True).start()
    assert waited.wait(10), "501 is an answer, too"
    server.server_close()


def test_shoppers_know_nothing_of_the_engine() -> None:
    from tests.architecture import Module, imports

    source = Path(__file__).parents[2] / "config/demo/shoppers.py"
    used = {one.target.partition(".")[0] for one in imports(Module("config.demo.shoppers", source))}
    assert used.isdisjoint({"segments", "messaging", "campaigns", "django"})


def small_year(folder: Path) -> None:
    """The package's two tables in small: three households, a basket a week for each, of two lines."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = [
        {
            "household_id": household,
            "basket_id": 1000 * household + week,
            "product_id": 7 + line,
            "quantity": 1,
            "sales_value": 2.5 + line,
            "transaction_timestamp": datetime(2017, 1, 2, 9 + household) + timedelta(weeks=week),  # noqa: DTZ001
        }
        for household in (1, 2, 3)
        for week in range(52)
        for line in range(2)
    ]
    pq.write_table(pa.Table.from_pylist(lines), folder / "transactions.parquet")
    known = {"household_id": 1, **dict.fromkeys(data.TRAITS, "x")}
    pq.write_table(pa.Table.from_pylist([known]), folder / "demographics.parquet")


@pytest.mark.django_db(transaction=True)
def test_the_set_up_is_whole_and_safe_to_repeat(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    from campaigns.models import Journey
    from common.models import ApiKey
    from config.demo.setup import set_up
    from messaging.models import Account
    from segments.models import Event, Health, ImportJob, Order, Profile, Scores

    small_year(tmp_path)
    settings.VAR = tmp_path / "var"
    monkeypatch.setattr(data, "data_file", lambda name: tmp_path / f"{name}.parquet")
    said: list[str] = []
    first = set_up(now=now, say=said.append, smtp_port=2525)
    assert (first.people, first.orders) == (3, 156)
    assert set(Journey.objects.values_list("key", "state")) == {
        (key, "live") for key in ("new-user-gift", "growth-tasks", "vip-perks", "churn-winback")
    }
    assert Order.objects.get(order_id="basket-1000").total == 600
    assert Event.objects.filter(name="Order Completed", live=True).count() == 6
    assert Profile.objects.filter(email__endswith="@example.com").count() == Scores.objects.count() == 3
    assert Health.objects.count() == 3

    def state() -> tuple[int, ...]:
        return tuple(model.objects.count() for model in (ImportJob, Event, ApiKey, Account, Journey, Profile))

    before, said[:] = state(), []
    second = set_up(now=now + timedelta(days=1), say=said.append, smtp_port=2600)
    assert (second, state()) == (first, before)
    assert [line for line in said if "import" in line] == []
    assert Account.objects.get(key="demo-mailbox").settings["port"] == 2600


@pytest.mark.django_db
def test_the_demo_refuses_a_public_address(settings: Any) -> None:
    from django.core.management import CommandError, call_command

    settings.PUBLIC_URL = "https://mail.example.com"
    with pytest.raises(CommandError, match="local PUBLIC_URL only"):
        call_command("demo", no_run=True)
