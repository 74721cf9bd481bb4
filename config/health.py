"""What load balancers and alarms ask: is this process able to answer, and is the installation at work."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache


@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when this process reaches its database."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"ready": False}, status=503)
    return JsonResponse({"ready": True})


@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when nothing is red, else 503; the findings by id (their meaning is in docs/checks.md)."""
    from config.doctor import examine

    findings = examine()
    red = [finding.id for finding in findings if finding.level == "red"]
    body = {"healthy": not red, "red": red, "findings": [finding.as_dict() for finding in findings]}
    return JsonResponse(body, status=503 if red else 200)
