"""Chat completions, the wire that every OpenAI-compatible server speaks: one question, one answer, every error told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from common import http

OCTETS = 512 * 1024
LONGEST_WAIT = 3600.0
_FENCE = re.compile(r"\A\s*```(?:json)?\s*(.*?)\s*```\s*\Z", re.DOTALL)


class ModelError(Exception):
    """The model gave no usable answer. `permanent` False: it may be asked again, after `wait` seconds. `tokens` were
    spent all the same. The message never holds the key."""

    def __init__(self, message: str, *, permanent: bool = True, wait: float = 60.0, tokens: int = 0) -> None:
        super().__init__(message)
        self.permanent, self.wait, self.tokens = permanent, wait, tokens


@dataclass(frozen=True)
class Said:
    """What the model said: its own name for itself, the text, and the tokens of question and answer."""

    model: str
    text: str
    tokens: int


def is_configured() -> bool:
    """Off until an address and a model are named; a server of one's own may need no key."""
    return bool(settings.COPY_URL and settings.COPY_MODEL)


def complete(messages: Sequence[Mapping[str, str]]) -> Said:
    """Ask once. Raises ModelError."""
    if not is_configured():
        raise ModelError(_("no model is configured"))
    body = {
        "model": settings.COPY_MODEL,
        "messages": list(messages),
        "max_tokens": settings.COPY_TOKENS,
        "temperature": 0.8,
        "response_format": {"type": "json_object"},
    }
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if settings.COPY_KEY:
        headers["Authorization"] = f"Bearer {settings.COPY_KEY}"
    try:
        answer = http.call(
            "POST",
            f"{settings.COPY_URL}/chat/completions",
            body=json.dumps(body, ensure_ascii=False).encode(),
            headers=headers,
            seconds=float(settings.COPY_SECONDS),
            most=OCTETS,
        )
    except http.Refused as error:
        raise ModelError(_("the address may not be called: %(why)s") % {"why": error}) from None
    except http.Failed as error:
        raise ModelError(_("no answer: %(why)s") % {"why": error}, permanent=False) from None
    return _read(answer)


def _read(answer: http.Answer) -> Said:
    if answer.status != 200:
        raise _refusal(answer)
    if answer.cut:
        raise ModelError(_("the answer is larger than %(kib)s KiB") % {"kib": OCTETS // 1024})
    said = _json(answer.body)
    choice = _first(said.get("choices"))
    message = choice.get("message")
    tokens = _tokens(said.get("usage"))
    text = message.get("content") if isinstance(message, dict) else None
    if isinstance(message, dict) and message.get("refusal"):
        raise ModelError(_("the model refuses: %(why)s") % {"why": str(message["refusal"])[:200]}, tokens=tokens)
    if choice.get("finish_reason") == "content_filter":
        raise ModelError(_("the provider's filter held the answer back"), tokens=tokens)
    if choice.get("finish_reason") == "length":
        raise ModelError(
            _("the answer was cut at %(most)s tokens (COPY_TOKENS)") % {"most": settings.COPY_TOKENS}, tokens=tokens
        )
    if not isinstance(text, str) or not text.strip():
        raise ModelError(_("the answer holds no text"), tokens=tokens)
    return Said(str(said.get("model") or settings.COPY_MODEL)[:120], text, tokens)


def _refusal(answer: http.Answer) -> ModelError:
    """What a status means: a wrong key stays wrong, a throttle and a failing server do not."""
    error = _json(answer.body, strict=False).get("error")
    told = str(error.get("message") or "") if isinstance(error, dict) else str(error or "")
    if settings.COPY_KEY:
        told = told.replace(settings.COPY_KEY, "…")
    code = f"HTTP {answer.status}" + (f": {told[:150]}" if told else "")
    if answer.status in (401, 403):
        return ModelError(_("the key is refused (%(code)s)") % {"code": code})
    if answer.status == 429:
        spent = isinstance(error, dict) and error.get("code") == "insufficient_quota"
        return ModelError(
            _("too many questions, or no money left (%(code)s)") % {"code": code}, permanent=spent, wait=_wait(answer)
        )
    if answer.status == 408 or answer.status >= 500:
        return ModelError(_("the server fails (%(code)s)") % {"code": code}, permanent=False, wait=_wait(answer))
    return ModelError(_("the question is refused (%(code)s)") % {"code": code})


def _wait(answer: http.Answer) -> float:
    """Seconds of Retry-After, a minute without."""
    said = answer.headers.get("retry-after", "")
    return min(float(said), LONGEST_WAIT) if re.fullmatch(r"\d{1,6}(\.\d+)?", said) else 60.0


def _json(body: bytes, *, strict: bool = True) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        if strict:
            raise ModelError(_("the answer is not that of a chat completion"))
        return {}
    return said


def _first(choices: Any) -> dict[str, Any]:
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ModelError(_("the answer is not that of a chat completion"))
    return choices[0]


def _tokens(usage: Any) -> int:
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and 0 <= total < 10**9 else 0


def variants_in(text: str) -> list[Any]:
    """The variants of an answer: {"variants": […]}, perhaps in a fence. Raises ModelError."""
    fenced = _FENCE.match(text)
    try:
        said = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        raise ModelError(_("the answer is not the JSON that was asked for")) from None
    found = said.get("variants") if isinstance(said, dict) else None
    if not isinstance(found, list) or not found:
        raise ModelError(_("the answer holds no variants"))
    return found
