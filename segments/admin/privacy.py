"""One whole person in the admin: export, erase, merge, and the list of merges with the way back. Four rights."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from common import clock
from common.admin import LargePage, ReadOnly, reason_of, route, show
from segments.erase import erase
from segments.export import note, pieces, write_zip
from segments.holdings import Person, holdings
from segments.merge import TwoKnownPeople, family, merge
from segments.models import Merge, Profile
from segments.people import NobodyFound, find_person
from segments.unmerge import undo

SMALL = 1 << 22  # bytes of a ZIP kept in memory


class MergeForm(forms.Form):
    """Who the person really is, and how one knows."""

    into = forms.CharField(
        label=_("into"),
        max_length=255,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Public id, user id, e-mail address or phone number of the person who stays"),
    )
    reason = forms.CharField(label=_("reason"), max_length=200, widget=UnfoldAdminTextInputWidget())
    force = forms.BooleanField(label=_("even if both have a user id"), required=False, widget=UnfoldBooleanWidget())

    def clean_into(self) -> Profile:
        try:
            return find_person(self.cleaned_data["into"])
        except NobodyFound as error:
            if error.several:
                said = gettext("Several people are known under this name: %(ids)s") % {"ids": error.several}
            else:
                said = gettext("Nobody is known under this name.")
            raise forms.ValidationError(said) from None


class PersonVerbs(LargePage):
    """Views on a person's page that concern the whole person."""

    @route("<int:pk>/export/", "segments.export_profile")
    def export(self, request: HttpRequest, pk: int) -> Any:
        """Everything as a file; that it left the house is in the audit log."""
        profile, now = self.find(request, pk), clock.now()
        note(profile, now=now, actor=request.user)
        name = f"person-{profile.public_id}"
        if request.POST.get("form") == "zip":
            packed: Any = SpooledTemporaryFile(SMALL)  # noqa: SIM115 - the response closes it
            write_zip(profile, packed, now=now)
            packed.seek(0)
            answer: HttpResponseBase = FileResponse(packed, as_attachment=True, filename=f"{name}.zip")
        else:
            texts = (text for text, _n in pieces(profile, now=now))
            answer = StreamingHttpResponse(texts, content_type="application/json")
            answer["Content-Disposition"] = f'attachment; filename="{name}.json"'
        answer["Cache-Control"] = "no-store"
        return answer

    @route("<int:pk>/erase/", "segments.erase_profile", methods=("GET", "POST"))
    def erase(self, request: HttpRequest, pk: int) -> HttpResponse:
        """First what would go; then, if the public id was typed, away with it."""
        profile = self.find(request, pk)
        if request.method == "POST" and request.POST.get("sure", "").strip() == str(profile.public_id):
            done = erase(profile, now=clock.now(), actor=request.user)
            to = reverse("admin:segments_profile_change", args=[pk])
            if done.waiting:
                said = gettext("Messages are on their way to this person. Ask again in a few minutes for the rest.")
                return self.back(request, to, said, level=messages.WARNING)
            return self.back(request, to, gettext("The person is erased."))
        if request.method == "POST":
            messages.error(request, gettext("Type the public id to confirm."))
        ids = Person.of(profile).ids
        counts = [(one.model._meta.verbose_name_plural, one.rows(ids).count()) for one in holdings()]
        rows = sorted((row for row in counts if row[1]), key=lambda row: -row[1])
        return self.page(
            request, "admin/segments/profile/erase.html", gettext("Erase a person"), profile=profile, rows=rows
        )

    @route("<int:pk>/merge/", "segments.merge_profile", methods=("GET", "POST"))
    def merge(self, request: HttpRequest, pk: int) -> HttpResponse:
        """This profile becomes part of another."""
        profile, form = self.find(request, pk), MergeForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            found = form.cleaned_data
            try:
                merge(
                    profile, found["into"], now=clock.now(), actor=str(request.user), reason=found["reason"],
                    force=found["force"],
                )  # fmt: skip
            except TwoKnownPeople:
                form.add_error("force", gettext("Both have a user id: two known people are joined only on purpose."))
            except ValueError:
                form.add_error("into", gettext("Both must be alive and different."))
            else:
                to = reverse("admin:segments_profile_change", args=[found["into"].pk])
                return self.back(request, to, gettext("The two profiles are one person now."))
        return self.page(
            request, "admin/segments/profile/merge.html", gettext("Merge with another profile"), profile=profile,
            form=form,
        )  # fmt: skip


@admin.register(Merge)
class MergeAdmin(ReadOnly, LargePage):
    """Which profiles became one, who said so, and the way back."""

    hint = _("Nobody was merged yet. Visitors merge by themselves when they prove to be known people.")
    list_display = ["at", "gone_person", "into_person", "actor_name", "reason", "the_state"]
    list_filter = [("at", RangeDateFilter)]
    list_select_related = ["gone", "into"]
    search_fields = ["=gone__public_id", "=into__public_id"]
    search_help_text = _("A public id")
    ordering = ["-id"]
    fields = [
        "at", "gone_person", "into_person", "actor_name", "reason", "the_state", "rows_moved", "moved_at", "undone_at",
        "undone_by",
    ]  # fmt: skip
    change_form_outer_before_template = "admin/segments/merge/verbs.html"

    @route("<int:pk>/undo/", "segments.undo_merge", methods=("GET", "POST"))
    def undo(self, request: HttpRequest, pk: int) -> HttpResponse:
        """First what would return; then back with it."""
        row = self.find(request, pk)
        if request.method == "POST":
            why = reason_of(request)
            to = reverse("admin:segments_merge_change", args=[pk])
            if row.undone_at is not None or not why:
                said = gettext("Say why.") if not why else gettext("That was undone already.")
                return self.back(request, to, said, level=messages.ERROR)
            try:
                undo(row.gone, now=clock.now(), actor=str(request.user), reason=why)
            except ValueError:
                return self.back(request, to, gettext("An erased person does not return."), level=messages.ERROR)
            to = reverse("admin:segments_profile_change", args=[row.gone_id])
            return self.back(request, to, gettext("They are two people again."))
        return self.page(request, "admin/segments/merge/undo.html", gettext("Undo a merge"), row=row, rows=_came(row))

    @admin.display(description=_("merged profile"))
    def gone_person(self, row: Merge) -> SafeString | str:
        return show.code(str(row.gone.public_id))

    @admin.display(description=_("into"))
    def into_person(self, row: Merge) -> SafeString | str:
        return show.page_of("segments_profile", row.into_id, row.into)

    @admin.display(description=_("state"))
    def the_state(self, row: Merge) -> SafeString:
        if row.undone_at is not None:
            return show.pill("cancelled", _("undone"))
        return show.pill("done", _("merged")) if row.finished_at else show.pill("running", _("under way"))


def _came(row: Merge) -> list[tuple[str, int]]:
    """How many rows of which kind would return: those of the profile, and of whoever was merged into it before."""
    found, origins = [], family(row.gone_id)
    for one in holdings():
        if any(field.name == "origin" for field in one.model._meta.concrete_fields):
            n = one.model._default_manager.filter(origin__in=origins).count()
            found.append((str(one.model._meta.verbose_name_plural), n))
    return sorted((pair for pair in found if pair[1]), key=lambda pair: -pair[1])
