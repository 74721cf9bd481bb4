"""Lints of journeys: each finds its fault at its node, and says nothing where there is none."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings
from django.utils import translation

from campaigns.graph import read_graph
from campaigns.linting import Unconfirmed, ask_of, find_all, lint_graph
from campaigns.lints import Severity, lints
from campaigns.models import Goal, Journey
from campaigns.publish import publish
from common.params import Invalid
from messaging.models import Template, TemplateVersion
from tests.campaigns.flows import DONE, flow, make_campaign, make_goal, make_segment, make_template, node
from tests.people import NOW

pytestmark = pytest.mark.django_db
HOUSE: dict[str, Any] = {
    "MESSAGE_CAPS": "", "MESSAGE_GAPS": "", "QUIET_HOURS": "", "MESSAGE_LOCALES": ["en"], "DAY_SECONDS": 86400,
}  # fmt: skip


@pytest.fixture(autouse=True)
def house() -> Any:
    """No limits, no quiet hours and one language, unless a test says otherwise."""
    with override_settings(**HOUSE):
        yield


def draft(graph: dict[str, Any], **fields: Any) -> Journey:
    """A journey that proves itself: a holdout and a goal."""
    campaign = make_campaign(holdout=0.1)
    if not Goal.objects.filter(campaign=campaign).exists():
        make_goal(campaign, "order")
    graph = {"goal": {"key": "order"}, **graph}
    return Journey.objects.create(key=f"j{Journey.objects.count()}", name="J", campaign=campaign, draft=graph, **fields)


def found(graph: dict[str, Any], **fields: Any) -> list[tuple[str, str, str]]:
    return [(one.lint, one.severity.value, one.place) for one in find_all(draft(graph, **fields))]


def one_send(**params: Any) -> dict[str, Any]:
    return {"hello": node("send", template="hello", **params), "done": DONE}


def speaking(html: str, *, key: str = "hello", klass: str = "lifecycle") -> TemplateVersion:
    content = {"en": {"subject": "Hi", "html": html, "text": ""}}
    template = Template.objects.create(key=key, name=key, klass=klass, channel="email", content=content)
    return TemplateVersion.objects.create(
        template=template, number=1, channel="email", klass=klass, content=content, digest="", published_at=NOW
    )


def test_a_good_flow_has_no_findings() -> None:
    make_template("hello")
    assert found(flow(one_send())) == []


def test_what_reading_proves_bears_the_names_of_lints() -> None:
    make_template("hello")
    lonely = flow({**one_send(), "lost": node("wait", for_="1d")})
    assert ("unreachable", "error", "nodes.lost") in found(lonely)
    circle = flow({"a": node("award", "b", points=1), "b": node("award", "a", points=1), "done": DONE})
    names = {lint for lint, _severity, _place in found(circle)}
    assert {"loop", "dead_end", "unreachable"} <= names
    open_end = flow({"hello": {"type": "send", "params": {"template": "hello"}, "next": {}}, "done": DONE})
    assert ("dead_end", "error", "nodes.hello.next.next") in found(open_end)


def test_what_the_database_knows_is_told_with_the_lints() -> None:
    make_template("hello")
    graph = flow({"gift": node("grant", {"next": "hello", "empty": "done"}, pool="nothing"), **one_send()})
    assert found(graph) == [("flow", "error", "nodes.gift")]


def test_marketing_needs_a_way_out() -> None:
    speaking("<p>Buy</p>", klass="marketing")
    assert found(flow(one_send())) == [("unsubscribe", "error", "nodes.hello")]


def test_a_lifecycle_mail_and_marketing_with_its_link_pass() -> None:
    speaking("<p>Hi</p>")
    speaking("<p>{{ links.unsubscribe }}</p>", key="ad", klass="marketing")
    nodes = {"hello": node("send", "ad", template="hello"), "ad": node("send", template="ad"), "done": DONE}
    assert found(flow(nodes)) == []


@pytest.mark.parametrize(
    ("campaign", "own", "klass", "said"),
    [
        (None, None, "lifecycle", True), (0.1, 0.0, "lifecycle", True), (None, 0.1, "lifecycle", False),
        (0.1, None, "marketing", False), (None, None, "transactional", False),
    ],
)  # fmt: skip
def test_sending_needs_a_holdout(campaign: float | None, own: float | None, klass: str, said: bool) -> None:
    make_template("hello", klass=klass)
    make_goal(make_campaign(holdout=campaign), "order")
    assert found(flow(one_send()), holdout=own) == ([("holdout", "warning", "holdout")] if said else [])


def test_sending_needs_a_goal() -> None:
    make_template("hello")
    assert found(flow(one_send(), goal=None)) == [("goal", "warning", "goal")]


def test_a_wait_between_messages_that_outlasts_the_goal() -> None:
    make_template("hello")
    make_goal(make_campaign(holdout=0.1), "order", window_days=5)
    nodes = {
        "hello": node("send", "long", template="hello"), "long": node("wait", "again", for_="6d"),
        "again": node("send", "rest", template="hello"), "rest": node("wait", for_="30d"), "done": DONE,
    }  # fmt: skip
    assert found(flow(nodes)) == [("goal_window", "warning", "nodes.long")]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"reentry": "after_exit"}, True), ({"reentry": "cooldown", "cooldown": "2h"}, True),
        ({"reentry": "cooldown", "cooldown": "7d"}, False), ({"reentry": "once"}, False),
    ],
)  # fmt: skip
def test_coming_in_again_at_once(entry: dict[str, Any], said: bool) -> None:
    make_template("hello")
    assert found(flow(one_send(), entry=entry)) == ([("reentry", "warning", "entry.reentry")] if said else [])


def test_a_schedule_lets_people_in_again_at_its_own_pace() -> None:
    make_template("hello")
    make_segment("vip")
    trigger = {"type": "schedule", "params": {"segment": "vip", "every": "week", "at": "10:00"}}
    assert found({**flow(one_send()), "trigger": trigger, "entry": {"reentry": "after_exit"}}) == []


@override_settings(QUIET_HOURS="email=21:00-08:00")
def test_waiting_into_quiet_hours() -> None:
    make_template("hello")
    for until, said in (("22:00", True), ("07:59", True), ("08:00", False), ("20:59", False)):
        nodes = {"night": node("wait", "hello", until=until), **one_send()}
        assert found(flow(nodes)) == ([("quiet_hours", "warning", "nodes.night")] if said else []), until
    make_segment("vip")
    trigger = {"type": "schedule", "params": {"segment": "vip", "every": "day", "at": "06:00"}}
    assert found({**flow(one_send()), "trigger": trigger}) == [("quiet_hours", "warning", "trigger.params.at")]


@override_settings(QUIET_HOURS="email=21:00-08:00")
def test_quiet_hours_do_not_bind_what_waits_again() -> None:
    make_template("hello")
    nodes = {"night": node("wait", "more", until="22:00"), "more": node("wait", "hello", for_="12h"), **one_send()}
    assert found(flow(nodes)) == []


@override_settings(MESSAGE_LOCALES=["en", "zh-Hans"])
def test_a_language_that_is_missing() -> None:
    make_template("hello")
    assert found(flow(one_send())) == [("translations", "warning", "nodes.hello")]


def test_variables_that_nothing_provides() -> None:
    speaking("<p>{{ coupon.code }} {{ event.properties.size }} {{ profile.first_name }}</p>")
    assert found(flow(one_send())) == [("variables", "error", "nodes.hello")]
    make_segment("vip")
    trigger = {"type": "schedule", "params": {"segment": "vip", "every": "day", "at": "10:00"}}
    assert [place for _l, _s, place in found({**flow(one_send()), "trigger": trigger})] == ["nodes.hello"] * 2


def test_a_variable_must_be_provided_on_every_way() -> None:
    from segments.models import Benefit, CouponPool

    speaking("<p>{{ coupon.code }}</p>")
    CouponPool.objects.create(key="gift", name="Gift", benefit=Benefit.objects.create(key="b", name="B", kind="gift"))
    grant = {"gift": node("grant", {"next": "hello", "empty": "done"}, pool="gift"), **one_send()}
    assert found(flow(grant)) == []
    grant["gift"]["next"]["empty"] = "hello"
    assert found(flow(grant)) == [("variables", "error", "nodes.hello")]


def test_a_default_turns_a_missing_variable_into_a_warning() -> None:
    speaking("<p>{{ coupon.code | default('none') }}</p>")
    assert found(flow(one_send())) == [("variables", "warning", "nodes.hello")]


def three_mails(first: str, second: str) -> dict[str, Any]:
    return flow({
        "one": node("send", "rest", template="hello"), "rest": node("wait", "two", for_=first),
        "two": node("send", "more", template="hello"), "more": node("wait", "three", for_=second),
        "three": node("send", template="hello"), "done": DONE,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("caps", "gaps", "first", "second", "places"),
    [
        ("email=2/week", "", "1d", "1d", ["nodes.three"]),
        ("email=2/week", "", "4d", "4d", []),
        ("email=1/day", "", "2d", "6h", ["nodes.three"]),
        ("", "email=16h", "12h", "1d", ["nodes.two"]),
        ("email=3/week", "email=16h", "1d", "1d", []),
        ("all=2/week", "", "1d", "1d", ["nodes.three"]),
    ],
)
def test_more_messages_than_the_caps_let_through(
    caps: str, gaps: str, first: str, second: str, places: list[str]
) -> None:
    make_template("hello", klass="marketing")
    with override_settings(MESSAGE_CAPS=caps, MESSAGE_GAPS=gaps):
        said = found(three_mails(first, second))
    assert said == [("caps", "warning", place) for place in places]


@override_settings(MESSAGE_CAPS="email=0/week")
def test_a_cap_of_none_lets_nothing_pass() -> None:
    make_template("hello", klass="marketing")
    assert found(flow(one_send())) == [("caps", "error", "nodes.hello")]


@override_settings(MESSAGE_CAPS="email=2/week")
def test_a_loop_that_sends_too_often_is_found_and_ends() -> None:
    make_template("hello", klass="marketing")
    nodes = {
        "hello": node("send", "rest", template="hello"),
        "rest": node("wait_for", {"happened": "done", "timeout": "hello"}, fact="Order Completed", timeout="1d"),
        "done": DONE,
    }
    assert found(flow(nodes)) == [("caps", "warning", "nodes.hello")]


@override_settings(MESSAGE_CAPS="email=2/week", DAY_SECONDS=2)
def test_the_pace_of_a_rehearsal_changes_no_finding() -> None:
    make_template("hello", klass="marketing")
    assert found(three_mails("4d", "4d")) == []


def test_an_error_keeps_a_draft_from_being_published_and_a_warning_asks() -> None:
    version = speaking("<p>Buy</p>", klass="marketing")
    row = draft(flow(one_send()))
    with pytest.raises(Invalid) as caught:
        publish(row, now=NOW, confirmed=[])
    assert [problem.path for problem in caught.value.problems] == ["nodes.hello"]
    assert row.versions.count() == 0
    template = version.template
    make_template(template.key)
    row.draft = flow(one_send(), goal=None)
    row.save()
    with pytest.raises(Unconfirmed) as asked:
        publish(row, now=NOW, confirmed=[])
    assert [one.lint for one in asked.value.warnings] == ["goal"]
    assert row.versions.count() == 0
    assert publish(row, now=NOW, confirmed=asked.value.ask).number == 1


def test_programs_pass_over_warnings() -> None:
    make_template("hello")
    assert publish(draft(flow(one_send(), goal=None)), now=NOW).number == 1


def test_findings_are_told_in_the_readers_language() -> None:
    speaking("<p>Buy</p>", klass="marketing")
    row = draft(flow(one_send(), goal=None, entry={"reentry": "after_exit"}))
    english = [str(one) for one in find_all(row)]
    with translation.override("zh-hans"):
        chinese = [str(one) for one in find_all(row)]
    assert len(english) == len(chinese) == 3
    assert "nodes.hello: marketing without a way out: “hello” has no unsubscribe link" in english
    assert "nodes.hello: 营销邮件没有退订入口：“hello”中没有退订链接" in chinese
    assert not set(english) & set(chinese)
    assert ask_of(find_all(row)) == ask_of(find_all(row))


def test_the_statements_do_not_grow_with_the_flow(django_assert_max_num_queries: Any) -> None:
    make_template("hello", klass="marketing")
    row = draft(three_mails("4d", "4d"))
    with django_assert_max_num_queries(8):
        assert lint_graph(read_graph(row.draft), row) == []


def test_severities_and_keys() -> None:
    assert {one.value for one in Severity} == {"error", "warning"}
    assert {"caps", "variables", "unsubscribe"} <= set(lints.keys())
    assert read_graph(flow({"done": DONE})).start == "done"
