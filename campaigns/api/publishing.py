"""The life of a journey for programs: text in and out, checks and differences, drafts, reviews, versions, people."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.utils.translation import get_language
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import bundles, review
from campaigns import publish as verbs
from campaigns import transfer as moving
from campaigns.api.journey_forms import (
    CheckAnswer,
    DiffAnswer,
    DiffQuery,
    DraftRequest,
    ExportQuery,
    FindingsAnswer,
    InstallAnswer,
    InstallRequest,
    PeopleRequest,
    PublishRequest,
    ReasonRequest,
    RollBackRequest,
    TextRequest,
    TransferSerializer,
    VersionSerializer,
)
from campaigns.api.journeys import JourneySerializer, OfJourney
from campaigns.audience import estimate
from campaigns.checking import check
from campaigns.diffing import diff, flow_of
from campaigns.install import install, try_out
from campaigns.linting import Unconfirmed, ask_of, find_all
from campaigns.lints import Finding, Severity
from campaigns.models import Journey, Transfer
from common.params import Invalid
from common.states import ForbiddenMove
from segments.api.base import ApiView
from segments.api.refusals import Conflict

View = TypeVar("View", bound=Callable[..., Response])
MOST = 100  # problems told at once


def doc(name: str, summary: str, **more: Any) -> Callable[[View], View]:
    """What OpenAPI says of a view; without more it answers with the journey."""
    said = {"responses": JourneySerializer, **more}
    mark: Callable[[View], View] = extend_schema(tags=["journeys"], operation_id=name, summary=summary, **said)
    return mark


class CheckText(ApiView):
    """What installing a text would make, and everything that is wrong with it; nothing is stored."""

    scope = "journeys:read"
    serializer_class = TextRequest

    @doc("journeys_check", "Check a journey as text", responses=CheckAnswer)
    def post(self, request: Request) -> Response:
        self.asked()
        said = self.body()
        items, findings = _told(partial(try_out, said["text"], now=self.now, answers=said["answers"]))
        return Response(CheckAnswer({"items": items, "findings": findings}).data)


class InstallText(ApiView):
    """Make what is missing, as drafts; safe to repeat."""

    scope = "journeys:write"
    serializer_class = InstallRequest

    @doc("journeys_install", "Install a journey as text", responses=InstallAnswer)
    def post(self, request: Request) -> Response:
        self.asked()
        said = self.body()
        work = partial(
            install, said["text"], now=self.now, by=request.auth, answers=said["answers"], update=said["replace"]
        )
        report = _told(work)
        made = [{"kind": kind, "key": key, "there": False} for kind, key in report.made]
        return Response(InstallAnswer({"made": made, "replaced": report.changed}).data)


class Findings(OfJourney):
    serializer_class = FindingsAnswer

    @doc("journeys_findings", "What stands against the draft")
    def get(self, request: Request, key: str) -> Response:
        self.asked()
        journey = self.journey
        findings = find_all(journey)
        warnings = [one for one in findings if one.severity == Severity.WARNING]
        people = None if _has_errors(findings) else estimate(check(journey), now=self.now)
        answer = {"findings": findings, "confirm": ask_of(warnings), "audience": people}
        return Response(FindingsAnswer(answer).data)


class Export(OfJourney):
    query = ExportQuery

    @doc("journeys_export", "A journey as text", parameters=[ExportQuery], responses={200: dict[str, Any]})
    def get(self, request: Request, key: str) -> Response:
        asked = self.asked()
        try:
            return Response(bundles.export(self.journey, number=asked.get("version"), words=asked["words"]))
        except KeyError:
            raise NotFound("There is no such version.") from None


class Diff(OfJourney):
    serializer_class = DiffAnswer
    query = DiffQuery

    @doc("journeys_diff", "What differs, in sentences", parameters=[DiffQuery])
    def get(self, request: Request, key: str) -> Response:
        asked, journey = self.asked(), self.journey
        live = journey.live_version.number if journey.live_version else None
        old = asked.get("old", live)
        if old is None:
            raise NotFound("There is no version yet.")
        try:
            changes = diff(flow_of(journey, old), flow_of(journey, asked.get("new")))
        except KeyError:
            raise NotFound("There is no such version.") from None
        rows = [{"kind": one.kind, "node": one.node, "text": one.say(get_language() or "en")} for one in changes]
        return Response(DiffAnswer({"changes": rows}).data)


class Versions(OfJourney):
    serializer_class = VersionSerializer

    @doc("journeys_versions", "All versions", responses=VersionSerializer(many=True))
    def get(self, request: Request, key: str) -> Response:
        self.asked()
        return self.paged(self.journey.versions.select_related("published_by"))


class Transfers(OfJourney):
    serializer_class = TransferSerializer

    @doc("journeys_transfers", "People being moved between versions", responses=TransferSerializer(many=True))
    def get(self, request: Request, key: str) -> Response:
        self.asked()
        return self.paged(self.journey.transfers.select_related("version"))


class Doing(OfJourney):
    """A verb of a journey: it answers with the journey as it is then."""

    def moved(self, request: Request, verb: Callable[..., Any]) -> Response:
        self.asked()
        why, journey = self.body()["reason"], self.journey
        return self.did(journey, partial(verb, journey, now=self.now, by=request.auth, reason=why))

    def did(self, journey: Journey, work: Callable[[], Any]) -> Response:
        _told(work)
        journey.refresh_from_db()
        return Response(JourneySerializer(journey).data)


class SaveDraft(Doing):
    """Another draft; what is wrong with it is told at `findings`. A review of the one before is withdrawn."""

    scope = "journeys:write"
    serializer_class = DraftRequest

    @doc("journeys_draft", "Store a draft")
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        graph, journey = self.body()["graph"], self.journey
        return self.did(journey, partial(review.save_draft, journey, graph, now=self.now, by=request.auth))


class AskReview(Doing):
    scope = "journeys:write"
    serializer_class = ReasonRequest

    @doc("journeys_review", "Ask for a review")
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        note, journey = self.body()["reason"], self.journey
        return self.did(journey, partial(review.ask, journey, now=self.now, by=request.auth, note=note))


class WithdrawReview(Doing):
    scope = "journeys:write"
    serializer_class = ReasonRequest

    @doc("journeys_withdraw", "Take the request back")
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        why, journey = self.body()["reason"], self.journey
        return self.did(journey, partial(review.withdraw, journey, now=self.now, by=request.auth, reason=why))


class Approve(Doing):
    scope = "journeys:publish"
    serializer_class = ReasonRequest

    @doc("journeys_approve", "Approve the draft")
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        why, journey = self.body()["reason"], self.journey
        return self.did(journey, partial(review.approve, journey, now=self.now, by=request.auth, reason=why))


class SendBack(Doing):
    scope = "journeys:publish"
    serializer_class = ReasonRequest

    @doc("journeys_send_back", "Send the draft back")
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        why, journey = self.body()["reason"], self.journey
        return self.did(journey, partial(review.send_back, journey, now=self.now, by=request.auth, reason=why))


class Publish(Doing):
    scope = "journeys:publish"
    serializer_class = PublishRequest

    @doc("journeys_publish", "Publish the draft")
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        said, journey = self.body(), self.journey
        key_of: Any = request.auth
        if said["enter_present"] and not key_of.allows("journeys:enrol"):
            self.permission_denied(request)
        work = partial(
            verbs.publish, journey, now=self.now, by=request.auth, enter_present=said["enter_present"],
            note=said["reason"], confirmed=said["confirmed"], people=_people(said),
        )  # fmt: skip
        return self.did(journey, work)


class RollBack(Doing):
    scope = "journeys:publish"
    serializer_class = RollBackRequest

    @doc("journeys_roll_back", "Run a version again")
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        said, journey = self.body(), self.journey
        work = partial(
            verbs.roll_back, journey, said["version"], now=self.now, by=request.auth, note=said["reason"],
            people=_people(said),
        )  # fmt: skip
        return self.did(journey, work)


class MovePeople(Doing):
    scope = "journeys:publish"
    serializer_class = PeopleRequest

    @doc("journeys_people", "Move people to what runs")
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        said, journey = self.body(), self.journey
        work = partial(
            verbs.transfer_people, journey, _people(said), now=self.now, by=request.auth, reason=said["reason"]
        )
        return self.did(journey, work)


class StopPeople(Doing):
    scope = "journeys:publish"
    serializer_class = ReasonRequest

    @doc("journeys_people_stop", "Stop moving people")
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        why, journey = self.body()["reason"], self.journey
        running = journey.transfers.filter(state=Transfer.State.RUNNING).first()
        if running is None:
            raise Conflict("nobody is being moved", code="not_running")
        return self.did(journey, partial(moving.cancel, running, now=self.now, by=request.auth, reason=why))


class Pause(Doing):
    """Nobody enters or moves until it is resumed."""

    scope = "journeys:publish"
    serializer_class = ReasonRequest

    @doc("journeys_pause", "Pause")
    def post(self, request: Request, key: str) -> Response:
        return self.moved(request, verbs.pause)


class Resume(Doing):
    scope = "journeys:publish"
    serializer_class = ReasonRequest

    @doc("journeys_resume", "Resume")
    def post(self, request: Request, key: str) -> Response:
        return self.moved(request, verbs.resume)


class Archive(Doing):
    """For good; everybody under way leaves."""

    scope = "journeys:publish"
    serializer_class = ReasonRequest

    @doc("journeys_archive", "Archive")
    def post(self, request: Request, key: str) -> Response:
        return self.moved(request, verbs.archive)


def _people(said: dict[str, Any]) -> verbs.People:
    return verbs.People(said["under_way"], said["mapping"] if said["under_way"] == "move" else {})


def _has_errors(findings: list[Finding]) -> bool:
    return any(one.severity == Severity.ERROR for one in findings)


def _told(work: Callable[[], Any]) -> Any:
    """Do it, or answer what stands against it: 409 for states, people and warnings, 400 for what is wrong, by place."""
    try:
        return work()
    except Unconfirmed as error:
        raise Conflict("; ".join(map(str, error.problems[:MOST])), code="unconfirmed") from None
    except Invalid as error:
        told: dict[str, list[str]] = {}
        for problem in error.problems[:MOST]:
            told.setdefault(problem.path or "non_field_errors", []).append(problem.message)
        raise ValidationError(told) from None
    except ForbiddenMove as error:
        raise Conflict(str(error), code="forbidden_move") from None
