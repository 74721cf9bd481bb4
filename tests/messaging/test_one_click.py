"""RFC 8058 by a plain HTTP client: the address of the header, one POST, no cookie, no redirect, done."""

from __future__ import annotations

import http.client
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import mail

from common.clock import now as clock_now
from messaging.models import Address
from messaging.outbox.send import send_due
from tests.messages import make_account, make_readers, queue_to
from tests.messaging.gated import LOCMEM
from tests.messaging.mails import publish

pytestmark = pytest.mark.django_db(transaction=True)


def ask(method: str, url: str, body: bytes = b"", kind: str = "") -> http.client.HTTPResponse:
    """One request as a mail provider makes it: no cookies, no referrer, nothing followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request(method, parts.path, body=body or None, headers={"Content-Type": kind} if kind else {})
    return connection.getresponse()


BOUNDARY = "b0undary"
FORMS = {
    "application/x-www-form-urlencoded": b"List-Unsubscribe=One-Click",
    f"multipart/form-data; boundary={BOUNDARY}": (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--{BOUNDARY}--\r\n'
    ).encode(),
}


@pytest.mark.parametrize("kind", FORMS)
def test_the_header_of_a_mail_that_was_sent_unsubscribes(live_server: Any, settings: Any, kind: str) -> None:
    settings.PUBLIC_URL, settings.QUIET_HOURS = live_server.url, ""
    make_account(transport="backend", settings=LOCMEM)
    person = make_readers(1, now=clock_now())[0]
    queue_to([person], publish(now=clock_now()), now=clock_now())
    assert send_due(worker="test", now_fn=clock_now).states == {"accepted": 1}
    headers = mail.outbox[0].extra_headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = re.findall(r"<(http[^>]+)>", headers["List-Unsubscribe"])[0]

    for method in ("GET", "HEAD"):
        assert ask(method, url).status == 200
        assert Address.objects.get().refusals == [], "a scanner that looks changes nothing"
    assert ask("POST", url).status == 200
    assert Address.objects.get().refusals == [], "a POST without the words changes nothing"
    answer = ask("POST", url, FORMS[kind], kind)
    assert (answer.status, answer.getheader("Location"), answer.getheader("Set-Cookie")) == (200, None, None)
    assert Address.objects.get().refusals == ["offers"]
    assert ask("POST", url[:-1], FORMS[kind], kind).status == 404
