"""The outbox page: depth, lag, speed and doubt, by campaign and account; and acting on many messages at once."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from common import clock
from common.admin import Page, reason_of, route
from messaging.outbox import bulk, watch
from messaging.outbox.books import standing
from messaging.reasons import in_words

# in a request → of a message; "reason" is what a person types
SCOPES = {
    "campaign": "campaign",
    "journey": "journey",
    "channel": "channel",
    "class": "klass",
    "account": "account__key",
    "because": "reason",
}
RIGHTS = {
    bulk.CANCEL: "messaging.cancel_delivery",
    bulk.RETRY: "messaging.resend_delivery",
    bulk.RESEND: "messaging.resend_delivery",
}
TITLES = {
    bulk.CANCEL: _("Cancel waiting messages"),
    bulk.RETRY: _("Try held messages now"),
    bulk.RESEND: _("Send messages in doubt once more"),
}
DONE = {
    bulk.CANCEL: _("Cancelled: %(n)s."),
    bulk.RETRY: _("Planned for now: %(n)s. Every gate looks again."),
    bulk.RESEND: _("Planned once more: %(n)s. Every gate looks again."),
}


class OutboxPages(Page):
    """Views that the list of messages lends to its outbox."""

    @route("outbox/", "messaging.view_delivery", methods=("GET",))
    def outbox(self, request: HttpRequest) -> HttpResponse:
        """How much waits, since when, how fast it goes and where it is stuck."""
        now = clock.now()
        box = watch.look(now)
        alarms, counted = standing(now)
        return self.page(
            request,
            "admin/messaging/delivery/outbox.html",
            gettext("Outbox"),
            box=box,
            minutes=int(box.lag.total_seconds() // 60),
            held=[(reason, in_words(reason), count) for _state, reason, count in box.reasons],
            alarms=alarms,
            counted=counted,
            now=now,
        )

    @route("bulk/", "messaging.view_delivery", methods=("GET", "POST"))
    def bulk(self, request: HttpRequest) -> HttpResponse:
        """First how many it concerns; then, by POST with that number and a reason, done and audited."""
        asked = request.POST if request.method == "POST" else request.GET
        action = asked.get("action", "")
        chosen = {field: asked[name][:120] for name, field in SCOPES.items() if name in asked}
        now, where = clock.now(), reverse("admin:messaging_delivery_outbox")
        if action not in RIGHTS:
            return self.back(request, where, gettext("Choose here what is to be done."), level=messages.WARNING)
        if not request.user.has_perm(RIGHTS[action]):
            return self.back(request, where, gettext("You may not do that."), level=messages.ERROR)
        why, number = reason_of(request), asked.get("confirmed", "")
        if request.method == "POST" and why and number.isdecimal():
            return self._act(request, action, int(number[:9]), why, chosen)
        if request.method == "POST":
            messages.error(request, gettext("Say why."))
        count = bulk.concerned(action, now=now, **chosen).count()
        given = {name: asked[name][:120] for name in SCOPES if name in asked}
        shown = {"action": action, "chosen": given, "count": count, "where": where}
        return self.page(request, "admin/messaging/delivery/bulk.html", str(TITLES[action]), **shown)

    def _act(self, request: HttpRequest, action: str, confirmed: int, why: str, chosen: dict[str, Any]) -> HttpResponse:
        where = reverse("admin:messaging_delivery_outbox")
        try:
            done = bulk.act(action, confirmed=confirmed, by=request.user, why=why, now=clock.now(), **chosen)
        except bulk.Grown as error:
            said = gettext("Nothing was done: %(n)s would be concerned now, and you confirmed %(confirmed)s.")
            said = said % {"n": error.found, "confirmed": error.confirmed}
            return self.back(request, where, said, level=messages.WARNING)
        return self.back(request, where, str(DONE[action]) % {"n": done})
