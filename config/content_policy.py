"""What a page of the admin may load and where it may send: only its own house (Content Security Policy, level 3).

The theme's Alpine and htmx evaluate expressions that stand in attributes, so scripts may use eval; inline scripts and
scripts from elsewhere may not run. The theme writes its colours as inline styles, so styles may stand inline.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self' 'unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "frame-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
))  # fmt: skip
HEADER = "Content-Security-Policy"


def content_policy(answer: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: pages under /admin/ carry the policy, unless a page has brought a stricter one of its own."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = answer(request)
        html = response.get("Content-Type", "").startswith("text/html")
        if html and request.path_info.startswith("/admin/") and HEADER not in response:
            response[HEADER] = POLICY
        return response

    return middleware
