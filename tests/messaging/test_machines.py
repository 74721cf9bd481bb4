"""People and machines apart: swarms soon after sending, Apple's proxy, and the click map that shows both."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from messaging.answers import settle_clicks
from messaging.clickmap import click_map
from messaging.links import open_url
from messaging.machines import Seen, Visit, is_swarm, why_machine
from messaging.models import Click, Delivery, TemplateVersion
from segments.facts import names
from segments.models import Event
from tests.messaging.mails import BROWSER, ONE_LINK, hrefs, path_of, publish, render, sent
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
THREE = (
    '<html><body><a href="https://shop.example/1" data-alias="hero">1</a><a href="https://shop.example/2">2</a>'
    '<a href="https://shop.example/3">3</a><a href="{{ links.unsubscribe }}">Leave</a></body></html>'
)


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def visit(url: str, agent: str = BROWSER, **given: str) -> None:
    Client(HTTP_USER_AGENT=agent, **given).get(path_of(url))  # type: ignore[arg-type]


def test_three_links_within_five_seconds_of_sending_are_a_machines_all(clock: Any) -> None:
    """The first two are more than two seconds apart, the last comes at 4.9 s: only together they give it away."""
    row = sent(make_profile(email="a@example.com"), publish(THREE), ago=timedelta(seconds=2))
    links = hrefs(render(row).parts["html"])
    for at, url in zip((0.1, 2.2, 2.9), links, strict=False):
        clock.move_to(NOW + at * SECOND)
        visit(url)
        assert settle_clicks(NOW + at * SECOND) == {"human": 0, "machine": 0}
    assert settle_clicks(NOW + 5 * SECOND) == {"human": 0, "machine": 3}
    assert set(Click.objects.values_list("machine", "why")) == {(True, "burst")}
    assert not Event.objects.filter(name=names.MESSAGE_CLICKED).exists()


def test_one_early_click_is_a_persons_when_nothing_else_follows(clock: Any) -> None:
    row = sent(make_profile(email="a@example.com"), publish(THREE), ago=timedelta(seconds=3))
    visit(hrefs(render(row).parts["html"])[0])
    assert settle_clicks(NOW + 2 * SECOND) == {"human": 1, "machine": 0}


@pytest.mark.parametrize(
    ("seconds", "links", "swarm"),
    [((2.1, 3.5, 4.9), (1, 2, 3), True), ((2.1, 3.5, 5.0), (1, 2, 3), False), ((2.1, 3.5, 4.9), (1, 2, 2), False)],
)
def test_a_swarm_has_three_links_within_five_seconds(
    seconds: tuple[float, ...], links: tuple[int, ...], swarm: bool
) -> None:
    seen = [Seen(link, NOW + at * SECOND) for at, link in zip(seconds, links, strict=True)]
    assert is_swarm(seen, sent_at=NOW) is swarm
    assert not is_swarm(seen, sent_at=None)


@pytest.mark.parametrize(
    ("ip", "opening", "why"),
    [
        ("17.58.98.1", True, "proxy"),
        ("17.58.98.1", False, ""),
        ("18.0.0.1", True, ""),
        ("2001:db8::1", True, ""),
        (None, True, ""),
        ("nonsense", True, ""),
    ],
)
def test_apples_proxy_opens_for_nobody(ip: str | None, opening: bool, why: str) -> None:
    given = Visit(user_agent=BROWSER, ip=ip)
    assert why_machine(given, sent_at=NOW - 9 * SECOND, now=NOW, opening=opening) == why


def test_an_open_by_apples_proxy_is_kept_and_moves_nothing() -> None:
    row = sent(make_profile(email="a@example.com"), publish(ONE_LINK))
    visit(open_url(row.pk, row.address_id), REMOTE_ADDR="17.58.98.1")
    assert Click.objects.values_list("machine", "why").get() == (True, "proxy")
    assert not Event.objects.filter(name=names.MESSAGE_OPENED).exists()
    row.refresh_from_db()
    assert (row.reached, row.opened_at) == (Delivery.Reached.DELIVERED, None)


def test_the_click_map_counts_people_once_and_machines_apart(clock: Any, django_assert_num_queries: Any) -> None:
    version = publish(THREE)
    rows = [sent(make_profile(email=f"n{n}@example.com"), version, prefix=f"n{n}") for n in range(3)]
    pages = [hrefs(render(row).parts["html"]) for row in rows]
    for minute in range(2):  # the first person clicks the first link twice
        clock.move_to(NOW + timedelta(minutes=minute))
        visit(pages[0][0])
    visit(pages[1][0])
    clock.move_to(NOW + timedelta(minutes=9))
    visit(pages[1][2])
    visit(pages[2][1], agent="Barracuda Sentinel (EE)")
    visit(open_url(rows[2].pk, rows[2].address_id), agent="Mozilla/5.0")
    visit(open_url(rows[0].pk, rows[0].address_id))
    settle_clicks(NOW + timedelta(hours=1))
    with django_assert_num_queries(5):
        found = click_map(TemplateVersion.objects.get(pk=version.pk))
    assert [(one.position, one.alias, one.people, one.clicks, one.machines, one.share) for one in found.spots] == [
        (0, "hero", 2, 3, 0, 75.0), (1, "", 0, 0, 1, 0.0), (2, "", 1, 1, 0, 25.0),
    ]  # fmt: skip
    assert (found.sent, found.opened, found.opened_by_machines) == (3, 1, 1)
    assert found.spots[0].url == "https://shop.example/1"
