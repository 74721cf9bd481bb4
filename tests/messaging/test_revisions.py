"""Versions of a template: what changed, shown line by line and word by word, and the way back."""

from __future__ import annotations

import random
import time
from datetime import timedelta

import pytest

from common.models import AuditEntry
from common.params import Invalid
from messaging.models import Block, Template, TemplateSave
from messaging.publish import publish_template
from messaging.revisions import Row, compare, compare_texts
from messaging.saves import KEPT, restore_save, restore_version, saving
from tests.messaging.mails import HTML, draft
from tests.people import NOW

db = pytest.mark.django_db


def changed(before: str, after: str) -> list[tuple[int, int, str, str]]:
    """The rows that changed: numbers on both sides, and the text of each side with its changes in brackets."""

    def shown(pieces: tuple[tuple[bool, str], ...]) -> str:
        return "".join(f"[{text}]" if mark else text for mark, text in pieces)

    return [
        (row.left, row.right, shown(row.before), shown(row.after))
        for row in compare_texts(before, after)
        if row.changed
    ]


def test_words_are_marked_within_a_line() -> None:
    assert changed("Hello big world", "Hello small world") == [(1, 1, "Hello [big] world", "Hello [small] world")]
    assert changed("您好，欢迎加入", "您好，欢迎回来") == [(1, 1, "您好，欢迎[加入]", "您好，欢迎[回来]")]


def test_lines_come_and_go() -> None:
    assert changed("a\nb\nc", "a\nc") == [(2, 0, "[b]", "")]
    assert changed("a\nc", "a\nb\nc") == [(0, 2, "", "[b]")]
    assert changed("", "new") == [(1, 1, "", "[new]")]
    assert changed("quite other words", "(1 + 2) * 3 = 9") == [(1, 1, "[quite other words]", "[(1 + 2) * 3 = 9]")]


def test_unchanged_stretches_are_folded() -> None:
    before = "\n".join(f"line {n}" for n in range(1, 41))
    rows = compare_texts(before, before.replace("line 20\n", "line twenty\n"))
    assert (rows[0], rows[-1]) == (Row(skipped=16), Row(skipped=17))
    assert [row.left for row in rows[1:-1]] == [17, 18, 19, 20, 21, 22, 23]
    assert compare_texts(before, before) == ()


def test_both_sides_can_be_put_together_again(rng: random.Random) -> None:
    for _ in range(200):
        before = "\n".join(rng.choice(["a", "b c", "", "d {{ e }}"]) for _ in range(rng.randint(0, 12)))
        after = "\n".join(rng.choice(["a", "b x", "", "d {{ f }}"]) for _ in range(rng.randint(0, 12)))
        rows = compare_texts(before, after)
        for text, side, number in ((before, "before", "left"), (after, "after", "right")):
            lines = text.split("\n")
            for row in rows:
                if getattr(row, number):
                    assert "".join(piece for _, piece in getattr(row, side)) == lines[getattr(row, number) - 1]
        told = {row.left for row in rows if row.left} if rows else set()
        assert all(lines in told or lines_same(before, after, lines) for lines in range(1, before.count("\n") + 2))


def lines_same(before: str, after: str, number: int) -> bool:
    """A line that is not told has the same words somewhere on the other side."""
    return before.split("\n")[number - 1] in after.split("\n")


@pytest.mark.parametrize("lines", [1_400, 30_000])
def test_hostile_texts_are_compared_in_bounded_time(lines: int, rng: random.Random) -> None:
    few = [str(n) for n in range(30)]
    before, after = ("\n".join(rng.choice(few) for _ in range(lines)) for _ in range(2))
    start = time.perf_counter()
    compare_texts(before, after)
    compare_texts("a " * 32_000, "b " * 32_000)
    assert time.perf_counter() - start < 5


def test_parts_and_languages_are_told_by_name() -> None:
    before = {"en": {"subject": "Hi", "html": "x"}, "fr": {"subject": "Salut"}}
    after = {"en": {"subject": "Hello", "html": "x", "text": "y"}, "zh-Hans": {"subject": "您好"}}
    assert [(one.locale, one.part) for one in compare(before, after)] == [
        ("en", "subject"), ("en", "text"), ("zh-Hans", "subject"), ("fr", "subject"),
    ]  # fmt: skip


