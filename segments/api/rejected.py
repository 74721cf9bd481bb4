"""Refused rows for programs: why each was refused, and taking them in again once the cause is mended."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common import audit
from segments.api.base import ApiView
from segments.models import RejectedRow
from segments.replay import DONE, replay

MOST = 500


class RejectedSerializer(serializers.Serializer[RejectedRow]):
    id = serializers.IntegerField()
    source = serializers.CharField(source="source.key")  # type: ignore[assignment]
    received_at = serializers.DateTimeField()
    line = serializers.IntegerField(allow_null=True, help_text="In the imported file")
    code = serializers.CharField()
    path = serializers.CharField(allow_blank=True, help_text="Where in the row")
    reason = serializers.CharField()
    payload = serializers.CharField(help_text="The row as it came")
    replayed_at = serializers.DateTimeField(allow_null=True)
    replayed_as = serializers.CharField(allow_blank=True, help_text="stored, known or rejected; empty if never")


class RejectedQuery(serializers.Serializer[Any]):
    source = serializers.SlugField(max_length=80, required=False)  # type: ignore[assignment]
    code = serializers.CharField(max_length=40, required=False)
    waiting = serializers.BooleanField(required=False, help_text="true: only those not taken in since")


class ReplayRequest(serializers.Serializer[Any]):
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), min_length=1, max_length=MOST
    )


class ReplayAnswer(serializers.Serializer[Any]):
    stored = serializers.IntegerField()
    known = serializers.IntegerField(help_text="They had come in by another way")
    rejected = serializers.IntegerField(help_text="Refused again; the reason is the new one")
    gone = serializers.IntegerField(help_text="Taken in before, or no such row")


class Rejected(ApiView):
    scope = "profiles:read"
    serializer_class = RejectedSerializer
    query = RejectedQuery
    queryset = RejectedRow.objects.none()

    @extend_schema(tags=["intake"], operation_id="rejected_list", parameters=[RejectedQuery],
                   responses=RejectedSerializer(many=True), summary="Refused rows, the latest first")  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked()
        rows = RejectedRow.objects.select_related("source")
        if "source" in asked:
            rows = rows.filter(source__key=asked["source"])
        if "code" in asked:
            rows = rows.filter(code=asked["code"])
        if asked.get("waiting"):
            rows = rows.exclude(replayed_as__in=DONE)
        return self.paged(rows)


class Replay(ApiView):
    """As history: what is taken in again starts no journey."""

    scope = "intake:replay"
    serializer_class = ReplayRequest

    @extend_schema(tags=["intake"], operation_id="rejected_replay", request=ReplayRequest, responses=ReplayAnswer,
                   summary="Take refused rows in again")  # fmt: skip
    def post(self, request: Request) -> Response:
        self.asked()
        ids = self.body()["ids"]
        found = replay(ids, now=self.now)
        audit.record("rejected.replay", f"rows:{len(ids)}", now=self.now, actor=request.auth, detail=found)
        none = dict.fromkeys(("stored", "known", "rejected", "gone"), 0)
        return Response(ReplayAnswer(none | found).data)
