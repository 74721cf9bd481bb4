"""One page for every report: a form from its parameters, the table, the chart, its notes and refusals, and CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import get_language, gettext

from campaigns.attribution import models as attribution
from campaigns.exports import table_csv
from campaigns.reports import Chart, Column, Report, Table, reports
from common import clock
from common.admin import show
from common.money import to_major
from common.params import Invalid, Params, read_params
from common.text import say

COLOURS = ("var(--color-primary-600)", "var(--color-primary-300)", "oklch(70% .14 70)", "oklch(60% .15 250)")
PERMISSION = "campaigns.view_conversion"
ROOMY = 8  # columns that have room beside each other
WIDEST = 14  # more are turned


def index(request: HttpRequest) -> HttpResponse:
    """The list of reports."""
    _allow(request)
    rows = [
        {"key": key, "title": _title(report), "about": (type(report).__doc__ or "").strip().split("\n")[0]}
        for key, report in reports.items()
    ]
    return _page(request, "admin/reports/index.html", gettext("Reports"), reports=rows)


def report(request: HttpRequest, key: str) -> HttpResponse:
    """One report with the parameters of the query; wrong ones are all told, and nothing is shown then."""
    _allow(request)
    if key not in reports:
        raise Http404
    plugin = reports.get(key)
    given = _given(request, plugin.Params)
    try:
        params = read_params(plugin.Params, given)
        now = clock.now()
        params = plugin.in_force(params, now)
        table: Table | None = plugin.run(params, now)
        problems: list[str] = []
    except Invalid as error:
        table, params, problems = None, None, [str(problem) for problem in error.problems]
    if table is not None and request.GET.get("format") == "csv":
        return _csv(key, table)
    return _page(
        request,
        "admin/reports/report.html",
        _title(plugin),
        key=key,
        fields=_fields(plugin, params.model_dump(mode="json") if params else given),
        problems=problems,
        **(_shown(table) if table else {}),
        csv_query=_query(given),
    )


def _allow(request: HttpRequest) -> None:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied


def _page(request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), "title": title, **context})


def _title(plugin: Report[Any]) -> str:
    return say(plugin.title, plugin.title_zh)


def _given(request: HttpRequest, model: type[Params]) -> dict[str, Any]:
    """The parameters in the query that the report knows, by name or alias; empty ones mean the default."""
    found = {}
    for name, spec in model.model_json_schema(by_alias=True)["properties"].items():
        values = [value for value in request.GET.getlist(name) if value != ""]
        if values:
            found[name] = values if _is_list(spec) else values[-1]
    return found


def _is_list(spec: Mapping[str, Any]) -> bool:
    kinds = [spec, *spec.get("anyOf", ())]
    return any(kind.get("type") == "array" for kind in kinds)


def _fields(plugin: Report[Any], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The form: one field per parameter, choices where there are few values."""
    schema = plugin.Params.model_json_schema(by_alias=True)
    names = {field.alias or name: name for name, field in plugin.Params.model_fields.items()}
    return [
        _field(plugin, name, spec, values.get(name, values.get(names.get(name, name), spec.get("default"))), schema)
        for name, spec in schema["properties"].items()
    ]


def _field(
    plugin: Report[Any], name: str, spec: Mapping[str, Any], value: Any, schema: Mapping[str, Any]
) -> dict[str, Any]:
    kind = _known(name) or _input(spec, schema.get("$defs", {}))
    if "many" in kind:
        return {"name": name, "label": _label(name), "boxes": _boxes(plugin, kind["many"], value)}
    options = [(one, _word(plugin, one)) for one in kind.pop("choices", ())]
    return {"name": name, "label": _label(name), "value": _text(value), "options": options, **kind}


def _boxes(plugin: Report[Any], choices: list[str], value: Any) -> list[tuple[str, str, bool]]:
    """(value, name, ticked) of every choice: those ticked first, in their order, since the order counts."""
    ticked = [str(one) for one in (value if isinstance(value, list | tuple) else str(value or "").split(","))]
    ordered = [*(one for one in ticked if one in choices), *(one for one in choices if one not in ticked)]
    return [(one, _word(plugin, one), one in ticked) for one in dict.fromkeys(ordered)]


def _word(plugin: Report[Any], value: str) -> str:
    """A choice as people read it: by the report's own words, or the attribution model's name."""
    if value in plugin.words:
        return say(*plugin.words[value])
    if value in attribution:
        model = attribution.get(value)
        return say(model.name, model.name_zh)
    return value


