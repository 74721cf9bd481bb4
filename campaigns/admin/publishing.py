"""What is done with a whole journey: reviews, publishing with the question about people under way, rolling back, moving
people, and journeys as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import get_language, gettext

from campaigns import bundles, overview, review
from campaigns import publish as verbs
from campaigns import transfer as moving
from campaigns.admin.drawings import plain
from campaigns.audience import estimate
from campaigns.checking import check, share_of
from campaigns.diffing import diff, flow_of
from campaigns.flow import draw
from campaigns.graph import Graph
from campaigns.linting import Unconfirmed, ask_of, find_all
from campaigns.lints import Finding, Severity
from campaigns.mapping import EXIT, STAY, Standing, cautions
from campaigns.models import Journey, JourneyVersion
from common import clock
from common.admin import Page, complain, reason_of, route, show
from common.params import Invalid
from common.states import ForbiddenMove
from segments.models import Segment

TARGET = "to:"  # name of a field that says where people go: to:<version>:<node>


class Publishing(Page):
    """The verbs of a journey's page."""

    @route("<int:pk>/publish/", "campaigns.publish_journey", methods=("GET", "POST"))
    def publish(self, request: HttpRequest, pk: int) -> HttpResponse:
        """First what would happen, then, by POST, publish."""
        journey = self.find(request, pk)
        if request.method == "POST":
            enter = request.POST.get("enter_present") == "yes"
            if enter and not request.user.has_perm("campaigns.enrol_journey"):
                raise PermissionDenied
            work = partial(
                verbs.publish,
                journey,
                now=clock.now(),
                by=request.user,
                enter_present=enter,
                note=reason_of(request),
                confirmed=request.POST.getlist("confirmed"),
                people=_people(request),
            )
            return self._do(request, pk, work, gettext("The journey is live."), again="publish")
        return self.page(
            request,
            "admin/campaigns/journey/publish.html",
            gettext("Publish %(journey)s") % {"journey": journey.title},
            **self._before(request, journey),
        )

    def _before(self, request: HttpRequest, journey: Journey) -> dict[str, Any]:
        """What a person should know before publishing."""
        findings = find_all(journey)
        errors = [one for one in findings if one.severity == Severity.ERROR]
        warnings = [one for one in findings if one.severity == Severity.WARNING]
        graph = None if errors else check(journey)
        present = _present(journey, graph)
        return {
            "journey": journey,
            "original": journey,
            "problems": errors,
            "warnings": warnings,
            "ask": ask_of(warnings),
            "present": present,
            "audience": estimate(graph, now=clock.now()) if graph else None,
            "against": review.objection(journey, graph, by=request.user, now=clock.now()) if graph else "",
            "changes": _changes(journey),
            "drawing": plain(draw(journey.draft, language=get_language() or "en"), findings),
            "holdout": f"{share_of(journey):.0%}",
            "proves": bool(share_of(journey)),
            "may_enrol": request.user.has_perm("campaigns.enrol_journey"),
            "next_number": journey.versions.count() + 1,
            **_standing(journey, graph),
        }

    @route("<int:pk>/roll-back/<int:number>/", "campaigns.publish_journey", methods=("GET", "POST"))
    def roll_back(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """Run an older version again: first what would change and for whom, then, by POST, do it."""
        journey = self.find(request, pk)
        if request.method == "POST":
            work = partial(
                verbs.roll_back, journey, number, now=clock.now(), by=request.user, note=reason_of(request),
                people=_people(request),
            )  # fmt: skip
            return self._do(request, pk, work, gettext("Version %(n)s runs again, as a new version.") % {"n": number})
        version = overview.versions_of(pk).filter(number=number).first()
        if version is None or version.pk == journey.live_version_id:
            return self.back(request, _page_of(pk))
        graph, problems = _read(journey, version.graph)
        live = journey.live_version
        return self.page(
            request,
            "admin/campaigns/journey/roll_back.html",
            gettext("Run version %(n)s of %(journey)s again") % {"n": number, "journey": journey.title},
            journey=journey,
            original=journey,
            version=version,
            problems=problems,
            changes=diff(live.graph, version.graph) if live else [],
            unsaved=bool(live and diff(live.graph, flow_of(journey))),
            **_standing(journey, graph),
        )

    @route("<int:pk>/people/", "campaigns.publish_journey", methods=("GET", "POST"))
    def move_people(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Move people from older versions to the one that runs, or out."""
        journey = self.find(request, pk)
        live = journey.live_version
        if request.method == "POST":
            work = partial(
                verbs.transfer_people, journey, _people(request), now=clock.now(), by=request.user,
                reason=reason_of(request),
            )  # fmt: skip
            return self._do(request, pk, work, gettext("They are on their way; the page shows how far."))
        if live is None:
            return self.back(request, _page_of(pk))
        graph, problems = _read(journey, live.graph)
        return self.page(
            request,
            "admin/campaigns/journey/people.html",
            gettext("People on older versions of %(journey)s") % {"journey": journey.title},
            journey=journey,
            original=journey,
            problems=problems,
            **_standing(journey, graph, but=live.pk),
        )

    @route("<int:pk>/people/stop/", "campaigns.publish_journey")
    def stop_transfer(self, request: HttpRequest, pk: int) -> HttpResponse:
        journey = self.find(request, pk)
        running = journey.transfers.filter(state="running").first()
        if running is None:
            return self.back(request, _page_of(pk))
        work = partial(moving.cancel, running, now=clock.now(), by=request.user, reason=reason_of(request))
        return self._do(request, pk, work, gettext("Stopped: who has been moved stays moved."))

    @route("<int:pk>/ask-review/", "campaigns.change_journey")
    def ask_review(self, request: HttpRequest, pk: int) -> HttpResponse:
        work = partial(review.ask, self.find(request, pk), now=clock.now(), by=request.user, note=reason_of(request))
        return self._do(request, pk, work, gettext("The draft waits for somebody who did not write it."))

    @route("<int:pk>/withdraw-review/", "campaigns.change_journey")
    def withdraw_review(self, request: HttpRequest, pk: int) -> HttpResponse:
        why = reason_of(request)
        work = partial(review.withdraw, self.find(request, pk), now=clock.now(), by=request.user, reason=why)
        return self._do(request, pk, work, gettext("The request was taken back."))

    @route("<int:pk>/approve/", "campaigns.review_journey")
    def approve(self, request: HttpRequest, pk: int) -> HttpResponse:
        why = reason_of(request)
        work = partial(review.approve, self.find(request, pk), now=clock.now(), by=request.user, reason=why)
        return self._do(request, pk, work, gettext("Approved: exactly this draft may be published."))

    @route("<int:pk>/send-back/", "campaigns.review_journey")
    def send_back(self, request: HttpRequest, pk: int) -> HttpResponse:
        why = reason_of(request)
        work = partial(review.send_back, self.find(request, pk), now=clock.now(), by=request.user, reason=why)
        return self._do(request, pk, work, gettext("Sent back to its writers."))

    @route("<int:pk>/pause/", "campaigns.pause_journey")
    def pause(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._move(request, pk, verbs.pause)

    @route("<int:pk>/resume/", "campaigns.resume_journey")
    def resume(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._move(request, pk, verbs.resume)

    @route("<int:pk>/archive/", "campaigns.archive_journey")
    def archive(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._move(request, pk, verbs.archive)

    @route("<int:pk>/versions/<int:number>/", "campaigns.view_journey", methods=("GET",))
    def version(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """A frozen version: what it changed, drawn, and as text."""
        journey = self.find(request, pk)
        version: JourneyVersion | None = overview.versions_of(pk).filter(number=number).first()
        if version is None:
            return self.back(request, _page_of(pk))
        before = overview.versions_of(pk).filter(number__lt=number).first()
        return self.page(
            request,
            "admin/campaigns/journey/version.html",
            gettext("%(journey)s, version %(n)s") % {"journey": journey.title, "n": number},
            journey=journey,
            original=journey,
            version=version,
            before=before,
            changes=diff(before.graph, version.graph) if before else [],
            drawing=plain(draw(version.graph, language=get_language() or "en")),
            text=show.pretty(version.graph),
        )

    @route("<int:pk>/export/", "campaigns.view_journey", methods=("GET",))
    def export(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The draft with all it needs, as a file."""
        journey = self.find(request, pk)
        answer = HttpResponse(bundles.dump(bundles.export(journey)), content_type="application/json; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{journey.key}.json"'
        return answer

    def _move(self, request: HttpRequest, pk: int, verb: Callable[..., Any]) -> HttpResponse:
        work = partial(verb, self.find(request, pk), now=clock.now(), by=request.user, reason=reason_of(request))
        return self._do(request, pk, work, gettext("Done: the journey's state has changed."))

    def _do(
        self, request: HttpRequest, pk: int, work: Callable[[], Any], said: str, *, again: str = "change"
    ) -> HttpResponse:
        """Do it and say so, or say everything that stands against it."""
        where = _page_of(pk)
        try:
            work()
        except Unconfirmed:
            shown = reverse(f"admin:campaigns_journey_{again}", args=[pk])
            text = gettext("The warnings have changed: look at them once more.")
            return self.back(request, shown, text, level=messages.WARNING)
        except Invalid as error:
            complain(request, list(error.problems))
            return self.back(request, where)
        except ForbiddenMove as error:
            return self.back(request, where, str(error), level=messages.ERROR)
        return self.back(request, where, said)


def _page_of(pk: int) -> str:
    return reverse("admin:campaigns_journey_change", args=[pk])


def _people(request: HttpRequest) -> verbs.People:
    """What is to become of people under way, as the form says it."""
    mapping: dict[str, dict[str, str]] = {}
    for name, target in request.POST.items():
        if name.startswith(TARGET) and name.count(":") == 2:
            _to, number, node = name.split(":")
            mapping.setdefault(number, {})[node] = str(target)
    fate = request.POST.get("under_way", "finish")
    return verbs.People(fate, mapping if fate == "move" else {})


def _present(journey: Journey, graph: Graph | None) -> Segment | None:
    """The segment whose members may enter at once, with their number."""
    audience = graph.trigger.audience(graph.trigger_params) if graph else ""
    present = Segment.objects.filter(key=audience).first() if audience else None
    if present:
        present.size = verbs.present_count(journey)
    return present


def _changes(journey: Journey) -> list[Any]:
    live = journey.live_version
    return diff(live.graph, flow_of(journey)) if live else []


def _standing(journey: Journey, graph: Graph | None, *, but: int | None = None) -> dict[str, Any]:
    """People under way, where they would go, and what to know of that."""
    if graph is None:
        return {"standings": [], "nodes": [], "under_way": overview.under_way_by_version(journey.pk)}
    rows = moving.standings(journey, graph, but=but)
    olds = moving.older(journey, but=but)
    plan: dict[str, dict[str, str]] = {}
    for row in rows:
        plan.setdefault(str(row.version), {})[row.node] = row.target
    said: dict[str, list[str]] = {}
    for one in cautions(plan, olds, graph):
        said.setdefault(one.path, []).append(one.message)
    return {
        "standings": [(row, said.get(f"{row.version}.{row.node}", [])) for row in rows],
        "lost": list(_lost(rows)),
        "nodes": list(graph.nodes),
        "stay": STAY,
        "exit": EXIT,
        "under_way": overview.under_way_by_version(journey.pk),
        "running": journey.transfers.filter(state="running").first(),
    }


def _lost(rows: list[Standing]) -> Iterator[Standing]:
    """Those who stand at a step that is no more."""
    yield from (row for row in rows if row.gone)


def _read(journey: Journey, flow: Any) -> tuple[Graph | None, list[Finding]]:
    """An older flow as it would be published now, or everything against it."""
    try:
        return check(journey, flow), []
    except Invalid as error:
        return None, [Finding(Severity.ERROR, str(one)) for one in error.problems]
