"""The gallery: every starter message as it will look, in both languages, and one press to make it a draft."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import get_language, gettext

from common import clock
from common.admin import Page, route
from common.text import is_chinese, say
from messaging.admin.frames import sandboxed
from messaging.models import Template
from messaging.models.classes import MessageClass
from messaging.publish import preview_template
from messaging.starters import draft_of_starter, read_starter, starter_keys, unsaved

LOCALES = ("en", "zh-Hans")
FIRST = "new-user-welcome"
ORDER = (
    "confirm-subscription", "new-user-welcome", "new-user-reminder", "onboarding-start", "onboarding-first",
    "onboarding-team", "browse-reminder", "cart-reminder", "order-receipt", "new-user-guide", "nps-survey",
    "nps-promoter", "nps-detractor", "replenishment", "weekly-digest", "birthday", "midtier-offer", "vip-perk",
    "referral-invite", "referral-thanks", "growth-congratulation", "growth-nudge", "growth-level", "winback-reminder",
    "winback-offer", "sunset-last-call",
)  # fmt: skip
KEPT = 300  # seconds that a browser may keep a picture of a starter


class GalleryRoutes(Page):
    """Views for the admin of templates: the gallery, a starter in its frame, and a draft made from it."""

    @route("gallery/", "messaging.view_template", methods=("GET",))
    def gallery(self, request: HttpRequest) -> HttpResponse:
        """Every starter with its purpose, and whether a template of that key is there."""
        locale = _locale(request)
        there = set(Template.objects.filter(key__in=starter_keys()).values_list("key", flat=True))
        return self.page(
            request,
            "admin/messaging/template/gallery.html",
            gettext("Starter messages"),
            starters=[_card(key, there) for key in sorted(starter_keys(), key=_place)],
            locale=locale,
            locales=LOCALES,
        )

    @route("gallery/frame/", "messaging.view_template", methods=("GET",))
    def starter_frame(self, request: HttpRequest) -> HttpResponse:
        """One starter with its sample data, alone."""
        key = request.GET.get("key", FIRST)
        if key not in starter_keys():
            raise Http404
        found = preview_template(unsaved(key), locale=_locale(request))
        return sandboxed(found.parts["html"], max_age=KEPT)

    @route("gallery/use/", "messaging.add_template")
    def use_starter(self, request: HttpRequest) -> HttpResponse:
        """Make a draft of it and go there."""
        key = request.POST.get("key", "")
        if key not in starter_keys():
            raise Http404
        template = draft_of_starter(key, now=clock.now(), by=request.user)
        said = gettext("A draft is made. Make the words yours, try them as a person, and publish.")
        return self.back(request, reverse("admin:messaging_template_change", args=[template.pk]), said)


def _locale(request: HttpRequest) -> str:
    """The language asked for, or the one that the operator reads."""
    wished = request.GET.get("locale", "")
    return wished if wished in LOCALES else LOCALES[is_chinese(get_language())]


def _place(key: str) -> tuple[int, str]:
    """The order of a customer's life; what it does not name comes last."""
    return (ORDER.index(key) if key in ORDER else len(ORDER), key)


def _card(key: str, there: set[str]) -> dict[str, Any]:
    data = read_starter(key)
    return {
        "key": key,
        "name": say(data["name"], data["name_zh"]),
        "about": say(data["about"], data["about_zh"]),
        "klass": MessageClass(data["klass"]).label,
        "there": key in there,
    }
