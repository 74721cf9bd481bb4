"""A build that was cut off after it had written something: the size tells who is in it, and its readers are not left
behind when the next build finds nothing more to write."""

from __future__ import annotations

from typing import Any

import pytest

from segments.models import Segment, SegmentRun
from segments.refresh import cancel_run, everyone, give_rule, refresh_due, task
from tests.people import NOW, make_fact, make_profile
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)


def did(event: str) -> dict[str, Any]:
    return {"op": "event_count", "params": {"event": event, "count": 1}}


def members(key: str) -> set[int]:
    return set(Segment.objects.get(key=key).memberships.values_list("profile_id", flat=True))


def refresh() -> list[str]:
    settle_log()
    return [report.mode for report in refresh_due(NOW)]


def test_readers_follow_a_build_that_was_cut_off_after_its_last_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    mei, bo = make_profile(email="mei@example.com"), make_profile(email="bo@example.com")
    make_fact(mei, "Viewed", at=NOW)
    make_fact(bo, "Bought", at=NOW)
    inner = Segment.objects.create(key="inner", name="Inner", rule=did("Viewed"))
    Segment.objects.create(key="outer", name="Outer", rule={"op": "in_segment", "params": {"segment": "inner"}})
    assert refresh() == ["build", "build"]
    assert members("outer") == {mei.pk}

    def killed(*_: Any, **__: Any) -> None:
        raise RuntimeError("the lights went out")

    inner.refresh_from_db()
    inner.save(update_fields=give_rule(inner, did("Bought")))
    with monkeypatch.context() as patch:
        patch.setattr(everyone, "arrive", killed)
        assert refresh()[0] == "failed"
    assert members("inner") == {bo.pk}, "the batches were written"
    assert refresh() == ["build", "build"]
    assert members("outer") == {bo.pk}
    assert refresh() == ["changed", "changed"]


def test_the_size_of_a_stopped_build_is_that_of_who_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    people = [make_profile(email=f"{n}@example.com") for n in range(5)]
    monkeypatch.setattr(everyone, "SLICE", 2)
    row = Segment.objects.create(key="all", name="All", rule={"all": []})
    write, calls = task.write, []

    def written(*given: Any, **named: Any) -> Any:
        report = write(*given, **named)
        calls.append(report.entered)
        if len(calls) == 2:
            assert cancel_run(SegmentRun.objects.get(state="running"))
        return report

    monkeypatch.setattr(everyone, "write", written)
    assert refresh() == ["cancelled"]
    row.refresh_from_db()
    assert (row.size, row.memberships.count(), row.state) == (4, 4, "paused")
    run = SegmentRun.objects.get()
    assert (run.state, run.entered, run.progress) == ("cancelled", 4, 80)
    assert len(people) == 5
