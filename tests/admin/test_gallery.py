"""The gallery in the admin: every starter in a frame that runs nothing, and a draft by one press."""

from __future__ import annotations

from typing import Any

from bs4 import BeautifulSoup
from django.urls import reverse

from common.models import AuditEntry
from messaging.models import Template
from messaging.starters import starter_keys

GALLERY = reverse("admin:messaging_template_gallery")
FRAME = reverse("admin:messaging_template_starter_frame")
USE = reverse("admin:messaging_template_use_starter")


def test_the_gallery_shows_every_starter_in_a_sandbox(shop: Any, login: Any) -> None:
    page = BeautifulSoup(login("author").get(GALLERY).content, "html.parser")
    shown = [card["data-starter"] for card in page.select("[data-starter]")]
    assert sorted(shown) == starter_keys()
    assert (shown[1], shown[-1]) == ("new-user-welcome", "sunset-last-call")
    frames = page.select("iframe")
    assert len(frames) == len(starter_keys())
    assert all(not any(frame["sandbox"]) and frame["loading"] == "lazy" and frame["title"] for frame in frames)
    assert {frame["src"] for frame in frames} == {f"{FRAME}?key={key}&locale=en" for key in starter_keys()}
    assert len(page.select("form input[name=key]")) == len(starter_keys())


def test_the_language_is_the_operators_unless_asked_otherwise(shop: Any, login: Any) -> None:
    chinese, client = login("viewer", "zh-hans"), login("viewer")
    assert "Mei，生日快乐" in chinese.get(FRAME, {"key": "birthday"}).content.decode()
    assert "Happy birthday, Mei" in client.get(FRAME, {"key": "birthday"}).content.decode()
    assert "Mei，生日快乐" in client.get(FRAME, {"key": "birthday", "locale": "zh-Hans"}).content.decode()
    page = BeautifulSoup(chinese.get(GALLERY).content, "html.parser")
    assert page.select_one("[data-starter=birthday] h2").text == "生日祝福"  # type: ignore[union-attr]


def test_a_frame_runs_nothing_and_knows_only_starters(shop: Any, login: Any) -> None:
    answer = login("viewer").get(FRAME, {"key": "vip-perk"})
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert login("viewer").get(FRAME, {"key": "../settings"}).status_code == 404
    assert login("nobody").get(FRAME).status_code == 403


def test_using_a_starter_makes_a_draft_and_opens_it(shop: Any, login: Any) -> None:
    client, before = login("author"), Template.objects.count()
    answer = client.post(USE, {"key": "vip-perk"})
    template = Template.objects.get(key="vip-perk-2")  # the shop's recipe brought the first
    assert answer["Location"] == reverse("admin:messaging_template_change", args=[template.pk])
    assert (template.versions.count(), Template.objects.count()) == (0, before + 1)
    entry = AuditEntry.objects.get(action="template.from_starter")
    assert (entry.actor_name, entry.subject) == ("author", "template:vip-perk-2")
    assert client.post(USE, {"key": "nothing"}).status_code == 404


def test_who_may_only_look_makes_no_draft(shop: Any, login: Any) -> None:
    before = Template.objects.count()
    assert login("viewer").post(USE, {"key": "birthday"}).status_code == 403
    assert Template.objects.count() == before
    page = BeautifulSoup(login("viewer").get(GALLERY).content, "html.parser")
    assert page.select("form input[name=key]") == []