def _label(name: str) -> str:
    """A parameter's name in the operator's language; unknown ones as they are written."""
    known = {
        "from": gettext("from"),
        "from_": gettext("from"),
        "start": gettext("from"),
        "to": gettext("to"),
        "until": gettext("to"),
        "end": gettext("to"),
        "model": gettext("model"),
        "by": gettext("by"),
        "campaign": gettext("campaign"),
        "journey": gettext("journey"),
        "channel": gettext("channel"),
        "zone": gettext("time zone"),
        "days": gettext("days"),
    }
    return known.get(name, name.replace("_", " "))


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _known(name: str) -> dict[str, Any]:
    """Choices that the schema does not tell: the attribution models that are installed."""
    return {"choices": attribution.keys()} if name == "model" else {}


def _input(spec: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """The kind of input for a JSON schema: date, number, choice, several of a few, or text."""
    kinds = [
        defs.get(str(k["$ref"]).rsplit("/", 1)[-1], {}) if "$ref" in k else k for k in [spec, *spec.get("anyOf", ())]
    ]
    for kind in kinds:
        if kind.get("items", {}).get("enum"):
            return {"many": [str(value) for value in kind["items"]["enum"]]}
        if kind.get("enum"):
            return {"choices": [str(value) for value in kind["enum"]]}
        if kind.get("format") in ("date", "date-time"):
            return {"type": "date"}
        if kind.get("type") in ("integer", "number"):
            return {"type": "number"}
    return {"type": "text"}


def _query(given: Mapping[str, Any]) -> str:
    return urlencode({**given, "format": "csv"}, doseq=True)


def _shown(table: Table) -> dict[str, Any]:
    """The table in the operator's language, amounts and shares written out."""
    chinese = (get_language() or "en").startswith("zh")
    heads = [{"title": c.title_zh if chinese and c.title_zh else c.title, "kind": c.kind} for c in table.columns]
    said = 1 if chinese else 0
    rows = [[_cell(c, row.get(c.key), table.currency) for c in table.columns] for row in table.rows]
    return {
        "heads": heads,
        "rows": rows,
        "standing": _stood_up(heads, rows) if len(heads) > WIDEST and not table.total else [],
        "dense": len(heads) > ROOMY,
        "total": [_cell(c, table.total.get(c.key, ""), table.currency) for c in table.columns] if table.total else [],
        "meaning": table.meaning[said] or table.meaning[0],
        "notes": [pair[said] or pair[0] for pair in table.notes],
        "refusals": [pair[said] or pair[0] for pair in table.refusals],
        **_charted(table, table.chart, chinese),
        "ran": True,
    }


def _stood_up(heads: list[dict[str, Any]], rows: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A table of many columns and few rows, turned: a line for each column, so that all of it is seen."""
    return [{"title": head["title"], "cells": [row[at] for row in rows]} for at, head in enumerate(heads)]


def _cell(column: Column, value: Any, currency: str) -> dict[str, Any]:
    return {
        "text": _write(column.kind, value, currency),
        "right": column.kind in ("count", "money", "share", "interval"),
    }


def _write(kind: str, value: Any, currency: str) -> str:
    """A value as people read it; what is not known is a dash."""
    if value is None:
        return "–"
    if value == "":
        return ""
    if kind == "money":
        return show.money(int(value), currency)
    if kind == "share":
        return f"{float(value):.1%}"
    if kind == "interval":
        low, high = value
        return f"{float(low):+.1%} … {float(high):+.1%}"
    if kind == "count":
        return f"{value:,}" if isinstance(value, int) else f"{float(value):,.1f}"
    return f"{value:%Y-%m-%d %H:%M}" if hasattr(value, "strftime") and hasattr(value, "hour") else str(value)


def _charted(table: Table, chart: Chart | None, chinese: bool) -> dict[str, Any]:
    if chart is None or not table.rows:
        return {}
    columns = {column.key: column for column in table.columns}
    sets = [
        _series(table, columns[key], COLOURS[index % len(COLOURS)], chinese)
        for index, key in enumerate(chart.series)
        if key in columns
    ]
    spec = {"labels": [_text(row.get(chart.x)) or "–" for row in table.rows], "datasets": sets}
    legend = [{"colour": one["backgroundColor"], "label": one["label"]} for one in sets]
    return {"chart": json.dumps(spec, default=str), "chart_kind": chart.kind, "legend": legend}


def _series(table: Table, column: Column, colour: str, chinese: bool) -> dict[str, Any]:
    """One line or group of bars; money in major units."""
    currency = table.currency or settings.CURRENCY
    values = [row.get(column.key) for row in table.rows]
    if column.kind == "money":
        values = [None if value is None else float(to_major(int(value), currency)) for value in values]
    return {
        "label": column.title_zh if chinese and column.title_zh else column.title,
        "data": values,
        "backgroundColor": colour,
        "borderColor": colour,
        "displayYAxis": True,
        "maxBarThickness": 42,
        "borderRadius": 4,
        "tension": 0.3,
    }


def _csv(key: str, table: Table) -> HttpResponse:
    """The report as a file, in the operator's language."""
    text = "".join(table_csv(table, get_language() or "en"))
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{key}.csv"'
    return response
