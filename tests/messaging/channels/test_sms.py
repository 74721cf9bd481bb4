"""SMS: what a number and a text are, whoever the provider is."""

from __future__ import annotations

import pytest

from messaging.channels import ChannelError, Outgoing, Sender, channels
from messaging.channels._sms import Length, measure

EMOJI = "😀"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Length("GSM-7", 0, 0)),
        ("Hello @£Δ\n", Length("GSM-7", 10, 1)),
        ("€", Length("GSM-7", 2, 1)),
        ("^{}\\[~]|€\f", Length("GSM-7", 20, 1)),
        ("x" * 160, Length("GSM-7", 160, 1)),
        ("x" * 161, Length("GSM-7", 161, 2)),
        ("x" * 306, Length("GSM-7", 306, 2)),
        ("x" * 307, Length("GSM-7", 307, 3)),
        ("€" * 80, Length("GSM-7", 160, 1)),
        ("x" * 159 + "€", Length("GSM-7", 161, 2)),
        ("€" * 153, Length("GSM-7", 306, 3)),  # 76 a part: an escape is never cut from its character
        ("x" + "€" * 152, Length("GSM-7", 305, 2)),
        ("ç", Length("UCS-2", 1, 1)),  # the GSM alphabet has the capital alone
        ("Ç", Length("GSM-7", 1, 1)),
        ("`", Length("UCS-2", 1, 1)),
        ("长" * 70, Length("UCS-2", 70, 1)),
        ("长" * 71, Length("UCS-2", 71, 2)),
        ("长" * 134, Length("UCS-2", 134, 2)),
        ("长" * 135, Length("UCS-2", 135, 3)),
        (EMOJI * 35, Length("UCS-2", 70, 1)),
        (EMOJI * 67, Length("UCS-2", 134, 3)),  # 33 a part: half an emoji is none
        ("x" * 159 + "长", Length("UCS-2", 160, 3)),
    ],
)
def test_segments_are_counted_as_the_network_counts(text: str, expected: Length) -> None:
    assert measure(text) == expected


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ("+8613800138000", "+8613800138000"),
        (" +1 (415) 555-2671 ", "+14155552671"),
        ("13800138000", ""),
        ("+0123456789", ""),
        ("+123456", ""),
        ("+1234567890123456", ""),
        ("+١٢٣٤٥٦٧٨٩", ""),
        ("+8613800138000,+8613800138001", ""),
        ("", ""),
    ],
)
def test_an_address_is_one_number_with_its_country(phone: str, expected: str) -> None:
    assert channels.get("sms").address_of({"phone": phone, "email": "mei@example.com"}) == expected


@pytest.mark.parametrize(
    ("to", "parts", "expected"),
    [
        ("+8613800138000", {"text": "Hello"}, ""),
        ("+8613800138000", {"template": "SMS_1", "variables": "name=梅"}, ""),
        ("+8613800138000", {"text": " ", "variables": "name=梅"}, "neither text nor template"),
        ("mei@example.com", {"text": "Hello"}, "not a single number"),
        ("+8613800138000", {"text": "x" * 1530}, ""),
        ("+8613800138000", {"text": "x" * 1531}, "11 segments of GSM-7, at most 10"),
        ("+8613800138000", {"template": "SMS_1", "variables": "name"}, "a variable is not written as name=value"),
        ("+8613800138000", {"template": "SMS_1", "variables": "a=1\na=2"}, "the variable 'a' comes twice"),
    ],
)
def test_what_can_never_be_sent_is_told_before_the_marker(to: str, parts: dict[str, str], expected: str) -> None:
    assert channels.get("sms").check(Outgoing("1", to, "", parts)) == expected


def test_a_transport_must_be_known() -> None:
    sender = Sender("sms", "pigeon", "+15005550006", "", {})
    with pytest.raises(ChannelError, match="no transport") as raised, channels.get("sms").connect(sender):
        pass
    assert raised.value.permanent
