"""The signed redirect and the open pixel."""

from __future__ import annotations

import base64
import logging

from django.http import HttpRequest, HttpResponse
from django.utils.encoding import iri_to_uri
from django.views.decorators.http import require_safe

from common.clock import now as clock_now
from messaging import tokens
from messaging.answers import record_click, record_open
from messaging.models import Link
from messaging.places import is_web
from messaging.tokens import BadToken, Named, Purpose
from messaging.views._request import not_found, private, visit_of

log = logging.getLogger(__name__)
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@require_safe
def click(request: HttpRequest, token: str) -> HttpResponse:
    """302 to the destination that was signed, byte for byte. Recording must not stand in a reader's way."""
    try:
        named = tokens.read(Purpose.CLICK, token)
    except BadToken:
        return not_found(request)
    url = destination(named)
    if not url:
        return not_found(request)
    try:
        record_click(named, visit_of(request), now=clock_now())
    except Exception:  # the reader goes on whatever happens to our books
        log.exception("click on delivery %s could not be recorded", named.delivery)
    response = HttpResponse(status=302)
    response["Location"] = url if url.isascii() else iri_to_uri(url)
    return private(response)


def destination(named: Named) -> str:
    """Where a click token leads: the address in it, or that of its Link row; "" when there is none."""
    url = named.url or Link.objects.filter(pk=named.link).values_list("url", flat=True).first() or ""
    return url if is_web(url) and not any(ch < " " or ch == "\x7f" for ch in url) else ""


@require_safe
def opened(request: HttpRequest, token: str) -> HttpResponse:
    """The pixel, and the same pixel for a token that is not good."""
    try:
        record_open(tokens.read(Purpose.OPEN, token), visit_of(request), now=clock_now())
    except BadToken:
        pass
    except Exception:  # an image must not break a message
        log.exception("an open could not be recorded")
    return private(HttpResponse(PIXEL, content_type="image/gif"))
