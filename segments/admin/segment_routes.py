"""What the page of one segment does and shows: rebuilding with progress, stopping, overlap, who came and went."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext

from common import audit, clock
from common.admin import route
from common.states import ForbiddenMove, move
from segments import overlaps
from segments.admin.builder.problems import prove
from segments.live import how_many_come_in
from segments.models import Segment
from segments.patience import LONG, TooSlow, patient
from segments.refresh import build_anew, cancel_run


class SegmentRoutes:
    """Verbs and fragments of a segment's page; mixed into its admin."""

    find: Any
    back: Any
    page: Any

    @route("<int:pk>/rebuild/", "segments.rebuild_segment")
    def rebuild(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Build the members anew at the next look. It tells nobody unless the box was ticked, and then only once
        the number of those who would come in was shown."""
        segment, now = self.find(request, pk), clock.now()
        fires = request.POST.get("fires") == "yes"
        if fires and not request.user.has_perm("segments.fire_segment"):
            raise PermissionDenied(gettext("To let journeys react is the right of those who may send."))
        if fires and request.POST.get("sure") != "yes":
            rule, _problems = prove(segment.rule, key=segment.key)
            coming = how_many_come_in(segment, rule, now=now) if rule else None
            answer: HttpResponse = self.page(
                request, "admin/segments/segment/rebuild.html", gettext("Rebuild"), segment=segment, coming=coming
            )
            return answer
        build_anew(segment, fire=fires)
        subject = f"segment:{segment.key}"
        audit.record("segment.rebuild", subject, now=now, actor=request.user, detail={"fires": fires})
        return self._home(request, pk, gettext("The segment is built anew at the next look."))

    @route("<int:pk>/cancel/", "segments.rebuild_segment")
    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Stop the build under way. The segment is paused, since it would begin again otherwise."""
        segment, run = self.find(request, pk), overlaps.run_under_way(pk)
        if run is None or not cancel_run(run):
            return self._home(request, pk, gettext("Nothing is being built just now."), level=messages.WARNING)
        audit.record("segment.cancel", f"segment:{segment.key}", now=clock.now(), actor=request.user)
        return self._home(request, pk, gettext("The build was stopped and the segment paused."))

    @route("<int:pk>/state/", "segments.change_segment")
    def state(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Pause, archive or activate."""
        segment, to = self.find(request, pk), request.POST.get("to", "")
        try:
            won = move(Segment.objects.filter(pk=pk), Segment.MOVES, to)
        except ForbiddenMove:
            won = 0
        if not won:
            return self._home(request, pk, gettext("That is not possible in this state."), level=messages.ERROR)
        audit.record(f"segment.{to}", f"segment:{segment.key}", now=clock.now(), actor=request.user)
        return self._home(request, pk, gettext("Done: the segment's state has changed."))

    @route("<int:pk>/progress/", "segments.view_segment", methods=("GET",))
    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How far a build is; the fragment asks again by itself while there is something to wait for."""
        segment = self.find(request, pk)
        context = {"segment": segment, "run": overlaps.run_under_way(pk), "due": is_due(segment)}
        return TemplateResponse(request, "admin/segments/segment/progress.html", context)

    @route("<int:pk>/overlap/", "segments.view_segment", methods=("GET",))
    def overlap(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The segments that share people with this one."""
        segment = self.find(request, pk)
        try:
            with patient(LONG):
                shared = overlaps.overlaps(segment)
        except TooSlow:
            return TemplateResponse(request, "admin/segments/segment/slow.html")
        rows = [{"other": one, **_percents(one)} for one in shared]
        return TemplateResponse(request, "admin/segments/segment/overlap.html", {"rows": rows})

    @route("<int:pk>/moves/", "segments.view_segment", methods=("GET",))
    def moves(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Who entered and who left lately."""
        segment = self.find(request, pk)
        try:
            with patient(LONG):
                entered, left = overlaps.came_and_went(segment, now=clock.now())
        except TooSlow:
            return TemplateResponse(request, "admin/segments/segment/slow.html")
        return TemplateResponse(request, "admin/segments/segment/moves.html", {"entered": entered, "left": left})

    def _home(self, request: HttpRequest, pk: int, said: str, *, level: int = messages.SUCCESS) -> HttpResponse:
        where = reverse("admin:segments_segment_change", args=[pk])
        home: HttpResponse = self.back(request, where, said, level=level)
        return home


def is_due(segment: Segment) -> bool:
    """Whether the members do not answer to the rule yet."""
    return segment.rule_number != segment.built_number


def _percents(one: overlaps.Overlap) -> dict[str, str]:
    return {name: f"{getattr(one, name):.1%}" for name in ("of_this", "of_other", "of_either")}
