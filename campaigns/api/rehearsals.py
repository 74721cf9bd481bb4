"""Back-tests for programs: ask for one, see how far it is, stop it, read what came of it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as Wrong
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.api.journeys import OfJourney
from campaigns.models import Rehearsal
from campaigns.rehearsal import run
from campaigns.rehearsal.trial import MOST_ASSUMED, MOST_DAYS, DryRunFailed, dry_run
from common.params import Invalid
from segments.api.refusals import Conflict
from segments.people import NobodyFound, find_person


class RehearsalSerializer(serializers.Serializer[Rehearsal]):
    id = serializers.IntegerField()
    state = serializers.CharField(help_text="queued, running, done, failed or cancelled")
    progress = serializers.FloatField(help_text="From 0 to 1")
    days = serializers.IntegerField()
    people = serializers.IntegerField()
    step_minutes = serializers.IntegerField()
    enter_present = serializers.BooleanField()
    until = serializers.DateTimeField()
    asked_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField()


class RehearsalDetailSerializer(RehearsalSerializer):
    result = serializers.JSONField(help_text="What came of it (docs/rehearsal.md); empty until it is done")


class AskSerializer(serializers.Serializer[Any]):
    days = serializers.IntegerField(default=30, min_value=1, max_value=180, help_text="Up to now")
    people = serializers.IntegerField(default=500, min_value=10, max_value=5000, help_text="At most, always the same")
    step_minutes = serializers.IntegerField(default=60, min_value=15, max_value=1440, help_text="Between two looks")
    enter_present = serializers.BooleanField(
        default=False, help_text="Who is in the trigger's segment at the start enters"
    )


class AssumedSerializer(serializers.Serializer[Any]):
    fact = serializers.CharField(max_length=200)
    after = serializers.FloatField(min_value=0, help_text="Seconds from now")
    properties = serializers.DictField(required=False)


class DryRunSerializer(serializers.Serializer[Any]):
    person = serializers.CharField(max_length=254, help_text="A user id, a public id or an e-mail address")
    days = serializers.IntegerField(default=60, min_value=1, max_value=MOST_DAYS)
    event = serializers.DictField(default=dict, help_text="Properties of the fact that lets the person in")
    assumed = AssumedSerializer(  # type: ignore[call-arg]
        many=True, default=list, max_length=MOST_ASSUMED, help_text="What the person will do"
    )


class DryRunAnswer(serializers.Serializer[Any]):
    walk = serializers.JSONField(allow_null=True)
    steps = serializers.ListField(child=serializers.DictField())
    messages = serializers.ListField(child=serializers.DictField())
    given = serializers.ListField(child=serializers.DictField())


class DryRun(OfJourney):
    """One person through the draft from now on, by a clock that jumps; takes some seconds."""

    scope = "journeys:rehearse"
    serializer_class = DryRunSerializer

    @extend_schema(
        tags=["journeys"], operation_id="journeys_dry_run", summary="Walk one person through the draft",
        request=DryRunSerializer, responses=DryRunAnswer,
    )  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        body, journey = self.body(), self.journey
        try:
            person = find_person(body.pop("person"))
        except NobodyFound as error:
            raise ValidationError({"person": str(error)}) from None
        try:
            told = dry_run(journey, person, now=self.now, by=request.auth, **body)
        except Invalid as error:
            raise ValidationError({problem.path or "draft": problem.message for problem in error.problems}) from None
        except DryRunFailed as error:
            raise Conflict(str(error), code="not_finished") from None
        return Response(DryRunAnswer(told).data)


class Rehearsals(OfJourney):
    """Back-tests of a journey's draft."""

    scope = "journeys:read"
    serializer_class = RehearsalSerializer

    @extend_schema(
        tags=["journeys"], operation_id="journeys_rehearsals", summary="Back-tests of a journey, newest first",
        responses=RehearsalSerializer(many=True),
    )  # fmt: skip
    def get(self, request: Request, key: str) -> Response:
        self.asked()
        return self.paged(self.journey.rehearsals.all())


class Rehearse(OfJourney):
    """Walks the draft through days that have been; nothing is sent or written."""

    scope = "journeys:rehearse"
    serializer_class = AskSerializer

    @extend_schema(
        tags=["journeys"], operation_id="journeys_rehearse", summary="Ask for a back-test of the draft",
        request=AskSerializer, responses=RehearsalDetailSerializer,
    )  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        self.asked()
        wishes, journey = self.body(), self.journey
        try:
            row = run.ask(journey, now=self.now, by=request.auth, **wishes)
        except Invalid as error:
            raise ValidationError({problem.path: problem.message for problem in error.problems}) from None
        except Wrong as error:
            raise ValidationError(error.message_dict) from None
        except run.TooMany as error:
            raise Conflict(str(error), code="too_many") from None
        return Response(RehearsalDetailSerializer(row).data)


class OneRehearsal(OfJourney):
    """One back-test, with its result."""

    scope = "journeys:read"
    serializer_class = RehearsalDetailSerializer

    @extend_schema(tags=["journeys"], operation_id="journeys_rehearsal", summary="One back-test with its result")
    def get(self, request: Request, key: str, pk: int) -> Response:
        self.asked()
        return Response(RehearsalDetailSerializer(get_object_or_404(self.journey.rehearsals, pk=pk)).data)


class StopRehearsal(OfJourney):
    """Stops one that waits or runs."""

    scope = "journeys:rehearse"
    serializer_class = RehearsalDetailSerializer

    @extend_schema(
        tags=["journeys"], operation_id="journeys_rehearsal_cancel", summary="Stop a back-test",
        request=None, responses=RehearsalDetailSerializer,
    )  # fmt: skip
    def post(self, request: Request, key: str, pk: int) -> Response:
        self.asked()
        row: Rehearsal = get_object_or_404(self.journey.rehearsals, pk=pk)
        if not run.cancel(row, now=self.now, by=request.auth):
            raise Conflict("It has ended.", code="ended")
        row.refresh_from_db()
        return Response(RehearsalDetailSerializer(row).data)
