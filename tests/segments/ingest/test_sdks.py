"""Six stock clients with their defaults, against a live server: only the host and the key are ours."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common import clock
from segments.models import Event, Identity, Order, RejectedRow, Source
from tests.people import make_key, make_source

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]
NODE = Path(os.environ.get("PERENNIAL_NODE", ROOT / "var" / "node"))
CLIENTS = {
    "segment": "@segment/analytics-node",
    "rudder": "@rudderstack/rudder-sdk-node",
    "posthog": "posthog-node",
}
TRAITS = {"email": "mei@example.com", "plan": "gold"}
ORDER = {"order_id": "o1", "total": 12.5, "currency": "USD"}
PAGE = {"url": "https://shop.example/?utm_source=news&utm_campaign=spring"}


@contextmanager
def watching(answers: list[int]) -> Iterator[None]:
    """Note the status of each answer to a Python client."""
    from requests import Session

    send = Session.send

    def noted(self: Session, *args: Any, **options: Any) -> Any:
        answer = send(self, *args, **options)
        answers.append(answer.status_code)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "send", noted)
        yield


@pytest.fixture
def key() -> str:
    return make_key(make_source("web"))


def judge(*, kinds: set[str]) -> None:
    """What every client must have left behind."""
    assert not RejectedRow.objects.exists(), list(RejectedRow.objects.values_list("code", "payload"))
    mei = Identity.objects.get(kind="user_id", value="mei").profile
    assert (mei.email, mei.traits["plan"]) == ("mei@example.com", "gold")
    assert {event.kind for event in Event.objects.filter(profile=mei)} == kinds
    assert not Event.objects.exclude(profile=mei).exists()
    assert set(Event.objects.values_list("live", "flags")) == {(True, "")}
    order = Order.objects.get()
    assert (order.order_id, order.total, order.currency, order.profile) == ("o1", 1250, "USD", mei)
    assert Event.objects.get(name="Order Completed").value == 1250
    assert (mei.traits["$utm_source"], mei.traits["$latest_utm_campaign"]) == ("news", "spring")
    if "alias" in kinds:
        assert Identity.objects.get(kind="anonymous_id", value="visitor").profile == mei


ALL = {"identify", "track", "page", "screen", "group", "alias"}


def test_segment_analytics_python(live_server: Any, key: str) -> None:
    from segment.analytics.client import Client

    failures: list[Any] = []
    client = Client(key, host=live_server.url, on_error=lambda error, items: failures.append(error))
    client.identify("mei", TRAITS)
    client.track("mei", "Order Completed", ORDER)
    client.page("mei", name="Home", properties=PAGE)
    client.screen("mei", name="Cart")
    client.group("mei", "acme", {"seats": 3})
    client.alias("visitor", "mei")
    client.flush()
    client.join()
    assert failures == []
    judge(kinds=ALL)


def test_rudder_sdk_python(live_server: Any, key: str) -> None:
    from rudderstack.analytics.client import Client

    failures: list[Any] = []
    client = Client(key, host=live_server.url, on_error=lambda error, items: failures.append(error))
    client.identify("mei", TRAITS)
    client.track("mei", "Order Completed", ORDER)
    client.page("mei", name="Home", properties=PAGE)
    client.screen("mei", name="Cart")
    client.group("mei", "acme", {"seats": 3})
    client.alias("visitor", "mei")
    client.flush()
    client.join()
    assert failures == []
    judge(kinds=ALL)


def test_posthog_python(live_server: Any, key: str, caplog: pytest.LogCaptureFixture) -> None:
    from posthog import Posthog

    client = Posthog(key, host=live_server.url)
    with caplog.at_level(logging.WARNING, logger="posthog"):
        client.set(distinct_id="mei", properties=TRAITS)
        client.capture("Order Completed", distinct_id="mei", properties=ORDER)
        client.capture("$pageview", distinct_id="mei", properties={"$current_url": PAGE["url"]})
        client.capture("$screen", distinct_id="mei", properties={"$screen_name": "Cart"})
        client.group_identify("company", "acme", {"seats": 3}, distinct_id="mei")
        client.alias("visitor", "mei")
        client.shutdown()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    judge(kinds=ALL)


def test_a_source_over_its_rate_is_sent_to_again_and_nothing_is_lost(live_server: Any, key: str) -> None:
    """The stock client waits as long as Retry-After says and sends the same again, within its own budget."""
    from segment.analytics.client import Client

    Source.objects.update(calls_a_minute=600, filled_until=clock.now() + timedelta(seconds=1.5))
    statuses: list[int] = []
    failures: list[Any] = []

    def listen(record: logging.LogRecord) -> bool:
        statuses.extend([429] if record.getMessage().startswith("Rate-limited (status 429)") else [])
        return True

    log = logging.getLogger("segment")
    log.addFilter(listen)
    level, before = log.level, Event.objects.count()
    log.setLevel(logging.DEBUG)
    try:
        client = Client(key, host=live_server.url, on_error=lambda error, items: failures.append(error))
        for n in range(250):
            client.track("mei", "Viewed", {"n": n})
        client.flush()
        client.join()
    finally:
        log.setLevel(level)
        log.removeFilter(listen)
    assert statuses
    assert failures == []
    assert Event.objects.count() - before == 250
    assert {event.properties["n"] for event in Event.objects.all()} == set(range(250))


@pytest.mark.parametrize("name", ["rudder", "posthog"])
def test_other_clients_try_again_by_themselves(live_server: Any, key: str, name: str) -> None:
    """They wait by a clock of their own when they are told 429, and nothing is lost."""
    answers: list[int] = []
    Source.objects.update(calls_a_minute=600, filled_until=clock.now() + timedelta(seconds=1))
    failures: list[Any] = []
    with watching(answers):
        if name == "rudder":
            from rudderstack.analytics.client import Client

            client: Any = Client(key, host=live_server.url, on_error=lambda error, items: failures.append(error))
            for n in range(30):
                client.track("mei", "Viewed", {"n": n})
            client.flush()
            client.join()
        else:
            from posthog import Posthog

            client = Posthog(key, host=live_server.url, on_error=lambda error, items: failures.append(error))
            for n in range(30):
                client.capture("Viewed", distinct_id="mei", properties={"n": n})
            client.shutdown()
    assert 429 in answers
    assert failures == []
    assert {event.properties["n"] for event in Event.objects.filter(name="Viewed")} == set(range(30))


@pytest.mark.node
@pytest.mark.parametrize("name", CLIENTS)
def test_stock_node_clients(live_server: Any, key: str, name: str) -> None:
    if shutil.which("node") is None:
        pytest.skip("there is no node on this machine")
    if not (NODE / "node_modules" / CLIENTS[name]).is_dir():
        pytest.skip(f"{CLIENTS[name]} is not installed in {NODE}")
    script = Path(__file__).resolve().parents[2] / "sdks" / f"{name}.mjs"
    done = subprocess.run(
        ["node", str(script), live_server.url, key, str(NODE)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    judge(kinds=ALL)
