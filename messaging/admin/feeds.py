"""Feeds in the admin: where they lead, what is sent there, how they are doing, and asking one now."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter

from common import audit, clock
from common.admin import NoDelete, Page, route, show
from messaging.feed.address import faults, slots
from messaging.feed.feeding import try_now
from messaging.feed.fetch import RESERVED, SECRET, SECRET_NAME
from messaging.feed.kept import is_resting
from messaging.feed.words import in_words
from messaging.models import Feed
from messaging.render.preview import sample_of

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,60}")


class FeedForm(forms.ModelForm):  # type: ignore[type-arg]
    """Everything that is wrong with a feed, at its field and before anything is asked."""

    class Meta:
        model = Feed
        fields = [
            "name", "name_zh", "key", "url", "headers", "pick", "ttl", "stale", "timeout", "fallback", "sample",
            "active",
        ]  # fmt: skip

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        found = faults(url)
        if found:
            raise ValidationError([ValidationError(fault) for fault in found])
        return url

    def clean_fallback(self) -> Any:
        return self._json("fallback")

    def clean_sample(self) -> Any:
        return self._json("sample")

    def _json(self, name: str) -> Any:
        """An empty box is no value; {} is one."""
        return self.cleaned_data[name] if str(self[name].data or "").strip() else None

    def clean_headers(self) -> dict[str, str]:
        headers = self.cleaned_data["headers"] or {}
        if not isinstance(headers, dict):
            raise ValidationError(gettext('Headers are names with texts: {"Accept-Language": "en"}'))
        found = [fault for name, value in headers.items() for fault in _header_faults(name, value)]
        if found:
            raise ValidationError([ValidationError(fault) for fault in found])
        return headers


def _header_faults(name: str, value: Any) -> list[str]:
    said, bare = {"name": name[:60], "prefix": SECRET_NAME}, name.removesuffix(SECRET)
    if not TOKEN.fullmatch(bare) or bare.lower() in RESERVED:
        return [gettext("A header of the name %(name)s cannot be set.") % said]
    if not isinstance(value, str) or len(value) > 500 or not value.isascii() or not value.isprintable():
        return [gettext("The header %(name)s is no plain text in one line.") % said]
    if name.endswith(SECRET) and not re.fullmatch(rf"{SECRET_NAME}[A-Z0-9_]+", value):
        return [gettext("%(name)s names an environment variable that begins with %(prefix)s.") % said]
    if not name.endswith(SECRET) and bare.lower() in ("authorization", "cookie", "x-api-key"):
        return [gettext("No secret is typed here: write %(name)s_env and the name of a variable.") % said]
    return []


@admin.register(Feed)
class FeedAdmin(NoDelete, Page):
    """Feeds. Who may change one decides which server learns what about people: administrators."""

    hint = _("No feed yet. A feed brings another server's JSON into templates; its host must stand in FEED_HOSTS.")
    form = FeedForm
    list_display = ["title", "written", "host", "learns", "the_state", "answered_at", "went_wrong"]
    list_filter = [("active", BooleanRadioFilter)]
    search_fields = ["key", "name", "name_zh", "url"]
    ordering = ["key"]
    prepopulated_fields: dict[str, Any] = {}
    readonly_fields = ["the_state", "learns", "asked_at", "answered_at", "went_wrong"]
    change_form_outer_before_template = "admin/messaging/feed/verbs.html"
    fieldsets = [
        (None, {"fields": ["name", "name_zh", "key", "active"]}),
        (_("Where"), {"fields": ["url", "headers", "pick"]}),
        (_("How long"), {"fields": ["ttl", "stale", "timeout"]}),
        (_("Without an answer"), {"fields": ["fallback", "sample"]}),
        (_("How it is doing"), {"fields": ["the_state", "learns", "asked_at", "answered_at", "went_wrong"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*self.readonly_fields, "key"] if obj else self.readonly_fields

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if "url" in form.base_fields:
            hosts = ", ".join(settings.FEED_HOSTS) or gettext("none")
            form.base_fields["url"].help_text = gettext(
                "Hosts allowed: %(hosts)s. Variables in braces: {locale}, {profile.city}, {event.properties.sku}."
            ) % {"hosts": hosts}
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write the row and its audit entry; what the address said before is forgotten with it."""
        super().save_model(request, obj, form, change)
        if change and {"url", "headers", "pick"} & set(form.changed_data):
            obj.values.all().delete()
            Feed.objects.filter(pk=obj.pk).update(failures=0, open_until=None, error="")
        verb = "feed.changed" if change else "feed.added"
        detail = {"fields": form.changed_data, "sends": slots(obj.url)}
        audit.record(verb, f"feed:{obj.key}", now=clock.now(), actor=request.user, detail=detail)

    @route("<int:pk>/ask/", "messaging.ask_feed")
    def ask(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask the server once with sample data, and keep its answer as the sample."""
        feed, now = self.find(request, pk), clock.now()
        got = try_now(feed, {**sample_of({}, "en"), "locale": "en"}, now=now)
        audit.record("feed.asked", f"feed:{feed.key}", now=now, actor=request.user, detail={"error": got.error})
        where = reverse("admin:messaging_feed_change", args=[pk])
        if got.error:
            said = gettext("No answer to use: %(error)s") % {"error": in_words(got.error)}
            return self.back(request, where, said, level=messages.ERROR)
        return self.back(request, where, gettext("It answered; the answer is kept as the sample."))

    @admin.display(description=_("name"), ordering="name")
    def title(self, feed: Feed) -> str:
        return feed.title

    @admin.display(description=_("in templates"), ordering="key")
    def written(self, feed: Feed) -> SafeString | str:
        return show.code(f"{{{{ feeds.{feed.key} }}}}")

    @admin.display(description=_("host"))
    def host(self, feed: Feed) -> str:
        return feed.url.partition("://")[2].partition("/")[0]

    @admin.display(description=_("learns about people"))
    def learns(self, feed: Feed) -> SafeString | str:
        names = [name for name in slots(feed.url) if name != "locale"]
        return show.pill("held", ", ".join(names)) if names else gettext("nothing")

    @admin.display(description=_("last error"))
    def went_wrong(self, feed: Feed) -> str:
        return in_words(feed.error) or "–"

    @admin.display(description=_("state"))
    def the_state(self, feed: Feed) -> SafeString | str:
        if not feed.active:
            return show.pill("cancelled", _("off"))
        if is_resting(feed, clock.now()):
            return show.pill("held", _("left alone after failures"))
        if feed.failures:
            return show.pill("failed", _("failing"))
        return show.pill("active", _("answers")) if feed.answered_at else show.pill("draft", _("not asked yet"))
