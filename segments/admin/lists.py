"""Lists of people in the admin: who is on one, and the upload of a file with every refused row kept."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter

from common import audit, clock
from common.admin import NoDelete, Page, complain, route, show
from common.params import Invalid, Problem
from segments.admin.members import Belonging
from segments.ingest.limits import Refused
from segments.ingest.rejects import Reject, store_rejects
from segments.lists import NAMES, Refusal, Uploaded, upload
from segments.models import Source
from segments.models.groups import ListMember, StaticList

MEGABYTES = 20
PIECE = 500
ACTIONS = {"add": _("put on the list"), "remove": _("taken off the list"), "replace": _("the whole list from now on")}


@admin.register(StaticList)
class StaticListAdmin(NoDelete, Page):
    """People put together from a file; rules ask for them with “in list”."""

    hint = _(
        "A list holds people by name rather than by rule. Add one, then upload a file with their ids or addresses."
    )
    list_display = ["title", "key", "people", "changed_at"]
    search_fields = ["key", "name", "name_zh"]
    ordering = ["key"]
    fields = ["name", "name_zh", "key", "description"]
    prepopulated_fields = {"key": ["name"]}
    change_form_template = "admin/segments/staticlist/change_form.html"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj else self.prepopulated_fields

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        extra = {**(extra_context or {}), "names": NAMES, "actions": ACTIONS, "megabytes": MEGABYTES}
        return super().change_view(request, object_id, form_url, extra)

    @route("<int:pk>/upload/", "segments.change_staticlist")
    def upload(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take a file row by row; what it refuses is kept among the rejected rows."""
        target, now = self.find(request, pk), clock.now()
        where = reverse("admin:segments_staticlist_change", args=[pk])
        file, action = request.FILES.get("file"), request.POST.get("action", "")
        refused: list[Refusal] = []
        try:
            done = _take(target, file, action, refused, now=now)
        except Invalid as invalid:
            complain(request, invalid.problems)
            return self.back(request, where)
        _keep(target, refused, now=now)
        detail = {"file": str(getattr(file, "name", ""))[:200], **asdict(done)}
        audit.record(f"list.{action}", f"list:{target.key}", now=now, actor=request.user, detail=detail)
        if refused:
            said = gettext("%(n)s rows were refused; each is kept with its reason under Rejected rows.")
            messages.warning(request, said % {"n": len(refused)})
        said = gettext("%(rows)s rows read: %(added)s people put on, %(removed)s taken off, %(known)s as they were.")
        return self.back(request, where, said % asdict(done))

    @admin.display(description=_("name"), ordering="name")
    def title(self, row: StaticList) -> str:
        return row.title

    @admin.display(description=_("people"), ordering="size")
    def people(self, row: StaticList) -> str:
        return f"{row.size:,}"


@admin.register(ListMember)
class ListMemberAdmin(Belonging):
    """Who is on which list."""

    hint = _("Nobody is on a list yet.")
    list_display = ["person", "the_list", "added_at"]
    list_filter = [("list", RelatedDropdownFilter)]
    list_select_related = ["profile", "list"]
    fields = list_display

    @admin.display(description=_("list of people"))
    def the_list(self, row: ListMember) -> SafeString | str:
        return show.page_of("segments_staticlist", row.list_id, row.list.title)


def _take(
    target: StaticList, file: UploadedFile[Any] | None, action: str, refused: list[Refusal], *, now: datetime
) -> Uploaded:
    """Upload the file by way of a temporary one. Raises Invalid for what cannot be read."""
    if file is None or action not in ACTIONS:
        raise Invalid([Problem("", gettext("Choose a file and what to do with it."))])
    if (file.size or 0) > MEGABYTES * 2**20:
        said = gettext("A file of more than %(n)s MB is uploaded by manage.py upload_list.") % {"n": MEGABYTES}
        raise Invalid([Problem("", said)])
    with tempfile.NamedTemporaryFile(suffix=Path(file.name or "").suffix.lower()) as copy:
        for chunk in file.chunks():
            copy.write(chunk)
        copy.flush()
        return upload(target, Path(copy.name), action=action, now=now, refuse=refused.append)  # type: ignore[arg-type]


def _keep(target: StaticList, refused: list[Refusal], *, now: datetime) -> None:
    """Refused rows lie with those of other imports."""
    if not refused:
        return
    defaults = {"name": "Lists", "name_zh": "名单", "kind": Source.Kind.IMPORT}
    source, _made = Source.objects.get_or_create(key="lists", defaults=defaults)
    where = f"list {target.key}"
    rows = [Reject(n, one.row, Refused(one.code, where, one.reason), one.line) for n, one in enumerate(refused)]
    for start in range(0, len(rows), PIECE):
        store_rejects(rows[start : start + PIECE], source=source.pk, now=now)
