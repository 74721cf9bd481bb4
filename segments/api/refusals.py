"""Refusals that the framework has no name for, as exceptions and as the schema shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers, status
from rest_framework.exceptions import APIException

MOST_ERRORS = 100  # of one body; whoever sends more of them has other things to look at first


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."
    default_code = "too_large"


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "That cannot be done in the present state."
    default_code = "conflict"


class ReasonSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    attr = serializers.CharField(allow_null=True, help_text="Where in the input, dotted; null when nowhere")


class RefusalSerializer(serializers.Serializer[Any]):
    """The one form of all errors."""

    type = serializers.CharField(help_text="validation_error or client_error")
    errors = ReasonSerializer(many=True)  # type: ignore[assignment]
