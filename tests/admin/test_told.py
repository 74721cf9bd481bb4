"""Faults that an operator reads in the admin are told in the operator's language."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from segments.models import ImportJob, RejectedRow
from tests.people import NOW, make_source

pytestmark = pytest.mark.django_db
CHINESE = {"accept-language": "zh-hans"}


def row(code: str, reason: str) -> RejectedRow:
    return RejectedRow.objects.create(source=make_source(), received_at=NOW, code=code, reason=reason, payload="{}")


def test_reasons_of_refused_rows(shop: Any, login: Any) -> None:
    client = login("admin")
    one = row("unknown_type", "'trak' is none of alias, track")
    page = reverse("admin:segments_rejectedrow_change", args=[one.pk])
    assert "“trak”不属于 alias, track" in client.get(page, headers=CHINESE).content.decode()
    assert "&#x27;trak&#x27; is none of alias, track" in client.get(page).content.decode()
    listed = client.get(reverse("admin:segments_rejectedrow_changelist"), headers=CHINESE).content.decode()
    assert "“trak”不属于 alias, track" in listed


def test_the_report_of_an_import(shop: Any, login: Any) -> None:
    said = {"line": 3, "code": "empty_line", "path": "", "message": "the line is empty"}
    job = ImportJob.objects.create(
        source=make_source(), kind="profiles", file="p.csv", report={"codes": {"empty_line": 1}, "first": [said]}
    )
    page = reverse("admin:segments_importjob_change", args=[job.pk])
    assert "空行" in login("admin").get(page, headers=CHINESE).content.decode()
    job.refresh_from_db()
    assert job.report["first"] == [said]
