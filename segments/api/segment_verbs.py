"""What programs do with segments: look at a rule before it is saved, save one, rebuild, stop, compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils.translation import get_language
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from common import audit
from common.models import ApiKey
from common.params import Invalid, Problem
from common.states import move
from segments.api.base import ApiView
from segments.api.refusals import Conflict, RefusalSerializer
from segments.api.segments import OfSegment, SegmentDetailSerializer, detail
from segments.api.versions import IF_MATCH, IF_NONE_MATCH, check_version
from segments.live import long_look
from segments.models import Segment, SegmentRun
from segments.overlaps import overlaps, run_under_way
from segments.patience import LONG, TooSlow, patient
from segments.refresh import build_anew, cancel_run, give_rule
from segments.refresh.words import why_in_words
from segments.rules.explain import sentence
from segments.rules.order import prove_for_saving, prove_rule
from segments.rules.tree import Rule

KEY_LETTERS = 80
FIRES = "journeys:enrol"


class RuleRequest(serializers.Serializer[Any]):
    rule = serializers.JSONField(help_text="As in docs/operators.md")
    key = serializers.SlugField(max_length=80, required=False, help_text="Of the segment it is for: finds circles")


class SampleSerializer(serializers.Serializer[Any]):
    public_id = serializers.UUIDField()
    why = serializers.ListField(child=serializers.CharField(), help_text="The questions that hold, in words")


class PreviewAnswer(serializers.Serializer[Any]):
    sentence = serializers.CharField(help_text="The rule in words, in the language asked for")
    count = serializers.IntegerField(allow_null=True, help_text="Null when counting takes longer than a few seconds")
    samples = SampleSerializer(many=True)


class SaveRequest(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200)
    name_zh = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")
    rule = serializers.JSONField()
    fire = serializers.BooleanField(
        default=False,
        help_text="Let journeys react to who comes in with the next build; takes the scope journeys:enrol too",
    )


class RebuildRequest(serializers.Serializer[Any]):
    fire = serializers.BooleanField(
        default=False, help_text="Let journeys react to who comes in; takes the scope journeys:enrol too"
    )


class StateRequest(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=Segment.State.values)


class RunSerializer(serializers.Serializer[SegmentRun]):
    mode = serializers.CharField(help_text="changed, full or build")
    state = serializers.CharField(help_text="running, done, failed or cancelled")
    why = serializers.CharField(
        help_text="Why this pass: few or many people may have changed, backlog (many new facts), moves (many change"
        " sides), day (a new local day), rule (built anew); empty for runs before this was kept"
    )
    estimated = serializers.IntegerField(
        allow_null=True,
        help_text="People the choice was made by; facts where why is backlog. Reached, if why isn't few",
    )
    threshold = serializers.IntegerField(allow_null=True, help_text="Above this number everyone is looked at")
    said = serializers.SerializerMethodField(help_text="The choice of the pass in the caller's language")
    progress = serializers.IntegerField(help_text="Per cent")
    candidates = serializers.IntegerField()
    entered = serializers.IntegerField()
    left = serializers.IntegerField()
    size = serializers.IntegerField()
    as_of = serializers.DateTimeField()
    started_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField(
        allow_null=True, help_text="The last sign of life; a run that gives none for ten minutes has failed"
    )
    finished_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField()

    def get_said(self, run: SegmentRun) -> str:
        return why_in_words(run)


class OverlapSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    both = serializers.IntegerField(help_text="People in both")
    of_this = serializers.FloatField(help_text="As a fraction of this segment")
    of_other = serializers.FloatField()
    of_either = serializers.FloatField(help_text="As a fraction of those in one or the other")


class OverlapAnswer(serializers.Serializer[Any]):
    results = OverlapSerializer(many=True, allow_null=True, help_text="Null when it takes longer than a few seconds")


class Preview(ApiView):
    """A rule that is not saved: its sentence, how many people it holds now, ten of them and why."""

    scope = "segments:read"
    serializer_class = RuleRequest

    @extend_schema(
        tags=["segments"], operation_id="rules_preview", summary="Look at a rule", request=RuleRequest,
        responses=PreviewAnswer,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        self.asked()
        given, language = self.body(), get_language() or "en"
        rule = _proven(given["rule"], given.get("key", ""))
        look = long_look(rule, now=self.now, language=language)
        samples = [{"public_id": one.person.public_id, "why": one.why} for one in look.seen]
        count = look.count.people if look.count else None
        return Response(PreviewAnswer({"sentence": sentence(rule, language), "count": count, "samples": samples}).data)


class Save(ApiView):
    """A new segment under that key, or the one there is, changed. A rule that differs is built anew, silently. With
    `If-Match` what somebody else saved meanwhile is not overwritten."""

    scope = "segments:write"
    serializer_class = SaveRequest

    @extend_schema(
        tags=["segments"], operation_id="segments_save", summary="Make or change a segment", request=SaveRequest,
        parameters=[IF_MATCH, IF_NONE_MATCH], responses={200: SegmentDetailSerializer, 412: RefusalSerializer},
    )  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        given = self.body()
        if len(key) > KEY_LETTERS:
            raise Invalid([Problem("key", "A key has at most 80 letters.")])
        _may_fire(request, given["fire"])
        with transaction.atomic():
            _proven(given["rule"], key, prove=prove_for_saving)
            row = _saved(request, key, given)
        audit.record("segment.rule", f"segment:{key}", now=self.now, actor=request.auth, detail={"rule": row.rule})
        return detail(row)


class ChangesSegment(OfSegment):
    """A view that does something to one segment."""

    scope = "segments:write"

    def done(self, action: str, row: Segment, **said: Any) -> Response:
        """Note what was done, and answer with the segment as it is now."""
        audit.record(action, f"segment:{row.key}", now=self.now, actor=self.request.auth, detail=said)
        row.refresh_from_db()
        return detail(row)


class Rebuild(ChangesSegment):
    serializer_class = RebuildRequest

    @extend_schema(
        tags=["segments"], operation_id="segments_rebuild", summary="Build the members anew at the next look",
        request=RebuildRequest, responses=SegmentDetailSerializer,
    )  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        row, fire = self.segment, self.body()["fire"]
        _may_fire(request, fire)
        build_anew(row, fire=fire)
        return self.done("segment.rebuild", row, fires=fire)


class Cancel(ChangesSegment):
    """Stops the build under way and pauses the segment; 409 when nothing is being built."""

    serializer_class = SegmentDetailSerializer

    @extend_schema(
        tags=["segments"], operation_id="segments_cancel", summary="Stop a build", request=None,
        responses=SegmentDetailSerializer,
    )  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        row = self.segment
        run = run_under_way(row.pk)
        if run is None or not cancel_run(run):
            raise Conflict("Nothing is being built just now.", code="not_building")
        return self.done("segment.cancel", row)


class State(ChangesSegment):
    serializer_class = StateRequest

    @extend_schema(
        tags=["segments"], operation_id="segments_state", summary="Pause, archive or activate", request=StateRequest,
        responses=SegmentDetailSerializer,
    )  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        row, to = self.segment, self.body()["state"]
        if not move(Segment.objects.filter(pk=row.pk), Segment.MOVES, to):
            raise Conflict("That is not possible in this state.", code="forbidden_move")
        return self.done(f"segment.{to}", row)


class Runs(OfSegment):
    serializer_class = RunSerializer
    queryset = SegmentRun.objects.none()

    @extend_schema(
        tags=["segments"], operation_id="segments_runs", responses=RunSerializer(many=True),
        summary="Its refreshes, newest first, with the progress of one under way",
    )  # fmt: skip
    def get(self, request: Request, key: str) -> Response:
        self.asked()
        return self.paged(SegmentRun.objects.filter(segment=self.segment))


class Overlaps(OfSegment):
    serializer_class = OverlapAnswer

    @extend_schema(
        tags=["segments"], operation_id="segments_overlap", responses=OverlapAnswer,
        summary="The twenty segments that share most people with it",
    )  # fmt: skip
    def get(self, request: Request, key: str) -> Response:
        self.asked()
        try:
            with patient(LONG):
                found = overlaps(self.segment)
        except TooSlow:
            return Response(OverlapAnswer({"results": None}).data)
        return Response(OverlapAnswer({"results": found}).data)


def _may_fire(request: Request, fire: bool) -> None:
    """Raises PermissionDenied: what makes journeys enrol people takes the scope for that."""
    if fire and not (isinstance(request.auth, ApiKey) and request.auth.allows(FIRES)):
        raise PermissionDenied(f"To let journeys react, a key needs the scope '{FIRES}' too.")


def _proven(raw: Any, key: str, *, prove: Callable[..., Rule] = prove_rule) -> Rule:
    """The rule; raises Invalid with every problem and its place below "rule"."""
    try:
        return prove(raw, key=key)
    except Invalid as error:
        raise Invalid([Problem(f"rule.{one.path}".rstrip("."), one.message) for one in error.problems]) from None


def _saved(request: Request, key: str, given: dict[str, Any]) -> Segment:
    """Made or changed, if it is what the caller takes it for."""
    names = {name: given[name] for name in ("name", "name_zh", "description")}
    fresh = {**names, "rule": given["rule"], "fire_on_build": given["fire"]}
    row, made = Segment.objects.select_for_update(no_key=True).get_or_create(key=key, defaults=fresh)
    check_version(request, None if made else row)
    if made:
        return row
    for name, value in names.items():
        setattr(row, name, value)
    changed = [] if row.rule == given["rule"] else give_rule(row, given["rule"], fire=given["fire"])
    row.save(update_fields=[*names, *changed])
    return row
