"""People for programs: one person by user id, with traits, scores and segments. Nothing here writes."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.text import has_poison
from segments.api.base import ApiView
from segments.models import Identity, Profile, Scores
from segments.overview import stage_reason
from segments.stage_reasons import in_words, unpack


class StageReasonSerializer(serializers.Serializer[Scores]):
    key = serializers.CharField(help_text="no_orders, ordered, silent_own, silent_usual; empty for an older text")
    numbers = serializers.DictField(child=serializers.FloatField(), help_text="orders, silent (days), limit (days)")
    text = serializers.CharField(help_text="The sentence, in the language asked for")


class NumbersSerializer(serializers.Serializer[Scores]):
    stage = serializers.CharField()
    stage_since = serializers.DateTimeField(allow_null=True)
    r = serializers.IntegerField(allow_null=True)
    f = serializers.IntegerField(allow_null=True)
    m = serializers.IntegerField(allow_null=True)
    cell = serializers.CharField()
    octant = serializers.CharField()
    orders = serializers.IntegerField()
    spent = serializers.IntegerField(help_text="Minor units of the reporting currency")
    orders_ever = serializers.IntegerField()
    spent_ever = serializers.IntegerField(help_text="Minor units of the reporting currency")
    first_order_at = serializers.DateTimeField(allow_null=True)
    last_order_at = serializers.DateTimeField(allow_null=True)
    computed_at = serializers.DateTimeField()


class ScoresSerializer(NumbersSerializer):
    stage_reason = serializers.SerializerMethodField()

    @extend_schema_field(StageReasonSerializer(allow_null=True))
    def get_stage_reason(self, row: Scores) -> Any:
        stored = stage_reason(row.pk, row.stage)
        key, numbers = unpack(stored)
        return {"key": key, "numbers": numbers, "text": in_words(stored)} if stored else None


class ProfileSerializer(serializers.Serializer[Profile]):
    public_id = serializers.UUIDField()
    user_ids = serializers.SerializerMethodField()
    email = serializers.CharField()
    phone = serializers.CharField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    locale = serializers.CharField()
    timezone = serializers.CharField()
    country = serializers.CharField()
    city = serializers.CharField()
    gender = serializers.CharField()
    birthday = serializers.DateField(allow_null=True)
    registered_at = serializers.DateTimeField(allow_null=True)
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    traits = serializers.DictField()
    scores = serializers.SerializerMethodField()
    segments = serializers.SerializerMethodField()
    points = serializers.SerializerMethodField()

    def get_user_ids(self, row: Profile) -> list[str]:
        return user_ids(row)

    @extend_schema_field(ScoresSerializer(allow_null=True))
    def get_scores(self, row: Profile) -> Any:
        scores = Scores.objects.filter(profile=row).first()
        return ScoresSerializer(scores).data if scores else None

    def get_segments(self, row: Profile) -> list[str]:
        return list(row.memberships.order_by("segment__key").values_list("segment__key", flat=True))

    def get_points(self, row: Profile) -> int:
        wallet = getattr(row, "wallet", None)
        return int(wallet.balance) if wallet else 0


class OneProfile(ApiView):
    scope = "profiles:read"
    serializer_class = ProfileSerializer

    @extend_schema(tags=["people"], operation_id="profiles_get", summary="One person by user id")
    def get(self, request: Request, user_id: str) -> Response:
        self.asked()
        return Response(ProfileSerializer(person(user_id)).data)


def user_ids(row: Profile) -> list[str]:
    """The person's user ids, from identities that may have been fetched before."""
    return [one.value for one in row.identities.all() if one.kind == Identity.Kind.USER]


def person(user_id: str) -> Profile:
    """The living person with this user id. Raises Http404."""
    known: Any = None
    if len(user_id) <= 255 and not has_poison(user_id):
        rows = Identity.objects.filter(kind=Identity.Kind.USER, value=user_id, profile__erased_at__isnull=True)
        known = rows.select_related("profile").first()
    if known is None:
        raise Http404
    found: Profile = known.profile
    return found
