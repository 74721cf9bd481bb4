"""Sending one message by program: a receipt, a code, a confirmation; once per Idempotency-Key."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from messaging.fallback import Message, queue_with_fallback, versions_of
from messaging.models import Delivery, TemplateVersion
from messaging.outbox.queue import KeyReused, NewDelivery
from segments.api.base import ApiView
from segments.api.people import person
from segments.api.refusals import Conflict

MOST_VARIABLES, LARGEST = 100, 32 * 1024
LIFE = 86_400  # seconds after which nobody wants it any more, unless told otherwise
IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="1 to 100 visible characters. The same key with the same body is the same message; with another, 409",
)


class SendRequest(serializers.Serializer[Any]):
    user_id = serializers.CharField(max_length=255, help_text="To whom")
    template = serializers.SlugField(max_length=80, help_text="A published template of the class transactional")
    or_else = serializers.ListField(
        child=serializers.SlugField(max_length=80),
        required=False,
        default=list,
        max_length=4,
        help_text="Templates to try in turn when the one before surely failed",
    )
    variables = serializers.DictField(required=False, help_text="As event.properties.… in the template")
    expires_in = serializers.IntegerField(
        required=False, default=LIFE, min_value=60, max_value=7 * 86_400, help_text="Seconds; later it is not sent"
    )

    def validate_variables(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if len(value) > MOST_VARIABLES or len(json.dumps(value)) > LARGEST:
            raise ValidationError(f"At most {MOST_VARIABLES} variables and {LARGEST} bytes.")
        return value


class SentAnswer(serializers.Serializer[Delivery]):
    public_id = serializers.UUIDField(help_text="GET /api/deliveries/{public_id} says what becomes of it")
    state = serializers.CharField()
    channel = serializers.CharField()
    template = serializers.CharField(source="version.template.key")
    version = serializers.IntegerField(source="version.number")
    planned_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)


class Messages(ApiView):
    scope = "messages:send"
    serializer_class = SendRequest

    @extend_schema(
        tags=["messages"],
        operation_id="messages_send",
        summary="Send one transactional message",
        description="Written down and answered at once; it leaves within seconds, once. 200 for a key that was used.",
        parameters=[IDEMPOTENCY],
        request=SendRequest,
        responses={202: SentAnswer, 200: OpenApiResponse(SentAnswer, "The message of this key")},
    )
    def post(self, request: Request) -> Response:
        self.asked()
        key, asked = self._key(request), self.body()
        before = versions_of(key)
        version, *others = (_version(one, before) for one in (asked["template"], *asked["or_else"]))
        who = person(asked["user_id"])
        event = {"name": "api", "value": None, "properties": dict(asked.get("variables", {}))}
        item = NewDelivery(
            dedupe_key=key,
            profile=who.pk,
            version=version.pk,
            not_before=self.now,
            expires_at=self.now + timedelta(seconds=asked["expires_in"]),
            context={"event": event},
        )
        try:
            with transaction.atomic():
                (made,) = queue_with_fallback([Message(item, tuple(one.pk for one in others))], now=self.now)
        except KeyReused:
            raise Conflict("This Idempotency-Key was used for another message.", code="key_reused") from None
        row = Delivery.objects.select_related("version__template").get(dedupe_key=key)
        return Response(SentAnswer(row).data, status.HTTP_202_ACCEPTED if made else status.HTTP_200_OK)

    def _key(self, request: Request) -> str:
        """One name space for each caller: two programs may choose the same key."""
        key = request.headers.get("Idempotency-Key", "")
        if not 1 <= len(key) <= 100 or not key.isascii() or not key.isprintable():
            raise ValidationError({"Idempotency-Key": "A header of 1 to 100 visible characters is needed."})
        return f"a:{getattr(request.auth, 'pk', None) or f'u{request.user.pk}'}:{key}"


def _version(key: str, before: Collection[int]) -> TemplateVersion:
    """The newest version; for a key that was used, the one it was used with, so that a replay is the same message.
    Raises NotFound, and ValidationError for a template of another class."""
    rows = TemplateVersion.objects.filter(template__key=key).select_related("template")
    version = (rows.filter(pk__in=before).first() if before else None) or rows.order_by("-number").first()
    if version is None or version.template.archived:
        raise NotFound("There is no published template of that name.")
    if version.klass != "transactional":
        raise ValidationError({"template": "Only templates of the class transactional are sent one by one."})
    return version
