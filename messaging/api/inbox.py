"""The in-app inbox for the product's own servers: a person's messages, what the person did with them, and the token by
which the person's own app reads them and registers its devices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from messaging import inbox, tokens
from messaging.models import Delivery
from segments.api.base import ApiView
from segments.api.people import person

Verb = Callable[[int, UUID, datetime], bool]


class ItemSerializer(serializers.Serializer[Any]):
    public_id = serializers.UUIDField()
    sent_at = serializers.DateTimeField(allow_null=True)
    read_at = serializers.DateTimeField(allow_null=True)
    archived_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    title = serializers.CharField()
    body = serializers.CharField(help_text="HTML, already safe")
    parts = serializers.DictField(child=serializers.CharField(), help_text="All parts of the channel by name")


class InboxQuery(serializers.Serializer[Any]):
    user_id = serializers.CharField(max_length=255, help_text="Whose inbox")
    archived = serializers.BooleanField(required=False, default=False, help_text="What the person has put away instead")


class Inbox(ApiView):
    scope = "inbox"
    serializer_class = ItemSerializer
    queryset = Delivery.objects.none()
    query = InboxQuery

    @extend_schema(
        tags=["inbox"],
        operation_id="inbox_list",
        responses=ItemSerializer(many=True),
        summary="A person's messages, newest first",
        parameters=[InboxQuery],
    )
    def get(self, request: Request) -> Response:
        asked = self.asked()
        who = person(asked["user_id"])
        page = self.paginate_queryset(inbox.inbox_of(who.pk, self.now, archived=asked["archived"])) or []
        answer: Response = self.get_paginated_response(ItemSerializer(inbox.show(page), many=True).data)
        return answer


class PersonRequest(serializers.Serializer[Any]):
    user_id = serializers.CharField(max_length=255)


class InboxAct(ApiView):
    """What a person did with one message; each verb has an address of its own."""

    scope = "inbox"
    serializer_class = PersonRequest

    def acted(self, verb: Verb, public_id: UUID) -> Response:
        self.asked()
        if not verb(person(self.body()["user_id"]).pk, public_id, self.now):
            raise NotFound
        return Response(status=status.HTTP_204_NO_CONTENT)


class MarkRead(InboxAct):
    @extend_schema(
        tags=["inbox"],
        operation_id="inbox_read",
        request=PersonRequest,
        responses={204: None},
        summary="Mark one message read",
    )
    def post(self, request: Request, public_id: UUID) -> Response:
        return self.acted(inbox.mark_read, public_id)


class Archive(InboxAct):
    @extend_schema(
        tags=["inbox"],
        operation_id="inbox_archive",
        request=PersonRequest,
        responses={204: None},
        summary="Put one message away",
    )
    def post(self, request: Request, public_id: UUID) -> Response:
        return self.acted(inbox.archive, public_id)


class Restore(InboxAct):
    @extend_schema(
        tags=["inbox"],
        operation_id="inbox_restore",
        request=PersonRequest,
        responses={204: None},
        summary="Take back a message that was put away",
    )
    def post(self, request: Request, public_id: UUID) -> Response:
        return self.acted(inbox.restore, public_id)


class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="Bearer token of the recipient's own app, for 30 days")
    page = serializers.CharField(help_text="Path of the inbox as a page, to be framed")
    expires_at = serializers.DateTimeField()


class InboxToken(ApiView):
    scope = "inbox"
    serializer_class = PersonRequest

    @extend_schema(
        tags=["inbox"],
        operation_id="inbox_token",
        request=PersonRequest,
        responses=TokenSerializer,
        summary="A token by which one person's app reads the inbox and registers devices",
    )
    def post(self, request: Request) -> Response:
        self.asked()
        token = tokens.inbox_token(person(self.body()["user_id"]).pk, now=self.now)
        page = reverse("messaging:inbox-page", args=[token])
        said = {"token": token, "page": page, "expires_at": self.now + tokens.INBOX_LIFE}
        return Response(TokenSerializer(said).data)
