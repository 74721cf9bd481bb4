"""Twilio: what becomes of an SMS, and what people write back; signed with the account's auth token."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from common.text import without_poison
from messaging.receipts import Call, Heard, Receiver, Word, receivers
from messaging.receipts._forms import kept, natural_key

KINDS = {"delivered": "delivered", "read": "opened", "undelivered": "other", "failed": "other"}
GONE = frozenset({"21211", "21614", "30005", "30006"})  # no such number, unknown, a landline
SOFT = frozenset({"30003", "30008"})  # switched off or out of reach, unknown error
REFUSED = frozenset({"21610"})  # the person told Twilio to stop
INTENTS = {"STOP": "stop", "START": "start"}


@receivers.register("twilio")
class Twilio(Receiver):
    """Status callbacks (whose address carries our message's id as `ref`) and incoming messages on one address.

    The secret is the auth token. https://www.twilio.com/docs/usage/security#validating-requests and
    https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
    """

    key: ClassVar[str] = "twilio"
    reply: ClassVar[tuple[str, str] | None] = ("text/xml", '<?xml version="1.0" encoding="UTF-8"?><Response/>')

    def verify(self, call: Call, secrets: list[str], now: datetime) -> bool:
        given = call.headers.get("x-twilio-signature", "").encode("utf-8", "replace")
        try:
            said = call.url + "".join(name + value for name, value in sorted(_form(call).items()))
        except ValueError:
            return False
        good = False
        for secret in filter(None, secrets):
            right = base64.b64encode(hmac.new(secret.encode(), said.encode(), hashlib.sha1).digest())
            good |= hmac.compare_digest(right, given)
        return good

    def read(self, call: Call, now: datetime) -> Iterable[Word | Heard]:
        said = _form(call)
        sid = said.get("MessageSid") or said.get("SmsSid") or ""
        if not sid:
            raise ValueError("no message is named")
        if said.get("SmsStatus") == "received" or "Body" in said:
            return [_heard(said, sid, now)]
        ref = dict(parse_qsl(urlsplit(call.url).query)).get("ref", "")
        status = said.get("MessageStatus") or said.get("SmsStatus") or ""
        kind = _kind(status, said.get("ErrorCode", ""))
        return [Word(kind, without_poison(ref or sid)[:120], natural_key(sid, status), now, kept(said))]


def _form(call: Call) -> dict[str, str]:
    """The fields of a call; several of one name are none of Twilio's."""
    pairs = parse_qsl(call.body.decode("utf-8"), keep_blank_values=True, max_num_fields=200)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field comes twice")
    return found


def _kind(status: str, error: str) -> str:
    if status in ("undelivered", "failed"):
        return "hard" if error in GONE else "soft" if error in SOFT else "unsubscribed" if error in REFUSED else "other"
    return KINDS.get(status, "other")


def _heard(said: Mapping[str, str], sid: str, now: datetime) -> Heard:
    intent = INTENTS.get(said.get("OptOutType", ""), "")
    text = without_poison(said.get("Body", ""))[:1600]
    return Heard("sms", without_poison(said.get("From", ""))[:40], text, natural_key(sid, "heard"), now, kept(said),
                 intent=intent)  # fmt: skip
