"""The recipes page: complete journeys, to install with one press, safe to press twice."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import get_language, gettext

from campaigns.flow import draw
from campaigns.install import UnknownRecipe, install_recipe, read_recipe, recipe_keys
from campaigns.models import Journey
from common import clock
from common.admin import complain
from common.params import Invalid
from common.text import say


def recipes(request: HttpRequest) -> HttpResponse:
    """What can be installed, and what is."""
    if not request.user.has_perm("campaigns.view_journey"):
        raise PermissionDenied
    there = {journey.key: journey for journey in Journey.objects.exclude(recipe="")}
    rows = [_row(read_recipe(key), there) for key in recipe_keys()]
    context = {**admin.site.each_context(request), "title": gettext("Recipes"), "recipes": rows}
    return TemplateResponse(request, "admin/recipes/index.html", context)


def install(request: HttpRequest, key: str) -> HttpResponse:
    """Install one as drafts; publishing it at once takes the right to publish as well."""
    if not request.user.has_perm("campaigns.install_recipe"):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    publishing = request.POST.get("publish") == "yes"
    if publishing and not request.user.has_perms(["campaigns.publish_journey", "messaging.publish_template"]):
        raise PermissionDenied
    try:
        report = install_recipe(key, now=clock.now(), by=request.user, publishing=publishing)
    except UnknownRecipe:
        raise Http404 from None
    except Invalid as error:
        complain(request, list(error.problems))
        return HttpResponseRedirect(reverse("admin:recipes"))
    figures = {"made": len(report.made), "found": len(report.found)}
    messages.success(request, gettext("Installed: %(made)s things made, %(found)s were there already.") % figures)
    if report.journey is None:
        return HttpResponseRedirect(reverse("admin:recipes"))
    return HttpResponseRedirect(reverse("admin:campaigns_journey_change", args=[report.journey.pk]))


def _row(recipe: dict[str, Any], there: dict[str, Journey]) -> dict[str, Any]:
    drawing = draw(recipe["journey"]["graph"], language=get_language() or "en")
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
