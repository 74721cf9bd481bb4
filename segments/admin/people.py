"""The page of one person: who it is, what is known, and everything that happened, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, FieldTextFilter, RangeDateFilter

from common import clock
from common.admin import ReadOnly, route, show
from segments import overview
from segments.admin.privacy import PersonVerbs
from segments.health_reads import explain_health
from segments.models import Profile
from segments.rfm_words import cell_name
from segments.stage_reasons import in_words
from segments.timeline import Moment, strands, timeline


@dataclass(frozen=True)
class Panel:
    """A card on a person's page, given by an upper app: its template and what it shows."""

    title: Any
    template: str
    read: Callable[[Profile, datetime], dict[str, Any]]
    permission: str


PANELS: list[Panel] = []


@admin.register(Profile)
class ProfileAdmin(ReadOnly, PersonVerbs):
    """People. They are known through sources and imports; nobody is typed in by hand."""

    hint = _("Nobody is known yet. Connect a source or import a file of people, and they appear here.")
    list_display = ["who", "email", "stage", "cell", "country", "registered_at", "last_seen_at"]
    list_filter = [
        ("scores__stage", ChoicesDropdownFilter),
        ("country", FieldTextFilter),
        ("registered_at", RangeDateFilter),
        ("last_seen_at", RangeDateFilter),
    ]
    list_select_related = ["scores"]
    search_fields = ["=identities__value", "=email", "=public_id"]
    search_help_text = _("An exact e-mail address, user id, phone number or public id")
    ordering = ["-id"]
    list_display_links = ["who"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(merged_into=None)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """An exact look-up by index, never a scan over names."""
        term = search_term.strip()
        if not term:
            return queryset, False
        found = Profile.objects.filter(identities__value=term).values_list("pk", flat=True)
        ids = {*found[:50], *Profile.objects.filter(email=term).values_list("pk", flat=True)[:50]}
        ids |= set(_by_public_id(term))
        return queryset.filter(pk__in=ids), False

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The person's page instead of a form."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        profile = self.get_object(request, object_id)
        if profile is None:
            raise Http404
        now = clock.now()
        moments, older = timeline(profile.pk, until=now)
        scores = overview.scores_of(profile.pk)
        return self.page(
            request,
            "admin/segments/profile/page.html",
            str(profile),
            original=profile,
            profile=profile,
            traits=show.listed(profile.traits),
            identities=profile.identities.order_by("kind", "value"),
            scores=scores,
            stage_reason=in_words(overview.stage_reason(profile.pk, scores.stage)) if scores else "",
            memberships=overview.memberships_of(profile.pk),
            wallet=getattr(profile, "wallet", None),
            panels=_panels(request, profile, now),
            cell=cell_name(scores.cell) if scores else "",
            octant=cell_name(scores.octant) if scores else "",
            health=explain_health(profile.pk, get_language() or "en"),
            spent=show.money(scores.spent_ever) if scores else "–",
            moments=[_shown(moment) for moment in moments],
            older=older.isoformat() if older else "",
            strands=list(strands.items()),
            only="",
        )

    @route("<int:pk>/timeline/", "segments.view_profile", methods=("GET",))
    def timeline(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A further page of the timeline, as a fragment."""
        profile = self.find(request, pk)
        until = _instant(request.GET.get("until", "")) or clock.now()
        only = request.GET.get("only", "")
        moments, older = timeline(profile.pk, until=until, only=only if only in strands else "")
        return TemplateResponse(
            request,
            "admin/segments/profile/moments.html",
            {
                "profile": profile,
                "moments": [_shown(moment) for moment in moments],
                "older": older.isoformat() if older else "",
                "only": only,
            },
        )

    @admin.display(description=_("person"))
    def who(self, profile: Profile) -> str:
        return str(profile)

    @admin.display(description=_("stage"))
    def stage(self, profile: Profile) -> SafeString | str:
        scores = getattr(profile, "scores", None)
        return show.state_of(scores, "stage") if scores else "–"

    @admin.display(description=_("RFM cell"))
    def cell(self, profile: Profile) -> str:
        scores = getattr(profile, "scores", None)
        return cell_name(scores.cell) or "–" if scores else "–"


def _shown(moment: Moment) -> dict[str, Any]:
    """A moment with its link and pill, ready for the page."""
    label, key = moment.to
    return {
        **{name: getattr(moment, name) for name in ("at", "kind", "icon", "title", "why")},
        "url": reverse(f"admin:{label}_change", args=[key]) if label else "",
        "pill": show.pill(moment.state, moment.state_text or moment.state) if moment.state_text else "",
    }


def _panels(request: HttpRequest, profile: Profile, now: datetime) -> Sequence[dict[str, Any]]:
    return [
        {"title": panel.title, "template": panel.template, "data": panel.read(profile, now)}
        for panel in PANELS
        if request.user.has_perm(panel.permission)
    ]


def _instant(text: str) -> datetime | None:
    """The instant in UTC; None when the text is none, or lies beyond the calendar once its zone is taken off."""
    try:
        found = parse_datetime(text.replace(" ", "+"))
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _by_public_id(term: str) -> list[int]:
    try:
        public_id = UUID(term)
    except ValueError:
        return []
    return list(Profile.objects.filter(public_id=public_id).values_list("pk", flat=True))
