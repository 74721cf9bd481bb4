"""Two profiles of one person: walks follow, the older of two goes on, and nothing is lost in the way back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns.engine import advance
from campaigns.enrol import enrol
from campaigns.models import Assignment, Enrolment
from campaigns.triggers import Entry
from segments.merge import merge
from segments.unmerge import undo
from tests.campaigns.flows import DONE, conserved, flow, live, node
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db(transaction=True)
WAIT = {"w": node("wait", for_="10d"), "done": DONE}


def test_a_walk_follows_and_a_double_ends() -> None:
    both, one = live(flow(WAIT), key="both"), live(flow(WAIT), key="one")
    gone, into = make_profile(anonymous_id="a"), make_profile(user_id="u")
    enrol(both, [Entry(gone.pk, "slot:1")], now=NOW)
    enrol(both, [Entry(into.pk, "slot:1")], now=NOW + timedelta(hours=1))
    enrol(one, [Entry(gone.pk, "slot:1")], now=NOW)
    advance(NOW + timedelta(hours=1))
    merge(gone, into, now=NOW + timedelta(hours=2), actor="test", reason="same person")
    walks = Enrolment.objects.filter(profile=into).order_by("pk")
    assert [(walk.journey.key, walk.entry_key, walk.state, walk.reason) for walk in walks] == [
        ("both", f"slot:1~{gone.pk}", "active", ""),
        ("both", "slot:1", "exited", "merged"),
        ("one", "slot:1", "active", ""),
    ]
    assert conserved()
    gone.refresh_from_db()
    undo(gone, now=NOW + timedelta(hours=3), actor="test", reason="no, two people")
    assert Enrolment.objects.filter(profile=gone).count() == 2


def test_the_known_persons_draw_counts() -> None:
    journey = live(flow(WAIT), holdout=0.5)
    gone, into = make_profile(anonymous_id="a"), make_profile(user_id="u")
    enrol(journey, [Entry(gone.pk, "1"), Entry(into.pk, "2")], now=NOW)
    arm = Assignment.objects.get(profile=into).arm
    merge(gone, into, now=NOW, actor="test", reason="same person")
    assert Assignment.objects.get().arm == arm
    assert Assignment.objects.get().profile == into
