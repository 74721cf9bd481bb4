"""A drawn flow as the page's template wants it: with what the lints say at each step, or with the people there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import get_language

from campaigns import overview
from campaigns.flow import TRIGGER, Drawing, draw
from campaigns.lints import Finding
from campaigns.models import Journey


def plain(drawing: Drawing, findings: Iterable[Finding] = ()) -> dict[str, Any]:
    """The drawing without figures; `findings` stand at their steps."""
    said: dict[str, list[Finding]] = {}
    for one in findings:
        said.setdefault(one.node or (TRIGGER if one.place.split(".")[0] in ("trigger", "entry") else ""), []).append(
            one
        )
    boxes = [{"box": box, "findings": said.get(box.key, [])} for box in drawing.boxes]
    return {"drawing": drawing, "boxes": boxes, "counts": False}


def peopled(journey: Journey, graph: Mapping[str, Any]) -> dict[str, Any]:
    """The flow with the people who stand at each step now and those who came through."""
    here, through = overview.here_now(journey.pk), overview.came_through(journey.pk)
    drawing = draw(graph, language=get_language() or "en")
    where = reverse("admin:campaigns_enrolment_changelist")
    boxes = [
        {
            "box": box,
            "here": here.get(box.key, 0),
            "through": through.get(box.key, 0),
            "link": f"{where}?journey__id__exact={journey.pk}&node={box.key}&state__exact=active",
            "counted": box.key != TRIGGER,
        }
        for box in drawing.boxes
    ]
    return {"drawing": drawing, "boxes": boxes, "counts": True}
