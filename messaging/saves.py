"""What the draft of a template said at each save: kept so that any of them can be looked at and made the draft again.

Versions are what was sent, and stay; saves are the way there, and the newest of them are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from common.audit import record
from common.params import Invalid, Problem
from messaging.models import Block, Template, TemplateSave, TemplateVersion
from messaging.publish import draft_of

KEPT = 50  # saves of one template; the older ones go


@contextmanager
def saving(template: Template, *, now: datetime, by: Any, came_by: str = "") -> Iterator[None]:
    """Whatever the block makes of a stored template's draft is kept as a save, under the revision that it then has.

    What the draft said before is kept as well when no save says it: a draft may be older than its saves. `came_by`
    says how it came to be when nobody wrote it ("v3", "save 7", "copy"). Wants a transaction that holds the row.
    """
    old = Template.objects.select_related("layout").get(pk=template.pk)
    before = draft_of(old)
    yield
    after = draft_of(template)
    if after == before:
        return
    newest = template.saves.order_by("-revision").first()
    if newest is None or (newest.draft != before and newest.revision < old.revision):
        _keep(template, old.revision, before, now=old.updated_at, by=None)
    _keep(template, template.revision, after, now=now, by=by, came_by=came_by)
    kept = list(template.saves.order_by("-revision").values_list("pk", flat=True)[:KEPT])
    template.saves.exclude(pk__in=kept).delete()


def _keep(
    template: Template, revision: int, draft: Mapping[str, Any], *, now: datetime, by: Any, came_by: str = ""
) -> None:
    who = by if getattr(by, "pk", None) else None
    fields = {"draft": dict(draft), "saved_at": now, "saved_by": who, "came_by": came_by}
    TemplateSave.objects.update_or_create(template=template, revision=revision, defaults=fields)


def restore_version(version: TemplateVersion, *, revision: int, now: datetime, by: Any = None) -> Template:
    """Make what an old version's author had written the draft again. Nothing is published by it.

    `revision` is the one of the draft that was on the screen. Raises Invalid when somebody saved another since, or
    when the version is from before drafts were kept.
    """
    if not version.draft:
        raise Invalid([Problem("", _("This version is from before drafts were kept with versions."))])
    detail = {"version": version.number}
    return _restore(version.template_id, version.draft, f"v{version.number}", detail, revision=revision, now=now, by=by)


def restore_save(save: TemplateSave, *, revision: int, now: datetime, by: Any = None) -> Template:
    """The same with what the draft said at an earlier save."""
    detail = {"save": save.revision}
    return _restore(save.template_id, save.draft, f"save {save.revision}", detail, revision=revision, now=now, by=by)


def _restore(
    pk: int, draft: Mapping[str, Any], came_by: str, detail: dict[str, Any], *, revision: int, now: datetime, by: Any
) -> Template:
    with transaction.atomic():
        template = Template.objects.select_for_update(no_key=True).get(pk=pk)
        if template.revision != revision:
            raise Invalid([Problem("", _("Somebody saved this template meanwhile: look at their draft first."))])
        with saving(template, now=now, by=by, came_by=came_by):
            template.content, template.sample = draft["content"], draft.get("sample", {})
            template.layout = Block.objects.filter(key=draft.get("layout", ""), kind=Block.Kind.LAYOUT).first()
            template.revision += 1
            template.save()
        record("template.restored", f"template:{template.key}", now=now, actor=by, detail=detail)
    return template
