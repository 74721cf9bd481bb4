"""The click map of a template: a page of its own beside the editor."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from common.admin import Page, route
from messaging.clickmap import click_map


class ClickRoutes(Page):
    """A view that the templates' pages lend themselves."""

    @route("<int:pk>/clicks/", "messaging.view_template", methods=("GET",))
    def clicks(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Where people click, version by version, machines apart."""
        template = self.find(request, pk)
        versions = list(template.versions.order_by("-number")[:50])
        number = request.GET.get("version", "")
        chosen = next((one for one in versions if str(one.number) == number), versions[0] if versions else None)
        return self.page(
            request,
            "admin/messaging/template/clicks.html",
            gettext("Clicks: %(template)s") % {"template": template.title},
            row=template,
            original=template,
            versions=versions,
            map=click_map(chosen) if chosen else None,
        )
