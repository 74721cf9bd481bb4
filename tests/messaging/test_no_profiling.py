"""Who refuses profiling (PIPL 24) gets what everybody gets: marketing sees none of their traits."""

from __future__ import annotations

import pytest

from messaging.outbox.parcels import read_parcels
from messaging.wishes import set_no_profiling
from segments.facts import names
from segments.models import Event
from tests.messages import make_readers, make_version, queue_to
from tests.people import NOW

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("klass", "seen"), [("marketing", False), ("lifecycle", True), ("transactional", True)])
def test_marketing_sees_no_traits_of_who_refused(klass: str, seen: bool) -> None:
    refuses, allows = make_readers(2, now=NOW, traits={"favourite": "oolong"})
    set_no_profiling(refuses.pk, True, now=NOW)
    version = make_version(klass=klass, now=NOW)
    first, second = (
        parcel.job.context["profile"] for parcel in read_parcels(queue_to([refuses, allows], version, now=NOW))
    )
    assert ("favourite" in first, second["favourite"]) == (seen, "oolong")
    assert first["first_name"] == "N0"


def test_the_choice_is_a_fact_that_scores_read_and_is_told_once() -> None:
    person = make_readers(1, now=NOW)[0]
    for _ in range(2):
        set_no_profiling(person.pk, True, now=NOW)
    fact = Event.objects.get(name=names.CORRECTED)
    assert (fact.profile_id, fact.properties) == (person.pk, {"traits": ["no_profiling"], "by": "person"})
