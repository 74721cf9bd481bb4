"""One person for programs, beyond traits and scores: health taken apart, and the timeline with its reasons."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from django.utils.translation import get_language
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from segments.api.people import ProfileSerializer
from segments.api.privacy import OfPerson
from segments.health_reads import changes_of, explain_health
from segments.timeline import strands, timeline


class PartSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="The metric, as in docs/health.md")
    title = serializers.CharField()
    weight = serializers.FloatField()
    low = serializers.FloatField(help_text="The value that is worth 0 points")
    high = serializers.FloatField(help_text="The value that is worth 100 points")
    value = serializers.FloatField(allow_null=True, help_text="Null when nothing is known")
    said = serializers.CharField(allow_blank=True, help_text="The value in words, in the language asked for")
    before = serializers.FloatField(allow_null=True, help_text="The value some weeks ago, by which the trend goes")
    points = serializers.FloatField(allow_null=True)
    contribution = serializers.FloatField(allow_null=True, help_text="What it gives to the score; these add up to it")


class BandChangeSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    before = serializers.CharField(allow_blank=True)
    after = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)


class HealthOfPerson(serializers.Serializer[Any]):
    score = serializers.FloatField(allow_null=True, help_text="0 to 100; null when too little is known")
    band = serializers.CharField(allow_blank=True, help_text='healthy, watch, at_risk, or "" when too little is known')
    in_words = serializers.CharField(allow_blank=True, help_text="The band, in the language asked for")
    since = serializers.DateTimeField(allow_null=True)
    trend = serializers.FloatField(allow_null=True, help_text="The score less the score `weeks` ago")
    weeks = serializers.IntegerField()
    coverage = serializers.FloatField(help_text="The known share of all weights")
    parts = PartSerializer(many=True)
    changes = BandChangeSerializer(many=True, help_text="The last moves between bands, newest first")


class MomentSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    title = serializers.CharField()
    why = serializers.CharField(allow_blank=True)
    state = serializers.CharField(allow_blank=True)


class TimelineAnswer(serializers.Serializer[Any]):
    older = serializers.DateTimeField(allow_null=True, help_text="`until` of the next page; null when nothing is older")
    results = MomentSerializer(many=True)


class TimelineQuery(serializers.Serializer[Any]):
    until = serializers.DateTimeField(required=False, help_text="Moments before this one; now by default")
    only = serializers.CharField(required=False, max_length=40, help_text="One strand: facts, points, messages …")

    def validate_only(self, value: str) -> str:
        if value not in strands:
            raise serializers.ValidationError(f"One of: {', '.join(strands.keys())}.")
        return value


class OnePerson(OfPerson):
    """Also whoever has no user id, by the public id that lists of people give."""

    scope = "profiles:read"
    serializer_class = ProfileSerializer

    @extend_schema(tags=["people"], operation_id="people_get", responses=ProfileSerializer,
                   summary="One person by public id")  # fmt: skip
    def get(self, request: Request, public_id: UUID) -> Response:
        self.asked()
        found = self.profile(public_id)
        if found.erased_at is not None:
            raise Http404
        return Response(ProfileSerializer(found).data)


class Health(OfPerson):
    scope = "profiles:read"
    serializer_class = HealthOfPerson

    @extend_schema(tags=["people"], operation_id="people_health", summary="A person's health, part by part")
    def get(self, request: Request, public_id: UUID) -> Response:
        self.asked()
        profile = self.profile(public_id)
        found = explain_health(profile.pk, get_language() or "en")
        if found is None:
            raise Http404
        return Response(
            HealthOfPerson({**vars(found), "in_words": found.label, "changes": changes_of(profile.pk)}).data
        )


class Timeline(OfPerson):
    scope = "profiles:read"
    serializer_class = TimelineAnswer
    query = TimelineQuery

    @extend_schema(tags=["people"], operation_id="people_timeline", parameters=[TimelineQuery],
                   summary="What happened to a person, newest first, each with its reason")  # fmt: skip
    def get(self, request: Request, public_id: UUID) -> Response:
        asked = self.asked()
        until = asked.get("until", self.now)
        moments, older = timeline(self.profile(public_id).pk, until=until, only=asked.get("only", ""))
        return Response(TimelineAnswer({"older": older, "results": moments}).data)
