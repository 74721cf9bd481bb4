"""Suppression lists in and out: good lines count, bad ones say why, hashes outlive the person, no cell is a formula."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from messaging.models import Address, Suppression
from messaging.permission import address_for, digest, is_suppressed, suppress
from messaging.suppressions import BadFile, export_list, import_list
from segments.erase import erase
from tests.messages import make_readers
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db


def given(text: str, **how: bool) -> tuple[int, int, list[tuple[int, str]]]:
    taken = import_list(io.StringIO(text), now=NOW, **how)
    assert taken.refused == len(taken.rejects)
    return taken.new, taken.known, taken.rejects


def test_a_list_stops_addresses_that_we_have_and_those_to_come() -> None:
    mei = make_readers(1, now=NOW)[0]
    text = "channel,address,reason,note\r\nemail, Reader-0@Example.com ,complaint,from the old system\r\nemail,late@example.com,,\r\n"
    assert given(text, dry=True) == (2, 0, [])
    assert not Suppression.objects.exists()
    assert given(text) == (2, 0, [])
    assert given(text) == (0, 2, [])
    assert Address.objects.get(profile=mei).suppressed == "complaint"
    late = address_for(make_profile(email="late@example.com"), "email", NOW)
    assert late is not None
    assert late.suppressed == "manual"
    assert Suppression.objects.get(reason="complaint").note == "from the old system"


def test_every_bad_line_says_why_and_the_others_go_on() -> None:
    text = (
        "\ufeffChannel,Address,Reason\n"
        "email,no address,manual\n"
        "pigeon,a@example.com,manual\n"
        "inbox,a@example.com,manual\n"
        "email,b@example.com,because\n"
        "email,,manual\n"
        "\n"
        f"email,{'x' * 3000}@example.com,manual\n"
        "sms,+86 138 0013 8000,manual\n"
        "email,good@example.com,manual\n"
        "email,GOOD@example.com,manual\n"
    )
    new, known, rejects = given(text)
    assert (new, known) == (2, 1)
    assert [number for number, _ in rejects] == [2, 3, 4, 5, 6, 8]
    assert [why.split(":")[0] for _, why in rejects] == [
        "not an address of this channel",
        "no such channel",
        "no such channel",
        "no such reason",
        "no address, and no hash",
        "the line is too long or has characters that cannot be kept",
    ]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "channel\nemail\n"])
def test_a_file_without_a_head_is_refused_whole(text: str) -> None:
    with pytest.raises(BadFile, match="first line"):
        given(text)


def test_nul_and_broken_quotes_do_not_stop_it() -> None:
    assert given('channel,address\nemail,"a@example.com\nemail,b\x00@example.com\n')[0] == 0
    assert given("channel,address\nemail,b\x00@example.com\nemail,c@example.com\n")[:2] == (1, 0)


def test_a_graver_reason_takes_over_and_a_lighter_one_does_not() -> None:
    mei = make_readers(1, now=NOW)[0]
    address = Address.objects.get(profile=mei)
    suppress(address, "complaint", NOW)
    assert given("channel,address,reason\nemail,reader-0@example.com,hard_bounce\n")[:2] == (1, 0)
    assert given("channel,address,reason\nemail,reader-0@example.com,manual\n")[:2] == (0, 1)
    assert Address.objects.get(pk=address.pk).suppressed == "hard_bounce"


def test_what_was_exported_comes_in_again_by_its_hash() -> None:
    mei, bo = make_readers(2, now=NOW)
    suppress(Address.objects.get(profile=mei), "complaint", NOW, note="=SUM(A1)")
    text = "".join(export_list())
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["channel"], row["digest"], row["address"], row["note"]) for row in rows] == [
        ("email", digest("email", "reader-0@example.com"), "", "'=SUM(A1)")
    ]
    Suppression.objects.all().delete()
    Address.objects.update(suppressed="")
    assert given(text)[:2] == (1, 0)
    assert dict(Address.objects.values_list("profile", "suppressed")) == {mei.pk: "complaint", bo.pk: ""}


def test_addresses_we_still_have_come_out_by_name_and_safely() -> None:
    phone = Address.objects.create(channel="sms", value="+8613800138000", created_at=NOW)
    suppress(phone, "manual", NOW)
    text = "".join(export_list(addresses=True))
    assert [row["address"] for row in csv.DictReader(io.StringIO(text))] == ["+8613800138000"]
    odd = Address.objects.create(channel="email", value="=cmd@example.com", created_at=NOW)
    suppress(odd, "manual", NOW)
    text = "".join(export_list(addresses=True))
    assert "'=cmd@example.com" in text
    Suppression.objects.all().delete()
    assert given(text)[0] == 2, "what we wrote we can read"


def test_it_outlives_the_person() -> None:
    mei = make_readers(1, now=NOW)[0]
    suppress(Address.objects.get(profile=mei), "complaint", NOW)
    erase(mei, now=NOW)
    assert not Address.objects.filter(profile=mei).exists()
    assert is_suppressed("email", "reader-0@example.com")
    assert "example.com" not in "".join(export_list())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "list.csv"
    file.write_text("channel,address\nemail,a@example.com\nemail,nobody\n")
    call_command("suppressions", "import", str(file), "--dry-run")
    call_command("suppressions", "import", str(file))
    said = capsys.readouterr()
    assert said.out == "new 1, known 0, refused 1\n" * 2
    assert said.err.count("line 3: not an address of this channel: nobody") == 2
    call_command("suppressions", "export")
    assert digest("email", "a@example.com") in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("suppressions", "import", str(tmp_path / "none.csv"))
