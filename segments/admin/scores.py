"""Boards of scores: RFM as a heat map, the flow between stages, bands of health; from each to people and segments."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import get_language, gettext, override
from django.utils.translation import gettext_lazy as _

from common import clock
from common.admin import route, show
from segments import boards, health_reads, overview
from segments.models import RfmEdges
from segments.models.known import STAGES, Band, Stage
from segments.patience import LONG, TooSlow, patient
from segments.rfm import CELL_OF
from segments.rfm_reads import CellValue, Movement, movement, value_at_risk
from segments.rfm_settings import edges_settings
from segments.rfm_words import cell_name
from segments.stage_reads import stage_flow

PERIODS = (7, 30, 90)
PAGE = 40
FEW = 100  # scored people, below whom fifths say little
HALVES = {"mean": _("the means"), "median": _("the medians"), "fixed": _("thresholds set by hand")}
AXES = {"r": "R", "f": "F", "m": "M"}


class ScoreRoutes:
    """Pages beside the list of segments; mixed into its admin."""

    page: Any

    @route("scores/rfm/", "segments.view_scores", methods=("GET",))
    def rfm(self, request: HttpRequest) -> HttpResponse:
        """The grid and the cells: how many, how much they spent, who came and went."""
        days = _days(request)
        octants, grid, cells = boards.by_octant(), boards.by_grid(), value_at_risk()
        most, moved = max((tally.people for tally in grid.values()), default=0), _movement(clock.now(), days)
        everybody, spent = sum(one.people for one in cells), sum(one.spent for one in cells)
        in_octants = sum(one.people for one in octants.values())
        answer: HttpResponse = self.page(
            request,
            "admin/segments/scores/rfm.html",
            gettext("RFM"),
            rows=[{"r": r, "cells": [_square(r, f, grid[r, f], most) for f in range(1, 6)]} for r in range(5, 0, -1)],
            columns=range(1, 6),
            cells=[_cell(one, everybody, spent, moved) for one in cells],
            octants=[_octant(key, one, in_octants) for key, one in octants.items()],
            slow=moved is None,
            basis=_basis(),
            edges=_edges(),
            moves=_largest(moved),
            scored=sum(tally.people for tally in grid.values()),
            slipping=sum(one.people_at_risk for one in cells),
            at_stake=show.money(sum(one.at_risk for one in cells)),
            **_period(days),
        )
        return answer

    @route("scores/stages/", "segments.view_scores", methods=("GET",))
    def stages(self, request: HttpRequest) -> HttpResponse:
        """Who stands where in the life cycle, and from where to where people moved in a period."""
        now, days = clock.now(), _days(request)
        flows = stage_flow(since=now - timedelta(days=days), until=now)
        moved = {(flow.before, flow.after): flow.moves for flow in flows if flow.after in STAGES}
        counts = overview.people_by_stage()
        answer: HttpResponse = self.page(
            request,
            "admin/segments/scores/stages.html",
            gettext("Stages"),
            stages=[{"one": one, "url": _people(stage=one.stage), "make": _make(stage=one.stage)} for one in counts],
            total=sum(one.people for one in counts),
            flow=_matrix(moved, ["", *STAGES], {"": gettext("not scored"), **dict(Stage.choices)}, list(STAGES)),
            heads=[str(Stage(stage).label) for stage in STAGES],
            moved=sum(moved.values()),
            **_period(days),
        )
        return answer

    @route("scores/health/", "segments.view_scores", methods=("GET",))
    def health(self, request: HttpRequest) -> HttpResponse:
        """The bands of health and the moves between them in a period."""
        now, days = clock.now(), _days(request)
        moved = health_reads.band_flow(since=now - timedelta(days=days), until=now)
        labels = {"": gettext("too little known"), **{band.value: str(band.label) for band in Band}}
        bands = health_reads.people_by_band()
        answer: HttpResponse = self.page(
            request,
            "admin/segments/scores/health.html",
            gettext("Health"),
            bands=[
                {
                    "one": one,
                    "label": labels[one.band],
                    "make": _make_band(one.band),
                    "url": f"{reverse('admin:segments_segment_health_people')}?{urlencode({'band': one.band})}",
                }
                for one in bands
            ],
            total=sum(one.people for one in bands),
            flow=_matrix(moved, list(labels), labels, list(labels)),
            heads=[str(label) for label in labels.values()],
            moved=sum(moved.values()),
            **_period(days),
        )
        return answer

    @route("scores/health/people/", "segments.view_profile", methods=("GET",))
    def health_people(self, request: HttpRequest) -> HttpResponse:
        """The people of one band, the worst first, each with the account of the score."""
        band = request.GET.get("band", "")
        band = band if band in Band.values else ""
        found = health_reads.people_of_band(
            band, get_language() or "en", after=_last_seen(request.GET.get("after", "")), limit=PAGE + 1
        )
        shown, last = found[:PAGE], found[PAGE - 1].row if len(found) > PAGE else None
        after = f"{last.score if band else 0}:{last.pk}" if last else ""
        answer: HttpResponse = self.page(
            request,
            "admin/segments/scores/health_people.html",
            _band_named(band),
            people=shown,
            next=f"?{urlencode({'band': band, 'after': after})}" if last else "",
            make=_make_band(band),
        )
        return answer

    @route("scores/people/", "segments.view_profile", methods=("GET",))
    def scored(self, request: HttpRequest) -> HttpResponse:
        """The people behind a number of a board, page by page."""
        where = boards.read_filters(request.GET.dict())
        after = request.GET.get("after", "")
        start = int(after) if after.isascii() and after.isdecimal() and len(after) < 18 else 0
        rows = boards.scored_people(where, after=start, limit=PAGE + 1)
        shown, more = rows[:PAGE], len(rows) > PAGE
        answer: HttpResponse = self.page(
            request,
            "admin/segments/scores/people.html",
            _named(where) or gettext("People"),
            people=[
                {
                    "row": row,
                    "stage": show.state_of(row, "stage"),
                    "cell": cell_name(row.cell),
                    "spent": show.money(row.spent),
                }
                for row in shown
            ],
            next=f"?{urlencode({**where, 'after': shown[-1].pk})}" if more else "",
            make=_make(**where) if where else "",
        )
        return answer


def _basis() -> str:
    """By what the scores are reckoned: the window, what M is, and how the limits were drawn."""
    chosen = edges_settings()
    window = gettext("orders of the last %(n)s days") % {"n": chosen.window_days}
    money = gettext("M is the average order") if chosen.money == "mean" else gettext("M is the sum of the orders")
    often = gettext("F counts days with an order") if chosen.counted == "days" else gettext("F counts orders")
    limits = gettext("thresholds set by hand") if chosen.mode == "fixed" else gettext("fifths of the people")
    return f"{window} · {often} · {money} · {limits} · {gettext('quadrants')}: {HALVES[chosen.octants]}"


def _edges() -> dict[str, Any]:
    """The limits in force as they are read, of whom, as of when, and whether fifths of so few say anything."""
    row = RfmEdges.objects.order_by("-computed_at", "-pk").first()
    if row is None:
        return {}
    plain = {axis: " · ".join(f"{edge:g}" for edge in getattr(row, axis)) for axis in ("recency", "frequency")}
    money = " · ".join(show.money(round(edge)) for edge in row.monetary)
    return {"row": row, "few": row.mode == "quantile" and row.population < FEW, **plain, "money": money}


def _last_seen(text: str) -> tuple[float, int] | None:
    """The score and the id of the last person of a page, as its address tells them."""
    met = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,20})?):([0-9]{1,17})", text, re.ASCII)
    return (float(met[1]), int(met[2])) if met else None


def _movement(now: datetime, days: int) -> Movement | None:
    """Who was in which cell some days ago and is where now; None when the log is too long for a page."""
    try:
        with patient(LONG):
            return movement(since=now - timedelta(days=days))
    except TooSlow:
        return None


def _largest(moved: Movement | None, limit: int = 12) -> list[dict[str, Any]]:
    """The most frequent ways from one cell to another."""
    ways = [(people, *way) for way, people in (moved.counts if moved else {}).items() if way[0] != way[1]]
    nowhere = gettext("nowhere")
    ordered = sorted(ways, key=lambda way: (-way[0], way[1:]))[:limit]
    return [
        {"before": cell_name(before) or nowhere, "after": cell_name(after) or nowhere, "people": people}
        for people, before, after in ordered
    ]


def _days(request: HttpRequest) -> int:
    text = request.GET.get("days", "")
    return int(text) if text in map(str, PERIODS) else 30


def _period(days: int) -> dict[str, Any]:
    return {"days": days, "periods": PERIODS}


def _square(r: int, f: int, tally: boards.Tally, most: int) -> dict[str, Any]:
    """One square of the grid; its colour is its share of the fullest."""
    return {
        "r": r, "f": f, "people": tally.people, "spent": show.money(tally.spent), "name": cell_name(CELL_OF[f"{r}{f}"]),
        "heat": _heat(tally.people, most), "url": _people(r=r, f=f),
    }  # fmt: skip


def _heat(people: int, most: int) -> int:
    """How dark a square is, in per cent."""
    return round(50 * people / most) if most else 0


def _cell(one: CellValue, everybody: int, spent: int, moved: Movement | None) -> dict[str, Any]:
    """One line of the cells: people, money, what of it is at risk, who came and went."""
    return {
        "key": one.cell, "name": cell_name(one.cell), "people": one.people, "bar": show.bar(one.people, everybody),
        "spent": show.money(one.spent), "share": f"{one.spent / spent:.1%}" if spent > 0 else "–",
        "at_risk": show.money(one.at_risk), "came": moved.entered(one.cell) if moved else "–",
        "went": moved.left(one.cell) if moved else "–", "url": _people(cell=one.cell), "make": _make(cell=one.cell),
    }  # fmt: skip


def _octant(key: str, tally: boards.Tally, everybody: int) -> dict[str, Any]:
    return {
        "key": key, "name": cell_name(key), "bar": show.bar(tally.people, everybody), "spent": show.money(tally.spent),
        "url": _people(octant=key), "make": _make(octant=key),
    }  # fmt: skip


def _matrix(
    moved: dict[tuple[str, str], int], befores: list[str], labels: dict[str, Any], afters: list[str]
) -> list[dict[str, Any]]:
    """Rows of from, columns of to; the colour is the share of the largest move."""
    most = max(moved.values(), default=0)
    return [
        {
            "label": str(labels[before]),
            "cells": [
                {"people": people, "heat": _heat(people, most), "same": before == after}
                for after in afters
                for people in [moved.get((before, after), 0)]
            ],
        }
        for before in befores
    ]


def _people(**where: Any) -> str:
    return f"{reverse('admin:segments_segment_scored')}?{urlencode(where)}"


def _make(**where: Any) -> str:
    """The address that begins a segment of the same people."""
    key = "-".join(f"{name}-{value}" for name, value in where.items())
    return _begin(boards.rule_of(where), key, lambda: _named(where))


def _make_band(band: str) -> str:
    key = band or "unknown"
    rule = {"op": "health", "params": {"bands": [key]}}
    return _begin(rule, f"health-{key}", lambda: _band_named(band))


def _band_named(band: str) -> str:
    return f"{gettext('Health')}: {Band(band).label if band else gettext('too little known')}"


def _begin(rule: dict[str, Any], key: str, named: Callable[[], str]) -> str:
    """The address of a new segment; it has a name in each language, whatever the operator reads."""
    given = {"rule": json.dumps(rule), "key": key.replace("_", "-")}
    for field, language in (("name", "en"), ("name_zh", "zh-hans")):
        with override(language):
            given[field] = named()
    return f"{reverse('admin:segments_segment_add')}?{urlencode(given)}"


def _named(where: dict[str, Any]) -> str:
    """What a set of filters is called: "RFM: Champions", "R 5 · F 4"."""
    words = [f"RFM: {cell_name(where[name])}" for name in ("cell", "octant") if name in where]
    words += [f"{AXES[axis]} {where[axis]}" for axis in AXES if axis in where]
    words += [str(Stage(where["stage"]).label)] if "stage" in where else []
    words += [_band_named(where["band"])] if "band" in where else []
    return " · ".join(words)
