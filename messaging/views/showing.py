"""View in browser: the message again, on an origin of its own where no script runs and no cookie is."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from messaging import tokens
from messaging.models import Delivery
from messaging.outbox.parcels import read_parcels
from messaging.render import Rendered, render_group
from messaging.tokens import BadToken, Purpose
from messaging.views._request import not_found, private

POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src http: https: data:;"
    " style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
SENT = ("attempting", "in_doubt", "accepted", "unknown")


@require_safe
def view(request: HttpRequest, token: str) -> HttpResponse:
    """The HTML of a message that was sent, rendered again for the person it went to."""
    try:
        named = tokens.read(Purpose.VIEW, token)
    except BadToken:
        return not_found(request)
    row = Delivery.objects.filter(pk=named.delivery, ghost=False, state__in=SENT, profile__erased_at=None)
    parcels = read_parcels(list(row.values_list("pk", flat=True)))
    pages = render_group([parcel.job for parcel in parcels]) if parcels else []
    html = pages[0].parts.get("html", "") if pages and isinstance(pages[0], Rendered) else ""
    if not html:
        return not_found(request)
    response = private(HttpResponse(html))
    response["Content-Security-Policy"] = POLICY
    return response
