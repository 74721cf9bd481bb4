"""The admin tells time in the workspace's zone; everything else stays in UTC."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from common.periods import zone


def workspace_zone(answer: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: under /admin/ times are shown, and typed, in WORKSPACE_ZONE."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/admin/"):
            return answer(request)
        with timezone.override(zone(settings.WORKSPACE_ZONE)):
            return answer(request)

    return middleware
