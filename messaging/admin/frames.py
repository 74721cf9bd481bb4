"""A message's body in a frame of its own: on an opaque origin, where no script runs and nothing of ours is reached."""

from __future__ import annotations

from django.http import HttpResponse

# What a preview may load: its own styles and images; nothing that runs, nothing of ours.
SANDBOX = "sandbox; default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'; font-src https: data:"


def sandboxed(body: str, *, max_age: int = 0) -> HttpResponse:
    """The body as a page that our own pages may frame; kept by the browser for `max_age` seconds."""
    response = HttpResponse(body)
    response["Content-Security-Policy"] = SANDBOX
    response["Referrer-Policy"] = "no-referrer"
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["Cache-Control"] = f"private, max-age={max_age}" if max_age else "no-store"
    return response
