"""SMS: a short text to a phone number, through Twilio or Aliyun.

One channel whatever the provider: consent, caps and suppression are about the number. Twilio takes the text; Aliyun
takes the code of an approved template and its variables, and both may stand in one template of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from messaging.channels import Channel, ChannelError, Connection, Limit, Outgoing, Sender, _http, _sms, channels
from messaging.channels._aliyun import CODE, VARIABLES, Aliyun, variables
from messaging.channels._twilio import Twilio

PROVIDERS: dict[str, type[Twilio] | type[Aliyun]] = {"twilio": Twilio, "aliyun": Aliyun}
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SEPARATORS = re.compile(r"[ ().\-]")


@channels.register("sms")
class SmsChannel(Channel):
    """One message per person; the address is the number in E.164."""

    key: ClassVar[str] = "sms"
    parts: ClassVar[tuple[str, ...]] = ("text", CODE, VARIABLES)
    reads: ClassVar[tuple[str, ...]] = ("phone",)
    medium: ClassVar[str] = "sms"
    transports: ClassVar[tuple[str, ...]] = ("twilio", "aliyun")
    limits: ClassVar[tuple[Limit, ...]] = (Limit("text", _sms.MOST, "segments"),)

    def address_of(self, traits: Mapping[str, Any]) -> str:
        """The number in E.164 without separators; "" for what carries no country, or is none."""
        value = _SEPARATORS.sub("", str(traits.get("phone") or "").strip())
        return value if _E164.fullmatch(value) else ""

    def check(self, message: Outgoing) -> str:
        if not _E164.fullmatch(message.to):
            return "not a single number"
        text = message.parts.get("text", "")
        if not text.strip() and not message.parts.get(CODE, "").strip():
            return "neither text nor template"
        return _sms.too_long(text) or variables(message.parts.get(VARIABLES, ""))[1]

    @contextmanager
    def connect(self, sender: Sender) -> Iterator[Connection]:
        provider = PROVIDERS.get(sender.transport)
        if provider is None:
            raise ChannelError(f"SMS has no transport '{sender.transport}'", permanent=True)
        post = provider(sender).post
        _http.fail_if_refused(sender)
        yield _http.Line(sender, post)
