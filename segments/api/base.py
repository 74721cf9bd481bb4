"""What every view of the API is: closed unless it names its scope, and strict about what it is asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from common import clock
from segments.api.auth import HasScope, KeyAuthentication, KeyThrottle, StaffSession

COMMON = frozenset({"format", "limit", "cursor"})


class ApiView(GenericAPIView[Any]):
    """`scope` opens it to keys that carry it; `query` is the serializer of its query, which takes nothing else."""

    scope: ClassVar[str] = ""
    query: ClassVar[type[serializers.Serializer[Any]] | None] = None
    authentication_classes = (KeyAuthentication, StaffSession)
    permission_classes = (HasScope,)
    throttle_classes: tuple[type[KeyThrottle], ...] = (KeyThrottle,)
    filter_backends = ()

    def asked(self) -> dict[str, Any]:
        """The query, checked; an unknown name is an error, since a mistyped filter would return everything."""
        serializer = self.query(data=self.request.query_params.dict()) if self.query else None
        known = set(serializer.fields) if serializer else set()
        strange = sorted(set(self.request.query_params) - known - COMMON)
        if strange:
            raise ValidationError(dict.fromkeys(strange, "There is no such parameter."))
        if serializer is None:
            return {}
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def body(self) -> dict[str, Any]:
        """What was sent, checked by the view's serializer."""
        serializer = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def paged(self, rows: Any) -> Response:
        """One page of a queryset through the view's serializer."""
        page = self.paginate_queryset(rows)
        answer: Response = self.get_paginated_response(self.get_serializer(page, many=True).data)
        return answer

    @property
    def now(self) -> datetime:
        return clock.now()


class Closed(ApiView):
    """Whatever the API does not have."""

    public: ClassVar[bool] = True
    throttle_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("There is no such address.")
