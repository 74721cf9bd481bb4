"""Messages for programs: where each stands, why, and every attempt."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from messaging.fallback import fallback_of
from messaging.models import Attempt, Delivery, Fallback
from segments.api.base import ApiView
from segments.api.people import person


class AttemptSerializer(serializers.Serializer[Attempt]):
    n = serializers.IntegerField()
    account = serializers.CharField(source="account.key")
    started_at = serializers.DateTimeField()
    answered_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.CharField(help_text="open, sent, transient, permanent, unknown or not_begun")
    code = serializers.CharField()
    provider_ref = serializers.CharField()


class DeliverySerializer(serializers.Serializer[Delivery]):
    public_id = serializers.UUIDField()
    profile = serializers.UUIDField(source="profile.public_id")
    channel = serializers.CharField()
    message_class = serializers.CharField(source="klass")
    topic = serializers.CharField()
    campaign = serializers.CharField()
    journey = serializers.CharField()
    node = serializers.CharField()
    variant = serializers.CharField()
    template = serializers.CharField(source="version.template.key")
    version = serializers.IntegerField(source="version.number")
    held_out = serializers.BooleanField(source="ghost")
    state = serializers.CharField()
    reason = serializers.CharField()
    reached = serializers.CharField(source="get_reached_display")
    planned_at = serializers.DateTimeField()
    not_before = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    sent_at = serializers.DateTimeField(allow_null=True)
    settled_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    opened_at = serializers.DateTimeField(allow_null=True)
    clicked_at = serializers.DateTimeField(allow_null=True)


class TriedSerializer(serializers.Serializer[Any]):
    delivery = serializers.UUIDField()
    channel = serializers.CharField()
    reason = serializers.CharField()


class FallbackSerializer(serializers.Serializer[Fallback]):
    tried = TriedSerializer(source="story", many=True, help_text="The ways that surely failed, in order")
    current = serializers.UUIDField(source="delivery.public_id", help_text="The message of the way under way")
    ways_left = serializers.SerializerMethodField()
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_because = serializers.CharField(source="ended_why")

    def get_ways_left(self, row: Fallback) -> int:
        return len(row.versions)


class DeliveryDetailSerializer(DeliverySerializer):
    utm = serializers.DictField(child=serializers.CharField())
    attempts = AttemptSerializer(source="tries", many=True)
    fallback = serializers.SerializerMethodField(help_text="The other ways of the same message; null for one way")

    @extend_schema_field(FallbackSerializer(allow_null=True))
    def get_fallback(self, row: Delivery) -> dict[str, Any] | None:
        found = fallback_of(row)
        return FallbackSerializer(found).data if found is not None else None


class DeliveryQuery(serializers.Serializer[Any]):
    user_id = serializers.CharField(required=False, max_length=255, help_text="Messages of this person only")
    campaign = serializers.SlugField(required=False, max_length=80)
    journey = serializers.SlugField(required=False, max_length=80)
    state = serializers.ChoiceField(required=False, choices=[value for value, _ in Delivery.State.choices])


class Deliveries(ApiView):
    scope = "deliveries:read"
    serializer_class = DeliverySerializer
    queryset = Delivery.objects.select_related("profile", "version__template")
    query = DeliveryQuery

    @extend_schema(
        tags=["messages"],
        operation_id="deliveries_list",
        responses=DeliverySerializer(many=True),
        summary="Messages, newest first",
        parameters=[DeliveryQuery],
    )
    def get(self, request: Request) -> Response:
        asked = self.asked()
        user = asked.pop("user_id", None)
        rows = self.get_queryset().filter(**asked)
        return self.paged(rows.filter(profile=person(user)) if user else rows)


class OneDelivery(ApiView):
    scope = "deliveries:read"
    serializer_class = DeliveryDetailSerializer

    @extend_schema(tags=["messages"], operation_id="deliveries_get", summary="One message with its attempts")
    def get(self, request: Request, public_id: UUID) -> Response:
        self.asked()
        rows = Delivery.objects.select_related("profile", "version__template").prefetch_related("tries__account")
        return Response(DeliveryDetailSerializer(get_object_or_404(rows, public_id=public_id)).data)
