"""Lift: everybody assigned counts, in both arms alike; and what is not known is not shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from campaigns.graph import read_graph
from campaigns.install import read_recipe
from campaigns.lift import lift, lifts_of
from campaigns.lift._walk import longest_walk
from campaigns.models import Arm, Assignment, Conversion, Experiment, Journey, JourneyVersion
from campaigns.reports import reports
from campaigns.reports._lift_words import lift_note
from campaigns.steps import Step, steps
from common.params import read_params
from segments.models import Profile
from tests.campaigns.stories import make_campaign, make_delivery, make_goal, say
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def make_experiment(*, goal: dict[str, Any] | None = None, weights: tuple[float, float] = (0.1, 0.9)) -> Experiment:
    """A journey "back" of the campaign "winback" with a holdout, begun ten days ago."""
    campaign = make_campaign()
    if goal is not None:
        make_goal(campaign, **goal)
    row = Experiment.objects.create(
        key="holdout-back", name="Holdout", kind="holdout", salt="s", journey="back", started_at=NOW - 10 * DAY
    )
    for n, (key, weight) in enumerate(zip(("control", "treated"), weights, strict=True)):
        Arm.objects.create(experiment=row, key=key, position=n, weight=weight, control=key == "control")
    Journey.objects.create(key="back", name="Back", campaign=campaign, experiment=row)
    return row


def draw(experiment: Experiment, arm: str, people: int, converted: int, *, value: int = 1000) -> list[Profile]:
    """People assigned ten days ago, of whom some order a day later."""
    row = experiment.arms.get(key=arm)
    made = Profile.objects.bulk_create(
        [Profile(shard=0, bucket=0, first_seen_at=NOW, last_seen_at=NOW) for _ in range(people)]
    )
    at = NOW - 10 * DAY
    Assignment.objects.bulk_create([Assignment(experiment=experiment, profile=p, arm=row, at=at) for p in made])
    for person in made[:converted]:
        convert(person, at + DAY, value)
    return made


def convert(person: Profile, at: Any, value: int = 1000, name: str = "Order Completed") -> None:
    n = Conversion.objects.count() + 1
    Conversion.objects.create(key=str(n), profile=person, fact=-n, name=name, at=at, value=value)


def test_the_figures_of_a_known_pair_of_arms() -> None:
    experiment = make_experiment(goal={}, weights=(1, 1))
    draw(experiment, "control", 1000, 100)
    draw(experiment, "treated", 1000, 130, value=2000)
    one = lift(experiment, NOW)
    assert one is not None
    assert one.refusal is None
    assert (one.control.converted, one.control.people, one.treated.converted, one.treated.people) == (
        100,
        1000,
        130,
        1000,
    )
    assert one.absolute is not None
    assert one.absolute.value == pytest.approx(0.03)
    assert one.absolute.interval == pytest.approx((0.0020023, 0.0580705), abs=1e-6)
    assert one.absolute.p == pytest.approx(0.0354885, abs=1e-6)
    assert one.relative is not None
    assert (one.relative.value, one.relative.error) == pytest.approx((0.3, 0.1628496), abs=1e-6)
    assert one.sequence is not None
    assert one.sequence.interval[0] < 0 < one.sequence.interval[1]
    assert one.extra_conversions is not None
    assert one.extra_conversions[0] == pytest.approx(30)
    assert one.revenue is not None
    assert one.revenue.value == pytest.approx((130 * 2000 - 100 * 1000) / 1000)
    assert (one.fit, one.days, one.suspicious) == (1.0, 10, False)


def test_only_goals_after_being_assigned_and_within_the_window_count() -> None:
    experiment = make_experiment(goal={"window_days": 5}, weights=(1, 1))
    at = NOW - 10 * DAY
    draw(experiment, "control", 10, 0)
    people = draw(experiment, "treated", 10, 0)
    for person, when in zip(people, (at - SECOND, at, at + 5 * DAY, at + 5 * DAY + SECOND), strict=False):
        convert(person, when)
    convert(people[5], at + DAY, name="Signed Up")
    convert(people[2], at + DAY)  # a second order of one person: converted once, both are revenue
    (one,) = lifts_of(experiment, NOW)
    assert (one.treated.converted, one.treated.revenue.mean) == (2, 300)
    assert lifts_of(experiment, NOW, window=6 * DAY)[0].treated.converted == 3


def test_refunds_within_the_window_come_off_the_revenue() -> None:
    experiment = make_experiment(goal={}, weights=(1, 1))
    draw(experiment, "control", 10, 0)
    people = draw(experiment, "treated", 10, 5)
    convert(people[0], NOW - 8 * DAY, -400, name="Order Refunded")
    (one,) = lifts_of(experiment, NOW)
    assert (one.treated.converted, one.treated.revenue.mean) == (5, 460)


@pytest.mark.django_db(transaction=True)
def test_a_goals_filter_is_asked_of_the_fact() -> None:
    from segments.models import Event

    experiment = make_experiment(goal={"filter": {"plan": ["pro", "max"], "from.app": True}}, weights=(1, 1))
    draw(experiment, "control", 10, 0)
    people = draw(experiment, "treated", 10, 0)
    told: list[dict[str, Any]] = [
        {"plan": "pro", "from": {"app": True}},
        {"plan": "max", "from.app": True},
        {"plan": "pro", "from": {"app": False}},
        {"plan": "free", "from": {"app": True}},
    ]
    for person, properties in zip(people, told, strict=False):
        say(person, "Order Completed", NOW - 9 * DAY, properties=properties)
        fact = Event.objects.latest("pk")
        Conversion.objects.create(key=f"f{fact.pk}", profile=person, fact=fact.pk, name=fact.name, at=fact.occurred_at)
    assert lifts_of(experiment, NOW)[0].treated.converted == 2


def test_people_of_the_universal_holdout_are_in_neither_arm() -> None:
    experiment = make_experiment(goal={}, weights=(1, 1))
    everyone = Experiment.objects.create(key="all", name="All", kind="universal", salt="u", started_at=NOW)
    apart = Arm.objects.create(experiment=everyone, key="control", position=0, weight=0.05, control=True)
    draw(experiment, "control", 10, 1)
    people = draw(experiment, "treated", 10, 3)
    Assignment.objects.create(experiment=everyone, profile=people[0], arm=apart, at=NOW)
    (one,) = lifts_of(experiment, NOW)
    assert (one.treated.people, one.treated.converted, one.control.people) == (9, 2, 10)


def test_reached_counts_ghosts_that_would_have_been() -> None:
    experiment = make_experiment(goal={}, weights=(1, 1))
    held = draw(experiment, "control", 10, 0)
    people = draw(experiment, "treated", 10, 0)
    make_delivery(held[0], journey="back", ghost=True, state="skipped")
    make_delivery(people[0], journey="back")
    make_delivery(people[0], journey="back")
    make_delivery(people[1], journey="other")
    (one,) = lifts_of(experiment, NOW)
    assert (one.control.reached, one.treated.reached) == (1, 1)


@pytest.mark.parametrize(
    ("control", "treated", "goal", "reason"),
    [
        (7, 70, {}, "An arm has fewer than 8 people."),
        (200, 200, {}, "The arms' sizes do not fit"),
        (20, 180, None, "The campaign has no goal"),
        (0, 0, {}, "An arm has fewer than 8 people."),
    ],
)
def test_what_is_not_known_is_not_shown(control: int, treated: int, goal: dict[str, Any] | None, reason: str) -> None:
    experiment = make_experiment(goal=goal)
    draw(experiment, "control", control, 1 if control else 0)
    draw(experiment, "treated", treated, 5 if treated else 0)
    (one,) = lifts_of(experiment, NOW)
    assert one.refusal is not None
    assert one.refusal[0].startswith(reason)
    assert (one.absolute, one.relative, one.sequence, one.revenue) == (None, None, None, None)


@pytest.mark.parametrize("converted", [(0, 0), (20, 180)])
def test_nobody_or_everybody_converting_is_no_error(converted: tuple[int, int]) -> None:
    experiment = make_experiment(goal={})
    draw(experiment, "control", 20, converted[0])
    draw(experiment, "treated", 180, converted[1])
    (one,) = lifts_of(experiment, NOW)
    assert one.absolute is not None
    assert one.absolute.value == 0
    assert (one.absolute.p, one.sequence, one.revenue) == (None, None, None)


def test_an_experiment_with_one_arm_has_no_lift_yet() -> None:
    row = Experiment.objects.create(key="x", name="X", kind="holdout", salt="x", started_at=NOW)
    assert lift("x", NOW) is None
    Arm.objects.create(experiment=row, key="control", position=0, weight=1, control=True)
    assert lift(row, NOW) is None


def test_the_report_of_all_holdouts(django_assert_max_num_queries: Any) -> None:
    experiment = make_experiment(goal={})
    draw(experiment, "control", 100, 2)
    draw(experiment, "treated", 900, 45)
    report = reports.get("holdout-lift")
    with django_assert_max_num_queries(6):
        table = report.run(read_params(report.Params, {}), NOW)
    (row,) = table.rows
    assert (row["journey"], row["treated"], row["held_out"]) == ("back", 900, 100)
    assert (row["treated_share"], row["held_out_share"]) == (0.05, 0.02)
    assert row["lift"] == pytest.approx(0.03)
    assert row["extra_conversions"] == 27.0
    assert row["srm"] == "1"
    assert set(row) == {column.key for column in table.columns}
    assert table.notes[-1] == (
        "holdout-back: a person converts by “Order Completed” within 5 days of being assigned, in both arms alike. These"
        " days are over for everybody. The arms' sizes fit their weights (SRM p = 1). In 10 days it has"
        " drawn 1,000 of 5,000 planned people.",
        "holdout-back：分组后 5 天内发生“Order Completed”即为转化，两组相同。所有人的窗口均已结束。"
        "各组人数与分配比例相符（SRM p = 1）。10 天内已分组 1,000 人，计划 5,000 人。",
    )


def test_a_report_without_experiments_says_so() -> None:
    report = reports.get("holdout-lift")
    everywhere, one = (report.run(read_params(report.Params, raw), NOW) for raw in ({}, {"journey": "none"}))
    assert (everywhere.rows, one.rows) == ([], [])
    assert everywhere.refusals == [
        ("No journey holds anybody out, so there is nothing to compare.", "没有旅程设置对照组，因此无从比较。")
    ]
    assert one.refusals == [
        (
            "There is no journey “none” that holds anybody out, so there is nothing to compare.",
            "没有设置了对照组的旅程“none”，因此无从比较。",
        )
    ]


@pytest.mark.parametrize(
    ("goal", "sizes", "english", "chinese"),
    [
        (
            {"window_days": 1, "filter": {"plan": "pro"}}, (0, 0),
            "holdout-back: a person converts by “Order Completed” of the kind that the goal asks for within 1 day of being"
            " assigned, in both arms alike. These days are over for everybody. Whether the arms' sizes fit their weights"
            " cannot be told yet (no SRM p). In 10 days it has drawn 0 of 5,000 planned people.",
            "holdout-back：分组后 1 天内发生“Order Completed”（符合目标的条件）即为转化，两组相同。所有人的窗口均已结束。"
            "尚无法判断各组人数与分配比例是否相符（无 SRM p）。10 天内已分组 0 人，计划 5,000 人。",
        ),
        (
            {"window_days": 90}, (30, 60),
            "holdout-back: a person converts by “Order Completed” within 90 days of being assigned, in both arms alike."
            " These days are not over yet for 90 people. The arms' sizes do not fit their weights (SRM p = 1.6e-13): find"
            " out why before trusting the lift. In 10 days it has drawn 90 of 5,000 planned people.",
            "holdout-back：分组后 90 天内发生“Order Completed”即为转化，两组相同。还有 90 人的窗口未结束。"
            "各组人数与分配比例不符（SRM p = 1.6e-13）：请先查明原因，再采信提升。10 天内已分组 90 人，计划 5,000 人。",
        ),
        (
            None, (0, 1),
            "holdout-back: there is no goal, so nobody converts. The arms' sizes fit their weights (SRM p = 0.739). In"
            " 10 days it has drawn 1 of 5,000 planned people.",
            "holdout-back：没有目标，因此没有转化。各组人数与分配比例相符（SRM p = 0.739）。10 天内已分组 1 人，计划 5,000 人。",
        ),
    ],
)  # fmt: skip
def test_the_note_reads_well_also_where_something_is_missing(
    goal: dict[str, Any] | None, sizes: tuple[int, int], english: str, chinese: str
) -> None:
    experiment = make_experiment(goal=goal)
    for arm, people in zip(("control", "treated"), sizes, strict=True):
        draw(experiment, arm, people, 0)
    assert [lift_note(one) for one in lifts_of(experiment, NOW)] == [(english, chinese)]


def test_lift_stands_beside_its_campaign_in_the_utm_report() -> None:
    experiment = make_experiment(goal={})
    draw(experiment, "control", 100, 2)
    (mei, *_) = draw(experiment, "treated", 900, 45)
    make_delivery(mei)
    report = reports.get("utm-conversions")
    table = report.run(read_params(report.Params, {"by": "campaign"}), NOW)
    row = table.rows[0]
    assert row["campaign"] == "winback"
    assert row["lift"] == pytest.approx(0.03)
    assert row["lift_interval"][0] < 0.03 < row["lift_interval"][1]
    assert table.notes[-1] == (
        "Lift of winback (holdout-back): 45 of 900 treated and 2 of 100 held out converted within 5 days of being"
        " assigned. The arms' sizes fit their weights (SRM p = 1). In 10 days it has drawn 1,000 of 5,000"
        " planned people.",
        "winback 的提升（holdout-back）：分组后 5 天内，触达组 900 人中 45 人转化，对照组 100 人中 2 人转化。"
        "各组人数与分配比例相符（SRM p = 1）。10 天内已分组 1,000 人，计划 5,000 人。",
    )
    assert [column.key for column in report.run(read_params(report.Params, {"by": "source"}), NOW).columns][-1] == (
        "unsubscribes"
    )


def test_a_person_made_by_the_factory_is_drawn_like_any_other() -> None:
    experiment = make_experiment(goal={}, weights=(1, 1))
    mei = make_profile()
    Assignment.objects.create(experiment=experiment, profile=mei, arm=experiment.arms.get(key="treated"), at=NOW)
    (one,) = lifts_of(experiment, NOW)
    assert (one.treated.people, one.still_open) == (1, 1)


def flow(*waits: str, loop: bool = False) -> dict[str, Any]:
    """Waits one after the other (of "3d", or "until 09:00"), then the end; with `loop` the last leads back too."""
    last = str(len(waits) - 1)
    nodes: dict[str, Any] = {"end": {"type": "exit", "params": {}}}
    for n, span in enumerate(waits):
        params = {"until": span.removeprefix("until ")} if span.startswith("until") else {"for": span}
        nodes[str(n)] = {"type": "wait", "params": params, "next": {"next": str(n + 1) if str(n) != last else "end"}}
    if loop:
        nodes["again"] = {"type": "split", "params": {"arms": [{"key": "a", "weight": 1}, {"key": "b", "weight": 1}]}}
        nodes["again"]["next"] = {"a": "0", "b": "end"}
        nodes[last]["next"] = {"next": "again"}
    return {"trigger": {"type": "fact", "params": {"fact": "Signed Up"}}, "start": "0", "nodes": nodes}


def make_live(number: int, graph: dict[str, Any], at: Any) -> None:
    journey = Journey.objects.get(key="back")
    JourneyVersion.objects.create(journey=journey, number=number, graph=graph, digest=str(number), published_at=at)


@pytest.mark.parametrize(
    ("graph", "days"),
    [
        (flow("7d", "14d"), 21),
        (flow("1d", "until 09:00"), 2),
        (flow("2d", "3d", loop=True), 5),
        (read_recipe("churn-winback")["journey"]["graph"], 21),
        (read_recipe("new-user-gift")["journey"]["graph"], 3),
        ({"start": "gone", "nodes": {"gone": {"type": "no longer installed"}}}, 0),
        ({}, 0),
    ],
)
def test_the_longest_walk_of_a_flow(graph: dict[str, Any], days: int) -> None:
    assert longest_walk(graph) == days * DAY
    if "0" in graph.get("nodes", {}):
        read_graph(graph)


def test_a_walk_may_be_measured_from_a_step_and_at_the_installations_pace(settings: Any) -> None:
    assert longest_walk(flow("7d", "14d"), "1") == 14 * DAY
    settings.DAY_SECONDS = 3600
    assert longest_walk(flow("7d", "14d")) == timedelta(hours=21)


def test_every_step_that_waits_says_how_long() -> None:
    assert [key for key, step in steps.items() if step.waits and type(step).longest is Step.longest] == []


def test_the_last_mail_of_a_long_walk_has_the_goals_whole_window_in_both_arms() -> None:
    experiment = make_experiment(goal={"window_days": 7}, weights=(1, 1))
    make_live(1, read_recipe("churn-winback")["journey"]["graph"], experiment.started_at)
    at = NOW - 10 * DAY
    for arm in ("control", "treated"):
        people = draw(experiment, arm, 10, 0)
        convert(people[0], at + 28 * DAY)
        convert(people[1], at + 28 * DAY + SECOND)
    (one,) = lifts_of(experiment, at + 40 * DAY)
    assert one.window == 28 * DAY
    assert (one.control.converted, one.treated.converted, one.still_open) == (1, 1, 0)
    assert lifts_of(experiment, at + 27 * DAY)[0].still_open == 20


def test_the_longest_version_that_was_live_meanwhile_decides() -> None:
    experiment = make_experiment(goal={"window_days": 5}, weights=(1, 1))
    draw(experiment, "control", 10, 0)
    begun = experiment.started_at
    make_live(1, flow("90d"), begun - 2 * DAY)  # replaced before the experiment
    make_live(2, flow("3d"), begun - DAY)
    make_live(3, flow("10h"), begun + DAY)
    make_live(4, flow("9d"), begun + 3 * DAY)
    make_live(5, flow("80d"), NOW + DAY)
    assert lifts_of(experiment, begun)[0].window == 8 * DAY
    assert lifts_of(experiment, begun + 2 * DAY)[0].window == 8 * DAY
    assert lifts_of(experiment, NOW)[0].window == 14 * DAY
    experiment.ended_at = begun + 2 * DAY
    assert lifts_of(experiment, NOW)[0].window == 8 * DAY
