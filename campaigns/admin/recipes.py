"""The recipes page: complete journeys, to install with one press, safe to press twice."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import get_language, gettext

from campaigns.asks import answered, asks_of
from campaigns.flow import draw
from campaigns.install import UnknownRecipe, install_recipe, preview, read_recipe, recipe_keys
from campaigns.models import Journey
from common import clock
from common.params import Invalid, Problem
from common.text import say
from common.told import tell


def recipes(request: HttpRequest) -> HttpResponse:
    """What can be installed, and what is."""
    if not request.user.has_perm("campaigns.view_journey"):
        raise PermissionDenied
    there = {journey.key: journey for journey in Journey.objects.exclude(recipe="")}
    rows = [_row(read_recipe(key), there) for key in recipe_keys()]
    context = {**admin.site.each_context(request), "title": gettext("Recipes"), "recipes": rows}
    return TemplateResponse(request, "admin/recipes/index.html", context)


def install(request: HttpRequest, key: str) -> HttpResponse:
    """First what would be made and what is asked; then, by POST, install it as drafts. Publishing it at once takes the
    right to publish as well."""
    if not request.user.has_perm("campaigns.install_recipe"):
        raise PermissionDenied
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "POST"])
    try:
        recipe = read_recipe(key)
    except UnknownRecipe:
        raise Http404 from None
    asks = asks_of(recipe)
    answers = {ask.key: request.POST.get(f"ask:{ask.key}", "").replace("\x00", "") for ask in asks}
    if request.method != "POST":
        return _before(request, recipe, {ask.key: ask.shown for ask in asks}, [])
    publishing = request.POST.get("publish") == "yes"
    if publishing and not request.user.has_perms(["campaigns.publish_journey", "messaging.publish_template"]):
        raise PermissionDenied
    try:
        report = install_recipe(key, now=clock.now(), by=request.user, publishing=publishing, answers=answers)
    except Invalid as error:
        return _before(request, recipe, answers, list(error.problems))
    figures = {"made": len(report.made), "found": len(report.found)}
    messages.success(request, gettext("Installed: %(made)s things made, %(found)s were there already.") % figures)
    if report.waits:
        messages.warning(request, report.waits)
    if report.journey is None:
        return HttpResponseRedirect(reverse("admin:recipes"))
    return HttpResponseRedirect(reverse("admin:campaigns_journey_change", args=[report.journey.pk]))


def _before(
    request: HttpRequest, recipe: dict[str, Any], answers: dict[str, Any], problems: list[Problem]
) -> HttpResponse:
    """What installing would make, what it would find, and what it asks."""
    told = {problem.path.removeprefix("asks."): tell(problem.message) for problem in problems}
    context = {
        **admin.site.each_context(request),
        "title": gettext("Install %(recipe)s") % {"recipe": say(recipe["name"], recipe["name_zh"])},
        "recipe": _row(recipe, {}),
        "asks": [(ask, answers.get(ask.key, ""), told.get(ask.key, "")) for ask in asks_of(recipe)],
        "problems": [one for one in problems if not one.path.startswith("asks.")],
        "items": preview(_drawn(recipe)),
    }
    return TemplateResponse(request, "admin/recipes/install.html", context, status=400 if problems else 200)


def _drawn(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with the defaults of what it asks, where it has them."""
    try:
        return answered(recipe, {})
    except Invalid:
        return recipe


def _row(recipe: dict[str, Any], there: dict[str, Journey]) -> dict[str, Any]:
    drawing = draw(_drawn(recipe)["journey"]["graph"], language=get_language() or "en")
    return {
        "key": recipe["key"],
        "name": say(recipe["name"], recipe["name_zh"]),
        "about": say(recipe["about"], recipe["about_zh"]),
        "steps": [box for box in drawing.boxes if box.type not in ("trigger", "exit")],
        "starts": next((box.said for box in drawing.boxes if box.type == "trigger"), ""),
        "holdout": f"{recipe['campaign'].get('holdout') or 0:.0%}",
        "templates": len(recipe["templates"]),
        "journey": there.get(recipe["journey"]["key"]),
    }
