"""Rules, lists and statements in the admin: each form does its thing, faults stand at their field, rights are kept."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from common.models import AuditEntry
from messaging.models import Address, Consent, Preference, SendingRule, Suppression
from segments.models import Profile
from tests.messages import make_readers, make_topic
from tests.people import NOW

RULES = "/admin/messaging/sendingrule/"


@pytest.fixture
def root(shop: Any, login: Any) -> Client:
    client: Client = login("admin")
    return client


def fields(page: str) -> set[str]:
    return {name for name in re.findall(r'name="([a-z_]+)"', page) if not name.startswith(("_", "csrf"))}


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("limit", {"channel", "klass", "tag", "at_most", "period", "hours", "over", "hold_hours"}),
        ("quiet", {"channel", "starts", "ends", "days", "country"}),
        ("repeat", {"channel", "after_days"}),
        ("sunset", {"channel", "tag", "count", "after_days", "slow_days", "stop_count"}),
        ("best", {"channel", "tag", "starts", "ends", "fallback", "control"}),
    ],
)
def test_each_kind_has_its_own_form(root: Client, kind: str, shown: set[str]) -> None:
    page = root.get(f"{RULES}add/?kind={kind}").content.decode()
    assert shown <= fields(page)
    others = {"at_most", "starts", "after_days", "count", "fallback", "klass"} - shown
    assert not others & fields(page)


def test_a_rule_is_made_changed_and_audited(root: Client) -> None:
    said = {
        "channel": "email",
        "klass": "",
        "tag": "",
        "at_most": "2",
        "period": "week",
        "hours": "0",
        "over": "skip",
        "active": "on",
    }
    assert root.post(f"{RULES}add/?kind=limit", said).status_code == 302
    made = SendingRule.objects.get()
    assert (made.kind, made.at_most, made.period, made.over) == ("limit", 2, "week", "skip")
    again = root.post(f"{RULES}add/?kind=limit", said)
    assert again.status_code == 200
    assert "There is a rule for this already." in again.content.decode()
    page = root.get(RULES).content.decode()
    assert "at most 2 within calendar week" in page
    assert "at most 1 within calendar day" in page, "the setting of the installation stands beside it"
    assert root.post(f"{RULES}{made.pk}/change/", {**said, "at_most": ""}).status_code == 302
    made.refresh_from_db()
    assert made.at_most is None
    assert root.post(f"{RULES}{made.pk}/delete/", {"post": "yes"}).status_code == 302
    actions = AuditEntry.objects.filter(subject=f"rule:limit:{made.pk}").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["rule.add", "rule.change", "rule.delete"]


def test_faults_stand_at_their_field(root: Client) -> None:
    page = root.post(f"{RULES}add/?kind=quiet", {"channel": "all", "starts": "21:00", "ends": "", "days": "every"})
    assert "Give both times or neither." in page.content.decode()
    page = root.post(f"{RULES}add/?kind=limit", {"channel": "pigeon", "at_most": "1", "period": "day"})
    assert page.status_code == 200
    assert not SendingRule.objects.exists()


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("author", 403), ("approver", 200), ("admin", 200)])
def test_who_may_make_rules(shop: Any, login: Any, role: str, status: int) -> None:
    assert login(role).get(RULES).status_code == 200
    assert login(role).get(f"{RULES}add/?kind=limit").status_code == status


def test_the_lists_speak_chinese(shop: Any, login: Any) -> None:
    SendingRule.objects.create(kind="quiet", channel="all", days="working", country="CN")
    page = login("admin", "zh-hans").get(RULES).content.decode()
    assert "仅工作日 CN" in page
    assert "静默时段" in page


def test_an_own_limit_is_agreed_with_a_person(root: Client) -> None:
    person = Profile.objects.first()
    assert person is not None
    where = "/admin/messaging/preference/"
    said = {
        "profile": person.pk,
        "at_most": "1",
        "period": "month",
        "replaces": "on",
        "paused_until_0": "",
        "paused_until_1": "",
    }
    assert root.post(f"{where}add/", said).status_code == 302
    wish = Preference.objects.get(profile=person)
    assert (wish.at_most, wish.period, wish.replaces, wish.source) == (1, "month", True, "admin:admin")
    assert root.get(where).status_code == 200
    assert root.get(f"{where}{person.pk}/change/").status_code == 200
    assert "own limit" in root.get(f"/admin/segments/profile/{person.pk}/change/").content.decode()


def test_a_statement_by_hand_needs_a_reason(root: Client) -> None:
    make_topic("offers")
    address = Address.objects.get(profile=make_readers(1, now=NOW, prefix="hand")[0])
    where = f"/admin/messaging/address/{address.pk}/"
    root.post(f"{where}state/", {"topic": "offers", "action": "withdrawn", "reason": ""})
    assert Consent.objects.filter(address=address).count() == 1
    root.post(f"{where}state/", {"topic": "offers", "action": "withdrawn", "reason": "rang us at 10"})
    said = Consent.objects.filter(address=address).latest("pk")
    assert (said.action, said.source, said.evidence["reason"], said.evidence["by"]) == (
        "withdrawn", "by hand", "rang us at 10", "admin",
    )  # fmt: skip
    page = root.get(f"{where}change/").content.decode()
    assert "rang us at 10" in page
    assert "Record what somebody said" in page


def test_a_suppression_is_lifted_with_a_reason(root: Client) -> None:
    address = Address.objects.get(profile=make_readers(1, now=NOW, prefix="lift")[0])
    where = f"/admin/messaging/address/{address.pk}/"
    root.post(f"{where}suppress/", {"reason": "asked"})
    root.post(f"{where}lift/", {"reason": ""})
    address.refresh_from_db()
    assert address.suppressed == "manual"
    root.post(f"{where}lift/", {"reason": "asked again"})
    address.refresh_from_db()
    assert (address.suppressed, Suppression.objects.count()) == ("", 0)


def test_a_list_goes_in_with_every_refused_line_and_out_again(root: Client) -> None:
    where = "/admin/messaging/suppression/"

    def upload(**more: str) -> str:
        file = SimpleUploadedFile("list.csv", b"channel,address\nemail,a@example.com\nemail,nobody\n")
        return root.post(f"{where}import/", {"file": file, **more}).content.decode()

    assert "What an import would do" in upload(dry="on")
    assert not Suppression.objects.exists()
    page = upload()
    assert "not an address of this channel: nobody" in page
    assert Suppression.objects.count() == 1
    answer = root.get(f"{where}export/")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.startswith("channel,digest,address,reason,at,note\r\nemail,")
    assert "attachment" in answer["Content-Disposition"]
    assert AuditEntry.objects.filter(action__in=["suppression.import", "suppression.export"]).count() == 2


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("author", False), ("approver", False), ("sender", True)])
def test_who_may_import_and_nobody_but_an_administrator_exports(shop: Any, login: Any, role: str, may: bool) -> None:
    where = "/admin/messaging/suppression/"
    assert login(role).get(f"{where}import/").status_code == (200 if may else 403)
    assert login(role).get(f"{where}export/").status_code == 403
    assert login("admin").get(f"{where}export/").status_code == 200
