"""UTM on links: the vectors of docs/utm.md, byte for byte, and what is left alone."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging import utm

PARAMS = {"utm_campaign": "winback-q3", "utm_source": "engine", "utm_medium": "email"}  # order is not the caller's
U = "utm_source=engine&utm_medium=email&utm_campaign=winback-q3"


@pytest.mark.parametrize(
    ("url", "tagged"),
    [
        ("https://ex.com", f"https://ex.com?{U}"),
        ("https://ex.com/a?x=1&", f"https://ex.com/a?x=1&{U}"),
        ("https://ex.com/a?x=1#top", f"https://ex.com/a?x=1&{U}#top"),
        ("https://ex.com/#/route?x=1", f"https://ex.com/?{U}#/route?x=1"),
        ("https://ex.com/a?", f"https://ex.com/a?{U}"),
        ("HTTPS://Ex.com/%7Eä?q=%e4+b;c", f"HTTPS://Ex.com/%7Eä?q=%e4+b;c&{U}"),
        ("https://ex.com/?a=1&&b", f"https://ex.com/?a=1&&b&{U}"),
    ],
)
def test_parameters_go_before_the_fragment_and_nothing_else_moves(url: str, tagged: str) -> None:
    assert utm.tag(url, PARAMS) == tagged


@pytest.mark.parametrize(
    "url",
    [
        "https://ex.com/?UTM_Source=fb",
        "https://ex.com/?a=1&utm_term=x#y",
        "https://ex.com/?%75tm_source=fb",
        "mailto:a@ex.com",
        "tel:+86138",
        "sms:+86138",
        "weixin://dl/chat",
        "#a",
        "",
        "data:text/html,x",
        "javascript:alert(1)",
        "//ex.com",
        "/relative",
        "https://ex.com/f?X-Amz-Signature=abc",
        "https://ex.com/f?signature=abc",
        "https://ex.com/f?a=1&sig=abc",
        "https://ex.com/f?sign=abc",
        "https://ex.com/f?x-goog-signature=abc",
    ],
)
def test_what_is_left_alone(url: str) -> None:
    assert utm.tag(url, PARAMS) == url


def test_a_link_in_html_is_tagged_on_its_decoded_value() -> None:
    tagged = "https://ex.com/?a=1&amp;b=2&amp;utm_source=engine&amp;utm_medium=email&amp;utm_campaign=winback-q3"
    assert utm.tag_attribute("https://ex.com/?a=1&amp;b=2", PARAMS) == tagged
    assert utm.tag_attribute("mailto:a@ex.com?x=1&amp;y", PARAMS) == "mailto:a@ex.com?x=1&amp;y"


def test_values_are_percent_encoded_and_a_blank_is_never_a_plus() -> None:
    assert (
        utm.tag("https://ex.com", {"utm_campaign": "双 11+a&b"}) == "https://ex.com?utm_campaign=%E5%8F%8C%2011%2Ba%26b"
    )


def test_the_order_is_the_documented_one() -> None:
    given = {
        "source_platform": "p",
        "term": "t",
        "content": "c",
        "id": "i",
        "campaign": "x",
        "medium": "m",
        "source": "s",
    }
    names = ["utm_source", "utm_medium", "utm_campaign", "utm_id", "utm_content", "utm_term", "utm_source_platform"]
    assert list(utm.named(given)) == names
    assert utm.named({"source": "", "utm_medium": "m"}) == {"utm_medium": "m"}


def test_policies() -> None:
    url = "https://ex.com/?utm_source=fb&x=1"
    assert utm.tag(url, PARAMS, policy="fill") == f"{url}&utm_medium=email&utm_campaign=winback-q3"
    assert utm.tag(url, PARAMS, policy="overwrite") == f"https://ex.com/?x=1&{U}"


def test_hosts_outside_the_list_are_not_tagged() -> None:
    assert utm.tag("https://shop.ex.com/a", PARAMS, hosts=["ex.com"]) == f"https://shop.ex.com/a?{U}"
    for other in ("https://notex.com/", "https://ex.com.evil.org/", "https://[::1/", "https:///x"):
        assert utm.tag(other, PARAMS, hosts=["ex.com"]) == other


def test_lint_tells_what_is_missing_personal_or_too_long() -> None:
    found = {(one.where, one.error) for one in utm.lint({"utm_source": "Mei@ex.com", "utm_medium": "E mail"})}
    assert found == {("utm_campaign", True), ("utm_source", True), ("utm_medium", False)}
    assert [one.error for one in utm.lint({**PARAMS, "utm_term": "a" * 101})] == [False]
    assert [one.error for one in utm.lint({**PARAMS, "utm_term": "a" * 421})] == [True]
    assert [one.error for one in utm.lint({**PARAMS, "utm_term": "13812345678"})] == [True]
    assert [one.error for one in utm.lint(PARAMS, url="x" * 1001)] == [False]
    assert [one.error for one in utm.lint(PARAMS, url="x" * 2001)] == [True]


PIECE = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="#&=?"), max_size=8)


@given(path=PIECE, query=st.lists(st.tuples(PIECE, PIECE), max_size=4), fragment=PIECE, value=st.text(max_size=12))
def test_whatever_was_there_stays_byte_for_byte(
    path: str, query: list[tuple[str, str]], fragment: str, value: str
) -> None:
    raw = "&".join(f"k{name}={text}" for name, text in query)
    url = "https://ex.com/" + path + ("?" + raw if raw else "") + ("#" + fragment if fragment else "")
    value = value.encode("utf-8", "ignore").decode()
    tagged = utm.tag(url, {"utm_source": value})
    head, _, tail = tagged.partition("#")
    assert tail == fragment
    assert head.startswith("https://ex.com/" + path + ("?" + raw if raw else "?"))
    if value.isprintable() and path.isprintable() and raw.isprintable():
        assert ("utm_source", value) in parse_qsl(urlsplit(tagged).query, keep_blank_values=True)
