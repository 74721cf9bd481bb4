"""SMS through Aliyun's SendSms: an approved template and its variables, signed with ACS3-HMAC-SHA256.

https://help.aliyun.com/document_detail/419273.html (SendSms), 101346 (error codes) and
https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote, urlsplit

from common import http
from messaging.channels import Bounce, Outgoing, Sender, _http
from messaging.channels._http import base_of, setting

HOST = "https://dysmsapi.aliyuncs.com"
ALGORITHM = "ACS3-HMAC-SHA256"
CODE, VARIABLES = "template", "variables"
NUMBER_LIMIT = "isv.BUSINESS_LIMIT_CONTROL"  # one number had its share; others may still be written to
LIMITS = {"天级": timedelta(days=1), "小时级": timedelta(hours=1), "分钟级": timedelta(minutes=1)}
ACCOUNT_LIMITS = {"isv.DAY_LIMIT_CONTROL": timedelta(hours=1), "isv.MONTH_LIMIT_CONTROL": timedelta(hours=6)}
REFUSED = frozenset(
    {
        "isp.RAM_PERMISSION_DENY", "isv.OUT_OF_SERVICE", "isv.AMOUNT_NOT_ENOUGH", "isv.ACCOUNT_NOT_EXISTS",
        "isv.ACCOUNT_ABNORMAL", "isv.PRODUCT_UN_SUBSCRIPT", "isv.PRODUCT_UNSUBSCRIBE", "isv.DENY_IP_RANGE",
        "isv.SMS_SIGNATURE_ILLEGAL", "isv.SMS_SIGN_ILLEGAL", "isv.SIGN_STATE_ILLEGAL", "SignatureDoesNotMatch",
        "IncompleteSignature", "InvalidTimeStamp.Expired", "MissingAccessKeyId",
    }
)  # fmt: skip
REFUSED_KINDS = ("InvalidAccessKeyId.", "Forbidden.", "NoPermission")
NO_NUMBER = "isv.MOBILE_NUMBER_ILLEGAL"
UNSURE = frozenset({"isp.SYSTEM_ERROR", "InternalError", "ServiceUnavailable", "SignatureNonceUsed"})


class Aliyun:
    """One access key and signature name. Raises ChannelError for settings that are missing."""

    def __init__(self, sender: Sender) -> None:
        self._key, self._secret = setting(sender, "access_key_id"), setting(sender, "access_key_secret")
        self._name = sender.sender or setting(sender, "sign_name")
        self._base = base_of(sender, HOST)

    def post(self, message: Outgoing) -> _http.Verdict:
        if message.at is None:
            return _http.UNDATED
        if not message.parts.get(CODE, "").strip():
            return _http.permanent("no template code")
        query = canonical_query(self._said(message))
        headers = signed(
            query,
            host=urlsplit(self._base).netloc,
            action=("SendSms", "2017-05-25"),
            key=(self._key, self._secret),
            nonce=hashlib.sha256(f"{message.ref} {message.at.isoformat()}".encode()).hexdigest()[:32],
            at=message.at,
        )
        judge = partial(judged, at=message.at)
        return _http.ask(f"{self._base}/?{query}", judge, body=b"", headers=headers)

    def _said(self, message: Outgoing) -> dict[str, str]:
        said = {
            "PhoneNumbers": message.to.removeprefix("+86").removeprefix("+"),
            "SignName": self._name,
            "TemplateCode": message.parts[CODE].strip(),
            "OutId": message.ref,
        }
        found, _wrong = variables(message.parts.get(VARIABLES, ""))
        return {**said, "TemplateParam": json.dumps(found, ensure_ascii=False)} if found else said


def variables(text: str) -> tuple[dict[str, str], str]:
    """The variables of a template, `name=value` by line or semicolon, and what is wrong with them. Not JSON, for a
    person's name may hold quotes; a name that comes twice is refused, for it may hold a line break too."""
    found: dict[str, str] = {}
    for line in filter(str.strip, text.replace(";", "\n").splitlines()):
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier() or not name.isascii():
            return found, "a variable is not written as name=value"
        if name in found:
            return found, f"the variable '{name}' comes twice"
        found[name] = value.strip()
    return found, ""


def canonical_query(said: Mapping[str, str]) -> str:
    """Names and values in RFC 3986 escapes, sorted by name."""
    return "&".join(f"{_escaped(name)}={_escaped(said[name])}" for name in sorted(said))


def _escaped(text: str) -> str:
    return quote(text, safe="-_.~", errors="replace")


def signed(
    query: str, *, host: str, action: tuple[str, str], key: tuple[str, str], nonce: str, at: datetime
) -> dict[str, str]:
    """The headers of a POST to "/" without a body. `action` is name and version, `key` identifier and secret."""
    empty = hashlib.sha256(b"").hexdigest()
    said = {
        "host": host,
        "x-acs-action": action[0],
        "x-acs-content-sha256": empty,
        "x-acs-date": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": action[1],
    }
    names = ";".join(sorted(said))
    lines = "".join(f"{name}:{said[name]}\n" for name in sorted(said))
    request = f"POST\n/\n{query}\n{lines}\n{names}\n{empty}"
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(key[1].encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    given = {name: value for name, value in said.items() if name != "host"}
    return {**given, "Authorization": f"{ALGORITHM} Credential={key[0]},SignedHeaders={names},Signature={signature}"}


def judged(answer: http.Answer, *, at: datetime) -> _http.Verdict:
    """ "OK" with 200 is acceptance; any other code says why not. A code that is not listed is this message's."""
    said = _http.parsed(answer.body)
    code = said.get("Code")
    if not isinstance(code, str) or (code == "OK" and answer.status != 200):
        return _http.by_status(answer, at)
    if code == "OK":
        return _http.sent("OK", str(said.get("BizId") or ""))
    if code == NUMBER_LIMIT:
        return _http.later(code, at + _wait(str(said.get("Message") or "")))
    if code in ACCOUNT_LIMITS or code.startswith("Throttling"):
        asked = _http.retry_at(answer, at)
        return _http.throttled(code, asked or at + ACCOUNT_LIMITS.get(code, timedelta(minutes=1)))
    if code in REFUSED or code.startswith(REFUSED_KINDS):
        return _http.refused(code)
    if code in UNSURE or answer.status >= 500:
        return _http.unknown(code)
    return _http.permanent(code, Bounce.HARD if code == NO_NUMBER else Bounce.NONE)


def _wait(text: str) -> timedelta:
    """Which of a number's limits was reached, as its message says ("触发天级流控Permits:10"); an hour otherwise."""
    return next((wait for word, wait in LIMITS.items() if word in text), timedelta(hours=1))
