"""SMS through Twilio's Messages resource: a form per message, a `sid` back.

It has no key of idempotency, so whatever may have been read and was not answered is unknown.
https://www.twilio.com/docs/messaging/api/message-resource and https://www.twilio.com/docs/api/errors
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import quote, urlencode

from common import http
from messaging.channels import Bounce, ChannelError, Outgoing, Sender, _http, _sms
from messaging.channels._http import base_of, setting

HOST = "https://api.twilio.com"
# 20429 too many requests, 21611 the sender's queue is full, 30001 queue overflow, 30022 the carriers' rate, 63017
# messages a second, 63038 the day's limit.
THROTTLED = frozenset({20429, 21611, 30001, 30022, 63017, 63038})
PAIR = 14107  # too many between two numbers within 30 seconds: others may still be written to
PAIR_WAIT = timedelta(minutes=1)
# Keys (20003, 20004, 20005, 20404), the sender's number or service (21212, 21603, 21606, 21659–21661, 21701–21705), the
# address of reports (21609), the account suspended (30002).
ACCOUNT = frozenset({
    20003, 20004, 20005, 20404, 21212, 21603, 21606, 21609, 21659, 21660, 21661, 21701, 21702, 21703, 21704, 21705,
    30002,
})  # fmt: skip
BOUNCES = {
    21211: Bounce.HARD,
    21217: Bounce.HARD,
    21614: Bounce.HARD,
    21610: Bounce.OPTED_OUT,
}  # no number; no mobile; STOP
LOST = frozenset({"failed", "undelivered", "canceled"})  # a status that means it was not taken


class Twilio:
    """One account of Twilio, and how a message leaves by it. Raises ChannelError for settings that are missing."""

    def __init__(self, sender: Sender) -> None:
        sid, token = setting(sender, "account_sid"), setting(sender, "auth_token")
        user = str(sender.settings.get("api_key_sid") or sid)
        self._url = f"{base_of(sender, HOST)}/2010-04-01/Accounts/{quote(sid, safe='')}/Messages.json"
        self._headers = {
            "Authorization": f"Basic {base64.b64encode(f'{user}:{token}'.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._said, self._most = _from(sender), _sms.most_segments(sender)
        self._callback = str(sender.settings.get("status_callback") or "")

    def _told(self, message: Outgoing) -> dict[str, str]:
        return {"StatusCallback": _with_ref(self._callback, message.ref)} if self._callback else {}

    def post(self, message: Outgoing) -> _http.Verdict:
        text = message.parts.get("text", "")
        if not text.strip():
            return _http.permanent("no text")
        wrong = _sms.too_long(text, self._most)
        if wrong:
            return _http.permanent(wrong)
        body = urlencode(
            {**self._said, **self._told(message), "To": message.to, "Body": text}, errors="replace"
        ).encode()
        return _http.ask(self._url, partial(judged, at=message.at), body=body, headers=self._headers)


def _with_ref(callback: str, ref: str) -> str:
    """The address of a report with our message's id: Twilio's own says nothing about it, and is signed as a whole."""
    return f"{callback}{'&' if '?' in callback else '?'}ref={quote(ref, safe='')}"


def _from(sender: Sender) -> dict[str, str]:
    service = str(sender.settings.get("messaging_service_sid") or "")
    if service:
        return {"MessagingServiceSid": service}
    if not sender.sender:
        raise ChannelError("neither a sender nor the setting 'messaging_service_sid'", permanent=True)
    return {"From": sender.sender}


def judged(answer: http.Answer, *, at: datetime | None) -> _http.Verdict:
    """201 with a sid is acceptance; an error says its number. A number that is not listed is this message's."""
    said = _http.parsed(answer.body)
    if answer.status == 201:
        return _accepted(said.get("sid"), said.get("status"), said.get("error_code"), answer, at)
    number = said.get("code")
    if type(number) is not int or not 400 <= answer.status < 500:
        return _http.by_status(answer, at)
    if answer.status == 429 and number != PAIR:
        return _http.throttled(f"twilio {number}", _http.retry_at(answer, at))
    return _refusal(number, answer, at) or _http.permanent(f"twilio {number}", BOUNCES.get(number, Bounce.NONE))


def _refusal(number: object, answer: http.Answer, at: datetime | None) -> _http.Verdict | None:
    """What a number means by which this message was surely not taken, but may be later; None for any other."""
    code = f"twilio {number}"
    if number == PAIR:
        return _http.later(code, _http.retry_at(answer, at) or (at + PAIR_WAIT if at else None))
    if number in THROTTLED:
        return _http.throttled(code, _http.retry_at(answer, at))
    if number in ACCOUNT or answer.status == 401:
        return _http.refused(code)
    return None


def _accepted(sid: object, status: object, error: object, answer: http.Answer, at: datetime | None) -> _http.Verdict:
    """A resource was made; one that failed at once was not taken, and its error says what that means."""
    if not isinstance(sid, str) or not sid:
        return _http.unknown("HTTP 201 without a sid")
    if status in LOST:
        return _refusal(error, answer, at) or _http.permanent(f"twilio {error or status}")
    return _http.sent("201", sid)
