"""One form for every error of the API: `{"type", "errors": [{"code", "detail", "attr"}]}`, whatever went wrong."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http.request import UnreadablePostError
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework.exceptions import APIException, NotFound, ParseError, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from common.params import Invalid
from common.registry import UnknownKey
from segments.api.refusals import MOST_ERRORS, TooLarge


class Handler(ExceptionHandler):
    """Turns what our verbs raise into answers, and answers errors as JSON also where CSV was asked for."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, Invalid):
            return invalid(exc)
        if isinstance(exc, UnknownKey):
            return NotFound(str(exc))
        if isinstance(exc, RequestDataTooBig):
            return TooLarge()
        if isinstance(exc, UnreadablePostError):
            return ParseError("The body did not arrive.")
        return super().convert_known_exceptions(exc)

    def get_response(self, exc: APIException, data: dict[str, Any]) -> Response:
        request = self.context["request"]
        if request is not None:
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = JSONRenderer.media_type
        return super().get_response(exc, data)


def invalid(error: Invalid) -> ValidationError:
    """The problems of an operator's input, each with its dotted place."""
    found: dict[str, list[str]] = {}
    for problem in error.problems[:MOST_ERRORS]:
        found.setdefault(problem.path or "non_field_errors", []).append(problem.message)
    return ValidationError(found)
