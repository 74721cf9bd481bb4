"""Scores for programs: RFM, stages and health of everybody, the people behind a number, and the rules, set."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.periods import zone
from segments import boards, overview, stage_reads
from segments.api.base import ApiView
from segments.api.people import NumbersSerializer, user_ids
from segments.health_reads import band_flow, people_by_band
from segments.health_rules import choose_rules, settings_in_force
from segments.models import Profile
from segments.models.known import BANDS, STAGES
from segments.patience import LONG, TooSlow, patient
from segments.rfm import CELLS
from segments.rfm_reads import movement, value_at_risk
from segments.rfm_settings import choose_edges, edges_settings

MONEY = "Minor units of the reporting currency"


class PeriodQuery(serializers.Serializer[Any]):
    days = serializers.IntegerField(default=30, min_value=1, max_value=366, help_text="Moves of so many days")


class MoveSerializer(serializers.Serializer[Any]):
    before = serializers.CharField(allow_blank=True, help_text='Where they were; "" is nowhere yet')
    after = serializers.CharField(allow_blank=True)
    moves = serializers.IntegerField()


class CellSerializer(serializers.Serializer[Any]):
    cell = serializers.CharField()
    people = serializers.IntegerField()
    share = serializers.FloatField(help_text="Of everybody scored")
    spent = serializers.IntegerField(help_text=MONEY)
    people_at_risk = serializers.IntegerField(help_text="At the stages at risk and lapsed")
    at_risk = serializers.IntegerField(help_text=f"What these spent. {MONEY}")


class SquareSerializer(serializers.Serializer[Any]):
    r = serializers.IntegerField()
    f = serializers.IntegerField()
    people = serializers.IntegerField()
    spent = serializers.IntegerField(help_text=MONEY)


class OctantSerializer(serializers.Serializer[Any]):
    octant = serializers.CharField()
    people = serializers.IntegerField()
    spent = serializers.IntegerField(help_text=MONEY)


class RfmSettingsSerializer(serializers.Serializer[Any]):
    window_days = serializers.IntegerField(required=False, min_value=1, max_value=3650)
    money = serializers.ChoiceField(choices=["sum", "mean"], required=False)
    counted = serializers.ChoiceField(choices=["orders", "days"], required=False, help_text="What F counts")
    mode = serializers.ChoiceField(choices=["quantile", "fixed"], required=False)
    recency = serializers.ListField(child=serializers.FloatField(), required=False, help_text="Four, rising: days")
    frequency = serializers.ListField(child=serializers.FloatField(), required=False, help_text="Four, rising: orders")
    monetary = serializers.ListField(child=serializers.FloatField(), required=False, help_text=f"Four, rising. {MONEY}")
    octants = serializers.ChoiceField(
        choices=["mean", "median", "fixed"], required=False, help_text="Where the quadrants cut"
    )
    octants_at = serializers.ListField(
        child=serializers.FloatField(), required=False, help_text=f"Three: days, orders, money. {MONEY}"
    )


class RfmAnswer(serializers.Serializer[Any]):
    settings = RfmSettingsSerializer()
    cells = CellSerializer(many=True)
    octants = OctantSerializer(many=True)
    grid = SquareSerializer(many=True)
    flow = MoveSerializer(many=True, allow_null=True, help_text="Null when it takes longer than a few seconds")


class StageSerializer(serializers.Serializer[Any]):
    stage = serializers.CharField()
    people = serializers.IntegerField()


class StagesAnswer(serializers.Serializer[Any]):
    preset = serializers.CharField()
    stages = StageSerializer(many=True)
    flow = MoveSerializer(many=True)


class BandSerializer(serializers.Serializer[Any]):
    band = serializers.CharField(allow_blank=True, help_text='"": too little is known')
    people = serializers.IntegerField()
    score = serializers.FloatField(allow_null=True, help_text="Mean")
    trend = serializers.FloatField(allow_null=True, help_text="Mean")


class HealthSettingsSerializer(serializers.Serializer[Any]):
    weights = serializers.DictField(child=serializers.JSONField(), required=False, help_text="By metric, from 0")
    bounds = serializers.DictField(child=serializers.JSONField(), required=False, help_text="By metric: [low, high]")
    params = serializers.DictField(child=serializers.JSONField(), required=False, help_text="By metric, docs/health.md")
    trend_weeks = serializers.IntegerField(required=False, min_value=1, max_value=12)


class HealthAnswer(serializers.Serializer[Any]):
    settings = HealthSettingsSerializer()
    bands = BandSerializer(many=True)
    flow = MoveSerializer(many=True)


class ScoredQuery(serializers.Serializer[Any]):
    cell = serializers.ChoiceField(choices=list(CELLS), required=False)
    octant = serializers.ChoiceField(choices=boards.OCTANTS, required=False)
    stage = serializers.ChoiceField(choices=list(STAGES), required=False)
    band = serializers.ChoiceField(choices=[band for band in BANDS if band], required=False)
    r = serializers.IntegerField(min_value=1, max_value=5, required=False)
    f = serializers.IntegerField(min_value=1, max_value=5, required=False)
    m = serializers.IntegerField(min_value=1, max_value=5, required=False)


class ScoredSerializer(serializers.Serializer[Profile]):
    public_id = serializers.UUIDField()
    user_ids = serializers.SerializerMethodField()
    scores = NumbersSerializer()
    band = serializers.CharField(source="health.band", default="", help_text="Health")
    health = serializers.FloatField(source="health.score", default=None, allow_null=True)

    def get_user_ids(self, row: Profile) -> list[str]:
        return user_ids(row)


class Boards(ApiView):
    """What everybody's scores say, with the moves of a period."""

    scope = "segments:read"
    query = PeriodQuery

    def period(self) -> dict[str, Any]:
        now = self.now
        return {"since": now - timedelta(days=self.asked()["days"]), "until": now}