@db
def test_an_old_version_becomes_the_draft_again() -> None:
    layout = Block.objects.create(key="frame", name="Frame", kind="layout", content={"en": {"html": "<html><body>{{ content }}</body></html>"}})  # fmt: skip
    inside = HTML.removeprefix("<html><body>").removesuffix("</body></html>")
    template = draft(inside, klass="transactional", layout=layout, sample={"event": {"a": 1}})
    template.save()
    first = publish_template(template, now=NOW)
    template.content, template.layout, template.sample = {"en": {"subject": "Other", "html": HTML}}, None, {}
    template.save()
    second = publish_template(template, now=NOW + timedelta(1))
    restored = restore_version(first, revision=0, now=NOW)
    assert restored.content == first.draft["content"] == {"en": {"subject": "Hello", "html": inside}}
    assert (restored.layout, restored.sample, restored.revision) == (layout, {"event": {"a": 1}}, 1)
    assert list(template.versions.values_list("number", flat=True)) == [2, 1]
    assert publish_template(restored, now=NOW + timedelta(2)).content == first.content
    assert second.draft["content"]["en"]["subject"] == "Other"
    entry = AuditEntry.objects.get(action="template.restored")
    assert entry.detail == {"version": 1}


@db
def test_nobody_restores_over_a_draft_that_was_saved_meanwhile() -> None:
    template = draft(klass="transactional")
    template.save()
    version = publish_template(template, now=NOW)
    Template.objects.filter(pk=template.pk).update(revision=3, content={"en": {"subject": "Theirs"}})
    with pytest.raises(Invalid, match="Somebody saved"):
        restore_version(version, revision=2, now=NOW)
    template.refresh_from_db()
    assert template.content == {"en": {"subject": "Theirs"}}
    version.draft = {}
    with pytest.raises(Invalid, match="before drafts were kept"):
        restore_version(version, revision=3, now=NOW)


def write(template: Template, subject: str, *, minutes: int) -> None:
    """Save the draft with another subject, as the admin does."""
    with saving(template, now=NOW + timedelta(minutes=minutes), by=None):
        template.content = {"en": {"subject": subject, "html": HTML}}
        template.revision += 1
        template.save()


def subjects(template: Template) -> list[tuple[int, str, str]]:
    """Each save, the newest first: its number, what it says, and how it came about."""
    return [(one.revision, one.draft["content"]["en"]["subject"], one.came_by) for one in template.saves.all()]


@db
def test_every_save_is_kept_and_can_be_the_draft_again() -> None:
    template = draft(klass="transactional")
    template.save()
    write(template, "Second", minutes=1)
    write(template, "Third", minutes=2)
    assert subjects(template) == [(2, "Third", ""), (1, "Second", ""), (0, "Hello", "")]
    assert template.saves.get(revision=2).saved_at == NOW + timedelta(minutes=2)
    restored = restore_save(template.saves.get(revision=0), revision=2, now=NOW + timedelta(minutes=3))
    assert (restored.content["en"]["subject"], restored.revision) == ("Hello", 3)
    assert subjects(template)[0] == (3, "Hello", "save 0")
    assert AuditEntry.objects.get(action="template.restored").detail == {"save": 0}
    assert not template.versions.exists()
    with pytest.raises(Invalid, match="Somebody saved"):
        restore_save(template.saves.get(revision=1), revision=2, now=NOW)
    assert subjects(template)[0] == (3, "Hello", "save 0")


@db
def test_what_a_restored_version_replaces_is_kept() -> None:
    template = draft(klass="transactional")
    template.save()
    version = publish_template(template, now=NOW)
    write(template, "Not published", minutes=1)
    restored = restore_version(version, revision=1, now=NOW)
    assert subjects(restored) == [(2, "Hello", "v1"), (1, "Not published", ""), (0, "Hello", "")]


@db
def test_a_save_that_changes_nothing_is_none() -> None:
    template = draft(klass="transactional")
    template.save()
    write(template, "Second", minutes=1)
    write(template, "Second", minutes=2)
    assert [one[:2] for one in subjects(template)] == [(1, "Second"), (0, "Hello")]


@db
def test_saves_are_bounded_and_each_template_has_its_own() -> None:
    template, other = draft(klass="transactional"), draft(klass="transactional")
    other.key = "other"
    template.save()
    other.save()
    write(other, "Theirs", minutes=1)
    for n in range(KEPT + 5):
        write(template, f"No. {n}", minutes=n)
    assert template.saves.count() == KEPT
    assert subjects(template)[-1][:2] == (6, "No. 5")
    assert TemplateSave.objects.filter(template=other).count() == 2
