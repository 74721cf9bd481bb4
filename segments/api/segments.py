"""Segments for programs: what there is, how large, who is in it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import get_language
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from common.periods import zone
from segments.api.base import ApiView
from segments.api.people import user_ids
from segments.api.versions import version_of, with_tag
from segments.models import Membership, Segment
from segments.patience import LONG, TooSlow, patient
from segments.rules.compile import people
from segments.rules.explain import sentence
from segments.rules.operators import At
from segments.rules.parse import parse_rule


class SegmentSerializer(serializers.Serializer[Segment]):
    key = serializers.CharField()
    name = serializers.CharField()
    name_zh = serializers.CharField()
    state = serializers.CharField(help_text="active, paused or archived")
    size = serializers.IntegerField(help_text="People in it at `evaluated_at`")
    evaluated_at = serializers.DateTimeField(allow_null=True)
    refreshed_at = serializers.DateTimeField(allow_null=True)


class SegmentDetailSerializer(SegmentSerializer):
    description = serializers.CharField()
    rule = serializers.JSONField()
    sentence = serializers.SerializerMethodField(help_text="The rule in words, in the language asked for")
    building = serializers.SerializerMethodField(help_text="The rule has changed and its members are not built yet")
    version = serializers.SerializerMethodField(help_text="Of texts and rule; for `If-Match` when it is saved")

    def get_sentence(self, row: Segment) -> str:
        return _sentence(row)

    def get_building(self, row: Segment) -> bool:
        return row.rule_number != row.built_number

    def get_version(self, row: Segment) -> str:
        return version_of(row)


class CountSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(allow_null=True, help_text="Null when counting takes longer than a few seconds")
    as_of = serializers.DateTimeField(allow_null=True)
    live = serializers.BooleanField(help_text="Counted now rather than at the last refresh")


class MemberSerializer(serializers.Serializer[Membership]):
    public_id = serializers.UUIDField(source="profile.public_id")
    user_ids = serializers.SerializerMethodField()
    entered_at = serializers.DateTimeField()

    def get_user_ids(self, row: Membership) -> list[str]:
        return user_ids(row.profile)


class CountQuery(serializers.Serializer[Any]):
    live = serializers.BooleanField(default=False, help_text="Count by the rule now instead of the last refresh")


class Segments(ApiView):
    scope = "segments:read"
    serializer_class = SegmentSerializer
    queryset = Segment.objects.all()

    @extend_schema(
        tags=["segments"], operation_id="segments_list", responses=SegmentSerializer(many=True), summary="All segments"
    )
    def get(self, request: Request) -> Response:
        self.asked()
        return self.paged(self.get_queryset())


class OfSegment(ApiView):
    """A view of one segment, by its key."""

    scope = "segments:read"

    @property
    def segment(self) -> Segment:
        row: Segment = get_object_or_404(Segment, key=self.kwargs["key"])
        return row


class OneSegment(OfSegment):
    serializer_class = SegmentDetailSerializer

    @extend_schema(tags=["segments"], operation_id="segments_get", summary="One segment with its rule")
    def get(self, request: Request, key: str) -> Response:
        self.asked()
        return detail(self.segment)


class Count(OfSegment):
    serializer_class = CountSerializer
    query = CountQuery

    @extend_schema(tags=["segments"], operation_id="segments_count", summary="How many people", parameters=[CountQuery])
    def get(self, request: Request, key: str) -> Response:
        row, now = self.segment, self.now
        if not self.asked()["live"]:
            return Response(CountSerializer({"count": row.size, "as_of": row.evaluated_at, "live": False}).data)
        count: int | None
        try:
            with patient(LONG):
                count = people(parse_rule(row.rule), At(now, zone(settings.WORKSPACE_ZONE))).count()
        except TooSlow:
            count = None
        return Response(CountSerializer({"count": count, "as_of": now, "live": True}).data)


class Members(OfSegment):
    serializer_class = MemberSerializer
    queryset = Membership.objects.none()

    @extend_schema(
        tags=["segments"],
        operation_id="segments_members",
        responses=MemberSerializer(many=True),
        summary="Who is in it, newest first",
    )
    def get(self, request: Request, key: str) -> Response:
        self.asked()
        rows = Membership.objects.filter(segment=self.segment).select_related("profile")
        return self.paged(rows.prefetch_related("profile__identities"))


def detail(row: Segment) -> Response:
    """The segment as it is now, with its version as the entity tag."""
    return with_tag(Response(SegmentDetailSerializer(row).data), row)


def _sentence(row: Segment) -> str:
    """The rule in words; "" for a rule that can no longer be read."""
    try:
        return sentence(parse_rule(row.rule), get_language() or "en")
    except ValueError:
        return ""
