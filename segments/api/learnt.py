"""What the data taught, for programs: traits, whose types may be corrected, and events with their properties."""

from __future__ import annotations

from typing import Any

from django.db.models import Max, Min
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from common import audit
from segments.api.base import ApiView
from segments.event_schema import report
from segments.models import EventProperty, Trait


class TraitSerializer(serializers.Serializer[Trait]):
    key = serializers.CharField()
    type = serializers.CharField(help_text="string, number, boolean, date or list")
    corrected = serializers.BooleanField(help_text="By a person or program; data no longer change it")
    personal = serializers.BooleanField()
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()


class CorrectRequest(serializers.Serializer[Any]):
    key = serializers.CharField(max_length=64)
    type = serializers.ChoiceField(choices=Trait.Type.values)


class EventSerializer(serializers.Serializer[Any]):
    event = serializers.CharField()
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()


class PropertySerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    types = serializers.ListField(child=serializers.CharField(), help_text="As last seen, the latest first")
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()


class EventQuery(serializers.Serializer[Any]):
    event = serializers.CharField(max_length=200)


class EventAnswer(serializers.Serializer[Any]):
    event = serializers.CharField()
    properties = PropertySerializer(many=True)


class EventsAnswer(serializers.Serializer[Any]):
    results = EventSerializer(many=True, help_text="At most 1,000, the latest seen first")


class Traits(ApiView):
    scope = "segments:read"
    serializer_class = TraitSerializer
    queryset = Trait.objects.all()

    @extend_schema(tags=["schema"], operation_id="traits_list", responses=TraitSerializer(many=True),
                   summary="Traits seen in the data, with their types")  # fmt: skip
    def get(self, request: Request) -> Response:
        self.asked()
        return self.paged(self.get_queryset())


class CorrectTrait(ApiView):
    scope = "segments:write"
    serializer_class = CorrectRequest

    @extend_schema(tags=["schema"], operation_id="traits_correct", request=CorrectRequest, responses=TraitSerializer,
                   summary="Say of which type a trait is")  # fmt: skip
    def post(self, request: Request) -> Response:
        self.asked()
        given = self.body()
        row: Trait = get_object_or_404(Trait, key=given["key"])
        row.type, row.corrected = given["type"], True
        row.save(update_fields=["type", "corrected"])
        audit.record("trait.type", f"trait:{row.pk}", now=self.now, actor=request.auth, detail=dict(given))
        return Response(TraitSerializer(row).data)


class Events(ApiView):
    scope = "segments:read"
    serializer_class = EventsAnswer

    @extend_schema(tags=["schema"], operation_id="events_list", responses=EventsAnswer, summary="Events seen")
    def get(self, request: Request) -> Response:
        self.asked()
        seen = EventProperty.objects.values("event").order_by()
        seen = seen.annotate(first_seen_at=Min("first_seen_at"), last_seen_at=Max("last_seen_at"))
        return Response(EventsAnswer({"results": seen.order_by("-last_seen_at", "event")[:1000]}).data)


class OneEvent(ApiView):
    scope = "segments:read"
    serializer_class = EventAnswer
    query = EventQuery

    @extend_schema(tags=["schema"], operation_id="events_get", parameters=[EventQuery], responses=EventAnswer,
                   summary="The properties of one event, by name")  # fmt: skip
    def get(self, request: Request) -> Response:
        event = self.asked()["event"]
        return Response(EventAnswer({"event": event, "properties": report(event)}).data)
