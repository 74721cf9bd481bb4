"""Aliyun: SmsReport (what became of an SMS) and SmsUp (what people write back), pushed as lists over HTTP.

Aliyun signs nothing, so the address that it calls carries a key: /receipts/<account>?key=…
https://help.aliyun.com/zh/sms/developer-reference/smsreport-2 and smsup-2. Times are those of China.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from common.text import without_poison
from messaging.receipts import Call, Heard, Receiver, Word, receivers
from messaging.receipts._forms import MOST, is_one_of, kept, natural_key

CHINA = ZoneInfo("Asia/Shanghai")
# the operators' words for a number that does not exist or is out of service
GONE = frozenset({"MOBILE_NOT_EXIST", "INVALID_NUMBER", "MOBILE_STOP", "isv.MOBILE_NUMBER_ILLEGAL", "EMPTY_NUMBER"})
SOFT = frozenset({"MOBILE_NOT_ON_SERVICE", "MOBILE_SEND_LIMIT", "MOBILE_TERMINAL_ERROR", "MOBILE_IN_BUSY"})


@receivers.register("aliyun")
class Aliyun(Receiver):
    """Reports and replies on one address; the secret is the `key` of its query."""

    key: ClassVar[str] = "aliyun"
    reply: ClassVar[tuple[str, str] | None] = ("application/json", '{"code":0,"msg":"接收成功"}')

    def verify(self, call: Call, secrets: list[str], now: datetime) -> bool:
        given = dict(parse_qsl(urlsplit(call.url).query)).get("key", "")
        return is_one_of(given, secrets)

    def read(self, call: Call, now: datetime) -> Iterable[Word | Heard]:
        try:
            said = json.loads(call.body)
        except RecursionError:
            raise ValueError("nested too deep") from None
        if not isinstance(said, list) or len(said) > MOST or not all(isinstance(one, dict) for one in said):
            raise ValueError("not a list of reports")
        return [_heard(one, now) if "content" in one else _word(one, now) for one in said]


def _word(one: Mapping[str, Any], now: datetime) -> Word:
    """One report; `out_id` is the public id that SendSms took along."""
    ref = without_poison(str(one.get("out_id") or one.get("biz_id") or ""))[:120]
    if not ref:
        raise ValueError("a report names no message")
    code = str(one.get("err_code") or "")
    kind = (
        "delivered" if one.get("success") is True else "hard" if code in GONE else "soft" if code in SOFT else "other"
    )
    at = _time(one.get("report_time"), now)
    return Word(kind, ref, natural_key(ref, kind, code, at=at), at, kept(one))


def _heard(one: Mapping[str, Any], now: datetime) -> Heard:
    number, text = str(one.get("phone_number") or ""), without_poison(str(one.get("content") or ""))[:1600]
    at = _time(one.get("send_time"), now)
    key = natural_key(str(one.get("sequence_id") or number), "heard", text[:40], at=at)
    return Heard("sms", international(number), text, key, at, kept(one))


def international(number: str) -> str:
    """A number as Aliyun writes it, in E.164: those of China come without their country."""
    number = without_poison(number).strip()[:40]
    if number.startswith("+") or not number:
        return number
    return f"+86{number}" if len(number) == 11 and number.startswith("1") else f"+{number.removeprefix('00')}"


def _time(value: Any, now: datetime) -> datetime:
    try:
        at = datetime.strptime(str(value), "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    except ValueError:
        return now
    return min(at.astimezone(UTC), now)