class Rfm(Boards):
    serializer_class = RfmAnswer

    @extend_schema(tags=["scores"], operation_id="scores_rfm", summary="RFM: cells, quadrants, grid, moves",
                   parameters=[PeriodQuery])  # fmt: skip
    def get(self, request: Request) -> Response:
        since = self.period()["since"]
        try:
            with patient(LONG):
                flow = _moves(movement(since=since).counts.items())
        except TooSlow:
            flow = None
        octants = [{"octant": key, "people": one.people, "spent": one.spent} for key, one in boards.by_octant().items()]
        grid = [{"r": r, "f": f, "people": one.people, "spent": one.spent} for (r, f), one in boards.by_grid().items()]
        found = {"settings": edges_settings(), "cells": value_at_risk(), "octants": octants, "grid": grid, "flow": flow}
        return Response(RfmAnswer(found).data)


class Stages(Boards):
    serializer_class = StagesAnswer

    @extend_schema(tags=["scores"], operation_id="scores_stages", summary="Stages, and the moves between them",
                   parameters=[PeriodQuery])  # fmt: skip
    def get(self, request: Request) -> Response:
        flow = stage_reads.stage_flow(**self.period())
        found = {"preset": settings.STAGE_PRESET, "stages": overview.people_by_stage(), "flow": flow}
        return Response(StagesAnswer(found).data)


class HealthBands(Boards):
    serializer_class = HealthAnswer

    @extend_schema(tags=["scores"], operation_id="scores_health", summary="Bands of health, and the moves between them",
                   parameters=[PeriodQuery])  # fmt: skip
    def get(self, request: Request) -> Response:
        flow = _moves(band_flow(**self.period()).items())
        found = {"settings": settings_in_force(), "bands": people_by_band(), "flow": flow}
        return Response(HealthAnswer(found).data)


class ScoredPeople(ApiView):
    scope = "profiles:read"
    serializer_class = ScoredSerializer
    query = ScoredQuery
    queryset = Profile.objects.none()

    @extend_schema(tags=["scores"], operation_id="scores_people", summary="People with these scores, newest first",
                   parameters=[ScoredQuery], responses=ScoredSerializer(many=True))  # fmt: skip
    def get(self, request: Request) -> Response:
        where = {f"scores__{boards.FILTERS[name]}": value for name, value in self.asked().items()}
        rows = Profile.objects.filter(scores__isnull=False, merged_into=None, erased_at=None, **where)
        return self.paged(rows.select_related("scores", "health").prefetch_related("identities"))


class SetRfm(ApiView):
    scope = "segments:write"
    serializer_class = RfmSettingsSerializer

    @extend_schema(tags=["scores"], operation_id="scores_rfm_settings", responses=RfmSettingsSerializer,
                   summary="Window, money and limits of RFM; what is left out takes its default")  # fmt: skip
    def post(self, request: Request) -> Response:
        self.asked()
        choose_edges(self.body(), now=self.now, zone=zone(settings.WORKSPACE_ZONE), actor=request.auth)
        return Response(RfmSettingsSerializer(edges_settings()).data)


class SetHealth(ApiView):
    scope = "segments:write"
    serializer_class = HealthSettingsSerializer

    @extend_schema(tags=["scores"], operation_id="scores_health_settings", responses=HealthSettingsSerializer,
                   summary="Weights, bounds and parameters of health; what is left out takes its default")  # fmt: skip
    def post(self, request: Request) -> Response:
        self.asked()
        choose_rules(self.body(), now=self.now, zone=zone(settings.WORKSPACE_ZONE), actor=request.auth)
        return Response(HealthSettingsSerializer(settings_in_force()).data)


def _moves(counts: Iterable[tuple[tuple[str, str], int]]) -> list[dict[str, Any]]:
    """Who went somewhere else, the most frequent first."""
    found = [{"before": was, "after": then, "moves": n} for (was, then), n in counts if was != then]
    return sorted(found, key=lambda one: (-one["moves"], one["before"], one["after"]))
