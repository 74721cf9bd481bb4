"""Reports for programs: the same table as the page, as JSON or CSV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404
from django.utils.translation import get_language
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.exports import table_csv, table_data
from campaigns.reports import Report, reports
from common.params import read_params
from segments.api.base import ApiView

OURS = {"format"}


class CsvRenderer(BaseRenderer):
    """The finished text; errors are answered as JSON (segments.api.errors)."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return str(data or "").encode()


class ReportSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    params = serializers.DictField(help_text="JSON schema of the parameters")


class ReportListSerializer(serializers.Serializer[Any]):
    results = ReportSerializer(many=True)


class ColumnSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.CharField(help_text="text, count, money (minor units), share (0 to 1), interval (pair), time")


class TableSerializer(serializers.Serializer[Any]):
    report = serializers.CharField()
    params = serializers.DictField()
    columns = ColumnSerializer(many=True)
    rows = serializers.ListField(child=serializers.DictField())
    total = serializers.DictField(allow_null=True)
    currency = serializers.CharField()
    meaning = serializers.CharField()
    notes = serializers.ListField(child=serializers.CharField(), help_text="To be shown with the figures")
    refusals = serializers.ListField(child=serializers.CharField(), help_text="What is not shown, and why")


class Reports(ApiView):
    scope = "reports:read"
    serializer_class = ReportListSerializer
    pagination_class = None

    @extend_schema(
        tags=["reports"],
        operation_id="reports_list",
        summary="All reports and their parameters",
        responses=ReportListSerializer,
    )
    def get(self, request: Request) -> Response:
        self.asked()
        language = get_language() or "en"
        rows = [
            {"key": key, "title": _title(report, language), "params": report.Params.model_json_schema(by_alias=True)}
            for key, report in reports.items()
        ]
        return Response({"results": rows})


UTM_PARAMETERS = [
    OpenApiParameter("from", OpenApiTypes.DATE, description="First day, in the workspace's zone"),
    OpenApiParameter("to", OpenApiTypes.DATE, description="Last day, counted too"),
    OpenApiParameter("model", str, description="utm-conversions: the attribution model"),
    OpenApiParameter("by", str, description="utm-conversions: what to group by, with commas between"),
    OpenApiParameter("journey", str, description="holdout-lift: one journey"),
    OpenApiParameter("window", int, description="holdout-lift: days after being assigned"),
    OpenApiParameter("format", str, enum=["json", "csv"]),
]


class RunReport(ApiView):
    """Each report takes its own parameters (see the list); wrong ones are all told at once."""

    scope = "reports:read"
    serializer_class = TableSerializer
    renderer_classes = (JSONRenderer, CsvRenderer)

    @extend_schema(
        tags=["reports"],
        operation_id="reports_run",
        summary="Run a report",
        parameters=UTM_PARAMETERS,
        responses={(200, "application/json"): TableSerializer, (200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, key: str) -> Response:
        if key not in reports:
            raise Http404
        report, language = reports.get(key), get_language() or "en"
        params = read_params(report.Params, _given(request))
        table = report.run(params, self.now)
        if request.accepted_renderer.format == "csv":
            name = {"Content-Disposition": f'attachment; filename="{key}.csv"'}
            return Response("".join(table_csv(table, language)), headers=name)
        said = {"report": key, "params": params.model_dump(mode="json", by_alias=True)}
        return Response({**said, **table_data(table, language)})


def _title(report: Report[Any], language: str) -> str:
    return report.title_zh if language.startswith("zh") else report.title


def _given(request: Request) -> dict[str, Any]:
    """The query as the report's parameters; a name given twice is a list."""
    query = request.query_params
    return {
        name: values[0] if len(values := query.getlist(name)) == 1 else values for name in query if name not in OURS
    }
