"""What a refresh tells, and when it keeps quiet; failures, cancellations and two workers at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from common.clock import database_now
from common.params import Invalid
from segments.models import Event, Membership, Profile, Segment, SegmentRun
from segments.refresh import Refreshed, everyone, give_rule, refresh_due, refresh_segment, task
from segments.rules.order import prove_rule
from tests.people import NOW, make_fact, make_order, make_profile
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


def viewed(days: float | None = 3, count: int = 1) -> dict[str, Any]:
    return {"op": "event_count", "params": {"event": "Viewed", "count": count, "days": days}}


def inside(key: str) -> dict[str, Any]:
    return {"op": "in_segment", "params": {"segment": key}}


def make_segment(key: str, rule: Any, **fields: Any) -> Segment:
    return Segment.objects.create(key=key, name=key.title(), rule=rule, **fields)


def members(key: str) -> set[int]:
    return set(Membership.objects.filter(segment__key=key).values_list("profile_id", flat=True))


def told() -> list[tuple[str, int, str, bool, int]]:
    rows = Event.objects.filter(name__startswith="@segment").order_by("id")
    return [(e.name, e.profile_id, e.properties["segment"], e.live, e.depth) for e in rows]


def refresh(now: Any = NOW) -> list[Refreshed]:
    settle_log()
    return refresh_due(now)


def test_a_first_build_is_silent_and_later_changes_are_facts() -> None:
    mei, bo = make_profile(email="mei@example.com"), make_profile(email="bo@example.com")
    make_fact(mei, "Viewed", at=NOW)
    segment = make_segment("lookers", viewed())
    assert refresh() == [Refreshed("lookers", "build", 2, 1, 0)]
    assert told() == []
    make_fact(bo, "Viewed", at=NOW)
    assert refresh()[0].entered == 1
    assert refresh(NOW + 3 * DAY) == [Refreshed("lookers", "changed", 2, 0, 2)]
    assert told() == [
        ("@segment_entered", bo.pk, "lookers", True, 0),
        ("@segment_left", mei.pk, "lookers", True, 0),
        ("@segment_left", bo.pk, "lookers", True, 0),
    ]
    runs = SegmentRun.objects.order_by("id")
    assert [(r.mode, r.state, r.entered, r.left, r.size) for r in runs] == [
        ("build", "done", 1, 0, 1), ("changed", "done", 1, 0, 2), ("changed", "done", 0, 2, 0),
    ]  # fmt: skip
    key = Event.objects.get(name="@segment_entered").key
    assert key == f"entered:{segment.pk}:{bo.pk}:{runs[1].pk}"
    segment.refresh_from_db()
    assert (segment.size, segment.evaluated_at, segment.last_error) == (0, NOW + 3 * DAY, "")


def test_a_confirmed_build_fires_once() -> None:
    mei = make_profile(email="mei@example.com")
    segment = make_segment("all", {"all": []}, fire_on_build=True)
    refresh()
    assert told() == [("@segment_entered", mei.pk, "all", True, 0)]
    segment.refresh_from_db()
    assert not segment.fire_on_build


def test_a_changed_rule_rebuilds_silently_and_so_do_its_readers() -> None:
    mei, bo = make_profile(email="mei@example.com"), make_profile(email="bo@example.com")
    make_fact(mei, "Viewed", at=NOW)
    inner, _ = make_segment("inner", viewed()), make_segment("outer", {"not": inside("inner")})
    refresh()
    assert (members("inner"), members("outer")) == ({mei.pk}, {bo.pk})
    inner.save(update_fields=give_rule(inner, {"not": viewed()}))
    assert [report.mode for report in refresh()] == ["build", "build"]
    assert (members("inner"), members("outer")) == ({bo.pk}, {mei.pk})
    assert told() == []


def test_nested_segments_follow_in_one_look_and_refuse_circles() -> None:
    mei = make_profile(email="mei@example.com")
    make_segment("c", inside("b"))
    make_segment("b", inside("a"))
    a = make_segment("a", viewed())
    refresh()
    make_fact(mei, "Viewed", at=NOW)
    for _ in range(3):  # one look is enough unless another transaction of the cluster holds the log back
        refresh()
    assert members("c") == {mei.pk}
    assert [row[2] for row in told()] == ["a", "b", "c"]
    with pytest.raises(Invalid, match="circle: a → c → b → a"):
        prove_rule({"all": [viewed(), inside("c")]}, key=a.key)


def test_what_only_history_brought_about_may_not_trigger() -> None:
    mei, bo = make_profile(email="mei@example.com"), make_profile(email="bo@example.com")
    make_segment("lookers", viewed())
    refresh()
    make_fact(mei, "Viewed", at=NOW, live=False)
    make_fact(bo, "Viewed", at=NOW, live=False)
    make_fact(bo, "Viewed", at=NOW)
    refresh()
    assert {(pk, live) for _, pk, _, live, _ in told()} == {(mei.pk, False), (bo.pk, True)}


def test_the_chain_of_facts_is_counted() -> None:
    mei = make_profile(email="mei@example.com")
    make_segment("lookers", viewed())
    refresh()
    make_fact(mei, "Viewed", at=NOW)
    Event.objects.filter(name="Viewed").update(depth=4)
    refresh()
    assert told() == [("@segment_entered", mei.pk, "lookers", True, 4)]


def test_one_failure_stops_nobody_else() -> None:
    mei = make_profile(email="mei@example.com")
    make_segment("broken", {"op": "long_gone", "params": {}})
    make_segment("whole", {"all": []})
    reports = {report.segment: report for report in refresh()}
    assert reports["broken"].mode == "failed"
    assert members("whole") == {mei.pk}
    broken = Segment.objects.get(key="broken")
    assert "unknown operator 'long_gone'" in broken.last_error
    assert broken.runs.get().state == "failed"
    assert "unknown operator" in broken.runs.get().error


def test_of_runs_that_fail_alike_the_last_is_kept() -> None:
    broken = make_segment("broken", {"op": "long_gone", "params": {}})
    refresh()
    first = broken.runs.get()
    refresh(NOW + DAY)
    (last,) = broken.runs.all()
    assert (last.pk > first.pk, last.as_of) == (True, NOW + DAY)
    Segment.objects.update(rule={"op": "never_was", "params": {}})
    refresh(NOW + 2 * DAY)
    errors = broken.runs.order_by("pk").values_list("error", flat=True)
    assert ["long_gone" in errors[0], "never_was" in errors[1], len(errors)] == [True, True, 2]


def test_a_daily_question_is_asked_of_everyone_after_local_midnight(settings: Any) -> None:
    settings.WORKSPACE_ZONE = "Asia/Shanghai"
    mei = make_profile(email="mei@example.com")
    rule = {"op": "trait", "params": {"trait": "registered_at", "op": "last_days", "days": 0}}
    make_segment("fresh", rule)
    refresh()
    assert members("fresh") == {mei.pk}
    late = NOW.replace(hour=15, minute=59)  # 23:59 in Shanghai
    assert refresh(late)[0].mode == "changed"
    assert refresh(late + timedelta(minutes=1)) == [Refreshed("fresh", "full", 1, 0, 1)]
    assert told() == [("@segment_left", mei.pk, "fresh", True, 0)]


def test_a_lost_worker_is_noticed_and_the_build_begun_again() -> None:
    mei = make_profile(email="mei@example.com")
    segment = make_segment("all", {"all": []})
    lost = SegmentRun.objects.create(segment=segment, mode="build", as_of=NOW, started_at=database_now())
    assert refresh()[0].mode == "busy"
    SegmentRun.objects.filter(pk=lost.pk).update(started_at=database_now() - task.LOST - timedelta(seconds=1))
    assert refresh()[0].mode == "build"
    lost.refresh_from_db()
    assert (lost.state, lost.error, members("all")) == ("failed", "the worker stopped", {mei.pk})


def test_a_failure_leaves_the_run_of_another_worker_alone() -> None:
    segment = make_segment("all", {"all": []})
    other = SegmentRun.objects.create(
        segment=segment, mode="build", as_of=NOW, started_at=database_now(), seen_at=database_now()
    )
    Segment.objects.update(rule={"op": "in_segment", "params": {}})
    assert refresh()[0].mode == "failed"
    other.refresh_from_db()
    own = SegmentRun.objects.exclude(pk=other.pk).get()
    assert (other.state, other.error) == ("running", "")
    assert (own.state, own.error) == ("failed", Segment.objects.get().last_error)


def test_the_cost_is_constant_in_statements() -> None:
    people = [make_profile(email=f"p{i}@example.com") for i in range(60)]
    make_segment("buyers", {"op": "order_count", "params": {"count": 1, "days": 30}})
    refresh()
    used = []
    for some in (people[:1], people[1:3], people[3:]):
        for person in some:
            make_order(person, at=NOW)
        settle_log()
        before = len(connection.queries_log)
        connection.force_debug_cursor = True
        refresh_due(NOW)
        connection.force_debug_cursor = False
        used.append(len(connection.queries_log) - before)
    assert members("buyers") == {row.pk for row in people}
    assert used[2] == used[1]


def test_the_old_members_serve_while_the_new_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    mei, bo = make_profile(email="mei@example.com"), make_profile(email="bo@example.com")
    make_fact(mei, "Viewed", at=NOW)
    segment = make_segment("lookers", viewed())
    refresh()
    segment.save(update_fields=give_rule(segment, {"not": viewed()}))
    seen, real = [], everyone._whole_difference

    def look(work: Any) -> Any:
        found = real(work)
        seen.append((members("lookers"), Segment.objects.get().size, SegmentRun.objects.latest("id").state))
        return found

    monkeypatch.setattr(everyone, "_whole_difference", look)
    assert refresh() == [Refreshed("lookers", "build", 2, 1, 1)]
    assert seen == [({mei.pk}, 1, "running")]
    assert members("lookers") == {bo.pk}


def test_a_build_that_fails_leaves_the_old_members_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    mei, bo = make_profile(email="mei@example.com"), make_profile(email="bo@example.com")
    make_fact(mei, "Viewed", at=NOW)
    segment, other = make_segment("lookers", viewed()), make_segment("others", {"not": viewed()})
    refresh()
    segment.save(update_fields=give_rule(segment, {"all": []}))
    real = task.enter

    def enter(row: Segment, ids: Any, **given: Any) -> list[int]:
        if row.key == "lookers":
            raise RuntimeError("the disk is full")
        return real(row, ids, **given)

    monkeypatch.setattr(task, "enter", enter)
    make_fact(bo, "Viewed", at=NOW)
    assert [(report.segment, report.mode) for report in refresh()] == [("lookers", "failed"), ("others", "changed")]
    assert (members("lookers"), members("others")) == ({mei.pk}, set())
    segment.refresh_from_db()
    other.refresh_from_db()
    assert (segment.last_error, other.last_error) == ("RuntimeError: the disk is full", "")
    assert (segment.runs.latest("id").state, segment.built_number) == ("failed", 1)
    monkeypatch.undo()
    assert {report.mode for report in refresh()} == {"build", "changed"}
    segment.refresh_from_db()
    assert (members("lookers"), segment.last_error) == ({mei.pk, bo.pk}, "")


def test_two_builds_at_once_do_no_harm() -> None:
    people = [make_profile(email=f"p{i}@example.com") for i in range(30)]
    segment = make_segment("all", {"all": []}, fire_on_build=True)
    settle_log()
    start, reports = threading.Barrier(3), []

    def look() -> None:
        start.wait(10)
        reports.append(refresh_segment(segment, NOW))
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.entered for report in reports) == 30
    assert {report.mode for report in reports} <= {"build", "busy", "changed", "cancelled"}
    assert Event.objects.filter(name="@segment_entered").count() == 30
    assert members("all") == {row.pk for row in people}
    assert not SegmentRun.objects.filter(state="running").exists()


def test_two_refreshes_at_once_do_no_harm() -> None:
    people = [make_profile(email=f"p{i}@example.com") for i in range(30)]
    segment = make_segment("lookers", viewed())
    refresh()
    for person in people:
        make_fact(person, "Viewed", at=NOW)
    settle_log()
    start, reports = threading.Barrier(4), []

    def look() -> None:
        start.wait(10)
        reports.append(refresh_segment(segment, NOW))
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.entered for report in reports) == 30
    assert Event.objects.filter(name="@segment_entered").count() == 30
    assert members("lookers") == set(Profile.objects.values_list("pk", flat=True))
