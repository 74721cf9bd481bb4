"""A Google service account: it signs that it is who it is, and gets an access token for an hour."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from common import http
from messaging.channels import ChannelError, Outcome, _http
from messaging.channels._crypto import rs256, rsa_key

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE = 3600  # seconds that a signed request is good for, at most
EARLY = 120  # seconds before its end that a token is renewed
_PROJECT = re.compile(r"[a-z0-9][a-z0-9:.-]{3,60}")


@dataclass(frozen=True)
class Token:
    value: str
    until: float  # of the monotonic clock


class ServiceAccount:
    """The JSON key file of a service account. Raises ChannelError for what is none, never with its text."""

    def __init__(self, text: str) -> None:
        try:
            said = json.loads(text)
            self._key, self._kid = rsa_key(said["private_key"]), str(said.get("private_key_id") or "")
            self._email, self._where = str(said["client_email"]), str(said["token_uri"])
            self.project = str(said["project_id"])
        except (ValueError, KeyError, TypeError):
            raise ChannelError("the setting 'service_account' is no key file", permanent=True) from None
        if not _PROJECT.fullmatch(self.project):
            raise ChannelError("the key file names no project", permanent=True)

    def token(self, at: datetime, *, stale: str = "") -> str:
        """A token that is good by all we know, and is not `stale`. One thread asks for it; the others wait and use it.
        Raises ChannelError."""
        owner = (self._where, self._email, self._kid)
        with _locks.setdefault(owner, threading.Lock()):
            known = _known.get(owner)
            if known is None or known.value == stale or time.monotonic() >= known.until:
                _known.pop(owner, None)
                known = _known[owner] = self._fetch(at)
            return known.value

    def _fetch(self, at: datetime) -> Token:
        issued = int(at.timestamp())
        claims = {"iss": self._email, "scope": SCOPE, "aud": self._where, "iat": issued, "exp": issued + LIFE}
        form = urlencode({"grant_type": GRANT, "assertion": rs256(self._key, claims, kid=self._kid)}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        verdict = _http.ask(self._where, _token_in, body=form, headers=headers)
        if verdict.answer.outcome is not Outcome.SENT:
            refused = verdict.refused or verdict.answer.outcome is Outcome.PERMANENT
            raise ChannelError(f"token: {verdict.answer.code}", permanent=refused)
        return Token(verdict.said["access_token"], time.monotonic() + verdict.said["expires_in"] - EARLY)


def _token_in(answer: http.Answer) -> _http.Verdict:
    said = _http.parsed(answer.body)
    value, seconds = said.get("access_token"), said.get("expires_in")
    if answer.status == 200 and isinstance(value, str) and value and isinstance(seconds, int):
        return _http.Verdict(_http.sent("200").answer, said=said)
    if isinstance(said.get("error"), str) and 400 <= answer.status < 500:
        return _http.refused(said["error"][:40])
    return _http.by_status(answer, None, busy=(429, 503))


_known: dict[tuple[str, str, str], Token] = {}
_locks: dict[tuple[str, str, str], threading.Lock] = {}
