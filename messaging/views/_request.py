"""What the views of recipients share: reading a request, the language of a page, and answers that nobody keeps."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from common.text import is_chinese, say, without_poison
from messaging.machines import Visit

PREFETCH = ("HTTP_PURPOSE", "HTTP_SEC_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")


def visit_of(request: HttpRequest) -> Visit:
    """Who asks, as far as the request tells."""
    said = " ".join(request.META.get(name, "") for name in PREFETCH).lower()
    return Visit(
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
        ip=ip_of(request),
        head=request.method == "HEAD",
        prefetch="prefetch" in said or "preview" in said,
    )


def ip_of(request: HttpRequest) -> str | None:
    """The client's address; behind a proxy of ours (BEHIND_PROXY) the last one it added."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.SECURE_PROXY_SSL_HEADER else ""
    given = forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")
    try:
        return str(ip_address(given))
    except ValueError:
        return None


def language_of(request: HttpRequest, locale: str = "") -> str:
    """The recipient's language if we know it, else the browser's first: "zh-hans" or "en"."""
    wished = locale or request.META.get("HTTP_ACCEPT_LANGUAGE", "").split(",")[0]
    return "zh-hans" if is_chinese(wished.strip() or "en") else "en"


def page(template: str, *, language: str, status: int = 200, **context: Any) -> HttpResponse:
    """A recipient's page: no script, nothing from elsewhere, kept by nobody. `say` in the template is a pair of
    texts by name, in the page's language."""
    nonce = secrets.token_urlsafe(12)
    brand = {"name": settings.BRAND_NAME, "url": settings.BRAND_URL, "address": settings.BRAND_ADDRESS}
    said = {"language": "zh-Hans" if language == "zh-hans" else "en", "brand": brand, "nonce": nonce, **context}
    response = HttpResponse(render_to_string(f"messaging/{template}.html", said), status=status)
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return private(response)


def texts(pairs: Mapping[str, tuple[str, str]], language: str, **values: object) -> dict[str, str]:
    """The texts of a page in one language, with values put in."""
    return {name: say(*pair, language).format(**values) for name, pair in pairs.items()}


GONE = {
    "title": ("This link does not work", "链接无效"),
    "lead": (
        "It may have been cut off on the way. Please open it again from the message itself.",
        "链接可能在传送中被截断。请回到原消息中重新打开。",
    ),
}


def not_found(request: HttpRequest) -> HttpResponse:
    """The one page for every token that is not good."""
    language = language_of(request)
    return page("notice", language=language, status=404, say=texts(GONE, language))


def private(response: HttpResponse) -> HttpResponse:
    """Not stored, not indexed, and telling nobody where the reader came from."""
    response["Cache-Control"] = "no-store, private"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Content-Type-Options"] = "nosniff"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def proof_of(request: HttpRequest, by: str, **more: Any) -> dict[str, Any]:
    """What is kept as the evidence of a statement made on a page."""
    agent = without_poison(request.META.get("HTTP_USER_AGENT", ""))[:400]
    return {"ip": ip_of(request) or "", "user_agent": agent, "by": by, **more}
