"""The in-app inbox for the product's own servers: a person's messages, and the word that one was read."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from messaging import inbox
from messaging.models import Delivery
from segments.api.base import ApiView
from segments.api.people import person


class ItemSerializer(serializers.Serializer[Any]):
    public_id = serializers.UUIDField()
    sent_at = serializers.DateTimeField(allow_null=True)
    read_at = serializers.DateTimeField(allow_null=True)
    title = serializers.CharField()
    body = serializers.CharField(help_text="HTML, already safe")
    parts = serializers.DictField(child=serializers.CharField(), help_text="All parts of the channel by name")


class InboxQuery(serializers.Serializer[Any]):
    user_id = serializers.CharField(max_length=255, help_text="Whose inbox")


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
        who = person(self.asked()["user_id"])
        page = self.paginate_queryset(inbox.inbox_of(who.pk, self.now)) or []
        answer: Response = self.get_paginated_response(ItemSerializer(inbox.show(page), many=True).data)
        return answer


class ReadRequest(serializers.Serializer[Any]):
    user_id = serializers.CharField(max_length=255)


class MarkRead(ApiView):
    scope = "inbox"
    serializer_class = ReadRequest

    @extend_schema(
        tags=["inbox"],
        operation_id="inbox_read",
        summary="Mark one message read",
        request=ReadRequest,
        responses={204: None},
    )
    def post(self, request: Request, public_id: UUID) -> Response:
        self.asked()
        given = ReadRequest(data=request.data)
        given.is_valid(raise_exception=True)
        if not inbox.mark_read(person(given.validated_data["user_id"]).pk, public_id, self.now):
            raise NotFound
        return Response(status=status.HTTP_204_NO_CONTENT)
