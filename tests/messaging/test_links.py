"""Tokens and links: signed, one purpose each, byte for byte, and never a way to somewhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.signing import Signer
from django.test import Client

from common.params import Invalid
from messaging import tokens
from messaging.links import targets
from messaging.models import Link
from messaging.publish import compile_template
from messaging.render import RenderError
from messaging.render.versions import versions
from messaging.tokens import BadToken, Named, Purpose
from tests.messaging.mails import BROWSER, HTML, draft, hrefs, path_of, publish, render, sent
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
TAGGED = (
    "https://shop.example/new?a=1&b=2&utm_source=shop&utm_medium=email&utm_campaign=spring&utm_id=c1&utm_content=hi"
)


def click(url: str) -> Any:
    return Client(HTTP_USER_AGENT=BROWSER).get(path_of(url))


def test_a_token_is_what_django_would_sign(settings: Any) -> None:
    token = tokens.make(Purpose.CLICK, 255, 16, link=3)
    assert token == Signer(sep=".", salt="messaging.click").sign("ff-10-3")
    assert tokens.read(Purpose.CLICK, token) == Named(255, 16, 3)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]
    assert tokens.read(Purpose.CLICK, token) == Named(255, 16, 3)
    assert tokens.make(Purpose.CLICK, 255, 16, link=3) != token
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(BadToken):
        tokens.read(Purpose.CLICK, token)


def test_a_token_does_one_thing_only() -> None:
    made = {purpose: tokens.make(purpose, 7, 9) for purpose in Purpose}
    assert len(set(made.values())) == len(Purpose)
    for purpose, token in made.items():
        for other in Purpose:
            if other is not purpose:
                with pytest.raises(BadToken):
                    tokens.read(other, token)


def test_no_altered_token_is_accepted(rng: Any) -> None:
    token = tokens.make(Purpose.UNSUBSCRIBE, 7, 9)
    altered = {token[:cut] for cut in range(len(token))}
    altered |= {
        token[:at] + chr(ord(token[at]) ^ 1 << bit) + token[at + 1 :] for at in range(len(token)) for bit in range(7)
    }
    altered |= {token + "A", token.upper(), "8-9." + token.split(".")[1], "7-9.", ".", "", "é" * 50, "a" * 100_000}
    altered |= {f"{rng.randrange(10**6):x}-{rng.randrange(10**6):x}.{token.split('.')[1]}" for _ in range(2000)}
    for forged in altered - {token}:
        with pytest.raises(BadToken):
            tokens.read(Purpose.UNSUBSCRIBE, forged)


def test_an_inbox_token_ends_after_thirty_days() -> None:
    token = tokens.inbox_token(5, now=NOW)
    assert tokens.read_inbox_token(token, now=NOW + timedelta(days=30)) == 5
    for moment in (NOW + timedelta(days=30, seconds=1), NOW - timedelta(seconds=1)):
        with pytest.raises(BadToken):
            tokens.read_inbox_token(token, now=moment)


def test_a_link_leads_to_its_destination_with_utm_byte_for_byte() -> None:
    row = sent(make_profile(email="mei@example.com"), publish())
    first, second, leave = hrefs(render(row).parts["html"])
    assert click(first).headers["Location"] == TAGGED
    assert click(second).headers["Location"].startswith("https://shop.example/old?utm_source=shop&")
    assert click(first).status_code == 302
    assert "/u/" in leave
    assert Link.objects.get(position=0).url == TAGGED
    assert Link.objects.count() == 2


def test_the_text_part_has_the_same_links() -> None:
    row = sent(make_profile(email="mei@example.com"), publish())
    page = render(row)
    assert hrefs(page.parts["html"])[0] in page.parts["text"]
    assert "https://shop.example" not in page.parts["text"] + page.parts["html"]
    assert "\x02" not in "".join(page.parts.values())


def test_a_destination_that_depends_on_the_person_travels_in_the_token() -> None:
    html = HTML.replace("https://shop.example/old", "https://shop.example/{{ profile.city | urlencode }}?x=1&amp;y=2#z")
    version = publish(html)
    mei = sent(make_profile(email="mei@example.com", city="São & Paulo"), version)
    url = hrefs(render(mei).parts["html"])[1]
    assert (
        click(url)
        .headers["Location"]
        .startswith("https://shop.example/S%C3%A3o%20%26%20Paulo?x=1&y=2&utm_source=shop&")
    )
    assert click(url).headers["Location"].endswith("utm_content=hi#z")
    assert Link.objects.get(position=1).url == ""


@pytest.mark.parametrize(
    "evil",
    [
        "javascript:alert(1)", "data:text/html,x", "//evil.example", "\\\\evil.example", "vbscript:x",
        "https://shop.example@evil.example/", "https://shop.example\r\nSet-Cookie: a=b", "/relative", "https://", "x y",
        "https://shop.example/\\evil", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_a_hostile_destination(evil: str) -> None:
    html = HTML.replace("https://shop.example/old", "{{ profile.city }}")
    version = publish(html, sample={"profile": {"city": "https://shop.example/"}})
    with pytest.raises(RenderError):
        render(sent(make_profile(email="a@example.com", city=evil), version))
    written = evil.replace("\r\n", "&#13;&#10;").replace("\t", "&#9;")
    with pytest.raises(Invalid):
        compile_template(draft(HTML.replace("https://shop.example/old", written), klass="transactional"))


def test_links_can_be_left_alone() -> None:
    html = (
        '<html><body><a data-utm="off" href="https://a.example/">1</a><a data-track="off" href="https://b.example/">2</a>'
        '<a data-utm="off" data-track="off" href="https://c.example/">3</a><a href="mailto:a@b.example">4</a>'
        '<a href="#top">5</a><a data-alias="Hero Image" href="https://d.example/">6</a>'
        '<a href="{{ links.preferences }}">7</a><a href="{{ links.unsubscribe }}">8</a></body></html>'
    )
    page = render(sent(make_profile(email="mei@example.com"), publish(html))).parts["html"]
    one, two, three, four, five, six, seven, _ = hrefs(page)
    assert click(one).headers["Location"] == "https://a.example/"
    assert two.startswith("https://b.example/?utm_source=shop&")
    assert (three, four, five) == ("https://c.example/", "mailto:a@b.example", "#top")
    assert click(six).headers["Location"].endswith("utm_content=hi-hero-image")
    assert "/p/" in seven
    assert "data-" not in page


def test_link_rows_are_made_once_per_utm_set(django_assert_num_queries: Any) -> None:
    version = publish()
    places = versions([version.pk])[version.pk].variant("en").places
    with django_assert_num_queries(3):
        first = targets(version.pk, "en", places, {"utm_source": "a"}, scope="j:n")
    assert targets(version.pk, "en", places, {"utm_source": "a"}, scope="j:n") == first
    assert targets(version.pk, "en", places, {"utm_source": "b"}, scope="j:n") != first
    assert Link.objects.count() == 4


def test_addresses_of_ours_name_numbers_not_people() -> None:
    row = sent(make_profile(email="mei@example.com"), publish())
    page = render(row)
    assert "mei" not in page.parts["html"] + "".join(page.headers.values())


@pytest.mark.parametrize(
    "token", ["", "x", "1-1-1.AAAA", "https:%2F%2Fevil.example", "//evil.example", "..", "%00", "a" * 5000]
)
def test_a_wrong_click_gets_the_one_page(token: str) -> None:
    answer = Client(HTTP_USER_AGENT=BROWSER).get(f"/c/{token}?url=https://evil.example&next=https://evil.example")
    assert answer.status_code == 404
    assert "Location" not in answer.headers
