"""What the rule builder asks while a rule is written: its new boxes, and how many people it holds and why."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import get_language

from common import clock
from common.admin import route
from common.params import Problem
from segments.admin.builder import change_draft, draw, drawn, focus_after, read_posted
from segments.admin.builder.form import Posted
from segments.admin.builder.problems import in_words, is_below, prove
from segments.admin.builder.tree import can_be_drawn, kind_of, spots
from segments.admin.builder.words import question, word
from segments.live import Look, first_look, long_look
from segments.rules.explain import sentence
from segments.rules.operators import operators
from segments.rules.tree import Rule


class RuleRoutes:
    """Three fragments. Each is posted the whole form and keeps nothing, so any process may answer."""

    @route("builder/", "segments.change_segment", methods=("POST",))
    def builder(self, request: HttpRequest) -> HttpResponse:
        """The boxes after what a person did: `do` a verb `at` a place, `with` a word."""
        verb, place, value = (request.POST.get(name, "") for name in ("do", "at", "with"))
        posted, fresh = change_draft(_posted(request), verb, place, value)
        answer = HttpResponse(draw(posted, fresh=fresh, focus=focus_after(verb, place, value)))
        answer["HX-Trigger-After-Settle"] = "ruleChanged"
        return answer

    @route("preview/", "segments.view_segment", methods=("POST",))
    def preview(self, request: HttpRequest) -> HttpResponse:
        """Sentence, number and ten people of a rule before it is saved, or all that is wrong with it; and beside it,
        for the builder, what each field is told."""
        posted, language = _posted(request), get_language() or "en"
        rule, problems = _proven(posted, request)
        context: dict[str, Any] = {"problems": [_placed(posted, one) for one in problems]}
        if rule is not None:
            context |= _shown(first_look(rule, now=clock.now(), language=language))
            context["said"] = sentence(rule, language)
        if posted.view == "builder" and can_be_drawn(posted.raw):
            context["nodes"] = drawn(posted.raw, problems).walk()
        return TemplateResponse(request, "admin/segments/segment/preview.html", context)

    @route("exact/", "segments.view_segment", methods=("POST",))
    def exact(self, request: HttpRequest) -> HttpResponse:
        """The exact number and the people, where the first look only estimated."""
        language = get_language() or "en"
        rule, _problems = _proven(_posted(request), request)
        look = long_look(rule, now=clock.now(), language=language) if rule else Look(None)
        return TemplateResponse(request, "admin/segments/segment/people.html", _shown(look))


def _posted(request: HttpRequest) -> Posted:
    return read_posted(request.POST) or Posted({"all": []}, "builder")


def _proven(posted: Posted, request: HttpRequest) -> tuple[Rule | None, list[Problem]]:
    if posted.problems:
        return None, [Problem("", said) for said in posted.problems]
    return prove(posted.raw, key=request.POST.get("key", ""))


def _placed(posted: Posted, problem: Problem) -> str:
    """A problem with its place: in boxes by the names of question and field, in JSON by its path."""
    said = in_words(problem.message)
    if not problem.path or posted.view == "json":
        return f"{problem.path}: {said}".removeprefix(": ")
    for spot in spots(posted.raw):
        if kind_of(spot.node) == "op" and spot.node["op"] in operators and is_below(problem.path, spot.path):
            below = problem.path.removeprefix(spot.path).removeprefix(".").removeprefix("params").removeprefix(".")
            field = word(below.partition(".")[0]).capitalize() if below else ""
            return " › ".join(filter(None, [question(spot.node["op"]), field])) + f": {said}"
    return said


def _shown(look: Look) -> dict[str, Any]:
    return {"look": look, "count": look.count, "samples": look.seen}
