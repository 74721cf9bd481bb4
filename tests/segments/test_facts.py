"""The fact log: once each, with its lifetime rows, read in order and never past an open transaction."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from common.models import Instance, Parked
from segments.facts.append import append_engine_facts, append_facts
from segments.facts.fact import Fact, NewFact
from segments.facts.position import ensure_cluster, horizon
from segments.facts.read import process_shard, read_facts, start_reader
from segments.models import Cursor, Event, EventStats, Profile, Source
from tests.segments.refresh.settled import settle_log

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


def someone(shard: int = 3) -> Profile:
    return Profile.objects.create(shard=shard, bucket=1, first_seen_at=NOW, last_seen_at=NOW)


def a_source() -> Source:
    return Source.objects.get_or_create(key="web", defaults={"name": "Web", "kind": "http"})[0]


def a_fact(person: Profile, key: str, *, name: str = "Viewed", at: datetime = NOW, value: int | None = None) -> NewFact:
    return NewFact(person.pk, person.shard, name, at, key, a_source().pk, value=value, properties={"键": key})


def append(*facts: NewFact) -> list[int]:
    with transaction.atomic():
        return append_facts(facts, now=NOW)


def read_all(reader: str = "test", shard: int = 3, limit: int = 500, *, final: bool = True) -> list[Fact]:
    """All that a reader gets; `final` waits first until nobody on the server holds the log back."""
    if final:
        settle_log()
    seen: list[Fact] = []
    while process_shard(reader, shard, seen.extend, now=NOW, limit=limit):
        pass
    return seen


def test_a_replayed_key_changes_nothing() -> None:
    mei = someone()
    assert append(a_fact(mei, "a", value=500), a_fact(mei, "b"), a_fact(mei, "a")) == [0, 1]
    assert append(a_fact(mei, "b"), a_fact(mei, "c")) == [1]
    assert list(Event.objects.order_by("id").values_list("key", flat=True)) == ["a", "b", "c"]
    stats = EventStats.objects.get(profile=mei, name="Viewed")
    assert (stats.count, stats.amount) == (3, 500)
    assert Event.objects.get(key="a").properties == {"键": "a"}


def test_the_lifetime_row_keeps_first_last_and_sum_whatever_the_order() -> None:
    mei = someone()
    append(a_fact(mei, "late", at=NOW, value=None))
    append(a_fact(mei, "early", at=NOW - timedelta(days=9), value=250), a_fact(mei, "mid", at=NOW - timedelta(days=1)))
    stats = EventStats.objects.get(profile=mei, name="Viewed")
    assert (stats.first_at, stats.last_at, stats.count, stats.amount) == (NOW - timedelta(days=9), NOW, 3, 250)


def test_the_engines_own_facts_leave_no_lifetime_row() -> None:
    mei = someone()
    with transaction.atomic():
        append_engine_facts([(mei.pk, mei.shard, "@stage_changed", "k", {"after": "mature"})], now=NOW)
    assert not EventStats.objects.exists()
    assert Event.objects.get().kind == "system"


def test_a_cursor_reads_each_fact_once_and_in_order() -> None:
    mei, bo = someone(3), someone(4)
    append(*[a_fact(mei, f"m{i}") for i in range(7)], a_fact(bo, "other shard"))
    seen = [fact.properties["键"] for fact in read_all(limit=3)]
    assert seen == [f"m{i}" for i in range(7)]
    assert read_all() == []
    append(a_fact(mei, "new"))
    assert [fact.properties["键"] for fact in read_all()] == ["new"]


def test_names_skip_the_rest_for_good() -> None:
    mei = someone()
    append(a_fact(mei, "a"), a_fact(mei, "b", name="Bought"), a_fact(mei, "c"))
    settle_log()
    seen: list[Fact] = []
    process_shard("buyers", 3, seen.extend, now=NOW, names={"Bought"})
    assert [fact.name for fact in seen] == ["Bought"]
    assert process_shard("buyers", 3, seen.extend, now=NOW, names={"Bought", "Viewed"}) == 0


def test_a_star_stands_for_any_fact_of_a_sender() -> None:
    mei = someone(3)
    append(a_fact(mei, "a"), a_fact(mei, "b", name="Bought"))
    with transaction.atomic():
        append_engine_facts([(mei.pk, 3, name, name, {}) for name in ("@merged", "@stage_changed")], now=NOW)
    settle_log()
    seen: list[Fact] = []
    process_shard("acts", 3, seen.extend, now=NOW, names={"*", "@merged"})
    assert [fact.name for fact in seen] == ["Viewed", "Bought", "@merged"]


def test_a_reader_that_starts_now_sees_only_what_follows() -> None:
    mei = someone()
    append(a_fact(mei, "before"))
    settle_log()
    start_reader("late", 3, now=NOW)
    append(a_fact(mei, "after"))
    assert [fact.properties["键"] for fact in read_all("late")] == ["after"]


def test_a_fact_that_raises_is_parked_after_three_tries_and_the_rest_goes_on() -> None:
    mei = someone()
    append(a_fact(mei, "good"), a_fact(mei, "bad"), a_fact(mei, "fine"))
    done: list[str] = []

    def handle(facts: list[Fact]) -> None:
        for fact in facts:
            if fact.properties["键"] == "bad":
                raise ValueError("cannot be read")
        done.extend(fact.properties["键"] for fact in facts)

    settle_log()
    assert process_shard("fussy", 3, handle, now=NOW) == 1
    assert done == ["good"]
    assert process_shard("fussy", 3, handle, now=NOW) == 0
    assert process_shard("fussy", 3, handle, now=NOW) == 2
    assert done == ["good", "fine"]
    parked = Parked.objects.get()
    assert (parked.reader, parked.tries, parked.reason) == ("fussy", 3, "ValueError: cannot be read")


def test_work_that_fails_leaves_the_cursor_where_it_was() -> None:
    mei = someone()
    append(a_fact(mei, "a"))

    def read_and_fail() -> None:
        with transaction.atomic():
            page = read_facts("shy", 3)
            assert page is not None
            assert len(page.rows) == 1
            raise RuntimeError

    settle_log()
    with pytest.raises(RuntimeError):
        read_and_fail()
    assert [fact.properties["键"] for fact in read_all("shy")] == ["a"]


@pytest.mark.postgres
def test_an_overlapping_writer_hides_nothing() -> None:
    """The writer that began first and commits last is read last, and is read; a rollback leaves no hole."""
    mei, bo = someone(), someone()
    a_source()
    begun, finish = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                append_facts([a_fact(bo, "slow")], now=NOW)
                begun.set()
                finish.wait(10)
        finally:
            connection.close()

    writer = threading.Thread(target=slow)
    writer.start()
    begun.wait(10)
    append(a_fact(mei, "quick"))

    def undo() -> None:
        with transaction.atomic():
            append_facts([a_fact(mei, "undone")], now=NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        undo()
    assert read_all(final=False) == []  # "quick" is committed, but an older transaction is still open
    finish.set()
    writer.join(10)
    assert sorted(fact.properties["键"] for fact in read_all()) == ["quick", "slow"]
    assert read_all() == []


@pytest.mark.postgres
def test_many_writers_and_a_reader_at_once() -> None:
    people = [someone() for _ in range(6)]
    a_source()
    seen: list[int] = []
    stop = threading.Event()

    def write(number: int) -> None:
        for index in range(40):
            try:
                with transaction.atomic():
                    append_facts([a_fact(people[number], f"{number}.{index}.{part}") for part in range(3)], now=NOW)
                    if index % 7 == number % 7:
                        raise RuntimeError
            except RuntimeError:
                pass
        connection.close()

    def read() -> None:
        while not stop.is_set():
            process_shard("test", 3, lambda facts: seen.extend(fact.id for fact in facts), now=NOW, limit=50)
        connection.close()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    reader = threading.Thread(target=read)
    for thread in [*writers, reader]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    seen.extend(fact.id for fact in read_all())
    assert sorted(seen) == sorted(Event.objects.values_list("id", flat=True))


@pytest.mark.postgres
def test_after_a_restore_into_another_cluster_new_facts_still_follow_the_old() -> None:
    """A restore brings back rows whose transaction ids lie far above those the new cluster hands out."""
    mei = someone()
    append(a_fact(mei, "old"))
    ahead = 5_000_000_000
    Event.objects.update(tx=ahead)
    Instance.objects.update(cluster="another", tx_offset=0)
    Cursor.objects.create(reader="test", shard=3, tx=ahead, position=Event.objects.get().pk)
    connection.close()
    append(a_fact(mei, "new"))
    assert Event.objects.get(key="new").tx > ahead
    settle_log()
    assert horizon().tx >= Event.objects.get(key="new").tx
    assert [fact.properties["键"] for fact in read_all()] == ["new"]
    before = Instance.objects.get().tx_offset
    with transaction.atomic():
        ensure_cluster()
    assert Instance.objects.get().tx_offset == before


def test_lifetime_rows_of_one_statement_add_up_whoever_and_whatever_they_are_of() -> None:
    """Two people, two names, money and none, twice over: both databases count alike, in one batch or in several."""
    mei, bo = someone(), someone()
    day = timedelta(days=1)
    facts = [
        a_fact(mei, "1", at=NOW, value=5),
        a_fact(mei, "2", at=NOW - 2 * day),
        a_fact(mei, "3", name="Bought", at=NOW - day, value=-7),
        a_fact(bo, "4", at=NOW - 3 * day),
        a_fact(mei, "1", at=NOW - 9 * day, value=100),
    ]
    assert append(*facts) == [0, 1, 2, 3]
    assert append(*facts, a_fact(bo, "5", at=NOW, value=1), a_fact(mei, "6", name="Bought")) == [5, 6]
    rows = EventStats.objects.order_by("profile", "name").values_list(
        "profile", "name", "first_at", "last_at", "count", "amount"
    )
    assert list(rows) == [
        (mei.pk, "Bought", NOW - day, NOW, 2, -7),
        (mei.pk, "Viewed", NOW - 2 * day, NOW, 2, 5),
        (bo.pk, "Viewed", NOW - 3 * day, NOW, 2, 1),
    ]
    many = [a_fact((mei, bo)[i % 2], f"m{i}", name="Many", value=i) for i in range(1_203)]
    assert append(*many) == list(range(1_203))
    assert list(EventStats.objects.filter(name="Many").order_by("profile").values_list("count", "amount")) == [
        (602, sum(range(0, 1_203, 2))),
        (601, sum(range(1, 1_203, 2))),
    ]


def test_texts_of_every_kind_arrive_as_they_were_said() -> None:
    """Facts travel as joined text: nothing that separates or escapes there may be taken for it."""
    mei = someone()
    said = ['a"b', "\\", '\\"', "{1,2}", "NULL", "", " x ", "中文,é", "it's %s", '","', "a\nb\tc", "\\N"]
    append(
        *[
            NewFact(mei.pk, 3, f"n{text}", NOW, f"k{text}", a_source().pk, properties={text: [text, None, 1.5, True]})
            for text in said
        ]
    )
    found = Event.objects.order_by("id").values_list("key", "name", "properties")
    assert list(found) == [(f"k{text}", f"n{text}", {text: [text, None, 1.5, True]}) for text in said]
