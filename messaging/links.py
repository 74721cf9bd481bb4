"""Links of a version as they are sent: the destination with its UTM once per set, a row for each, a signed URL.

A destination that is the same for everybody is worked out once per (version, locale, UTM set) and kept in its Link
row, byte for byte; one that depends on the person travels inside the signed token. No address of ours takes a
destination as a parameter, so nothing can be redirected elsewhere (docs/links.md).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from common.text import utm_value
from messaging import tokens, utm
from messaging.models import Link
from messaging.places import Place
from messaging.tokens import Purpose

KEPT = 2000
_LETTERS = {Purpose.UNSUBSCRIBE: "u", Purpose.PREFERENCES: "p", Purpose.VIEW: "v"}


@dataclass(frozen=True)
class Target:
    """A place as it is sent: its Link row (0 when it is not tracked), its destination ("" when personal) and the
    parameters that a personal destination gets."""

    link: int
    url: str
    tracked: bool
    params: Mapping[str, str]


Key = tuple[int, str, str, tuple[tuple[str, str], ...]]
_known: OrderedDict[Key, tuple[Target, ...]] = OrderedDict()


def targets(
    version: int, locale: str, places: Sequence[Place], params: Mapping[str, str], *, scope: str = ""
) -> tuple[Target, ...]:
    """The targets of a version's links under one UTM set; one or two statements the first time, then none.

    `scope` says who set the UTM ("journey:node"). What was read inside a transaction is not remembered, since
    that may still be rolled back.
    """
    key = (version, locale, scope, tuple(params.items()))
    found = _known.get(key)
    if found is None:
        found = _targets(version, locale, places, params, scope)
        if not transaction.get_connection().in_atomic_block:
            _known[key] = found
            while len(_known) > KEPT:
                _known.popitem(last=False)
    return found


def _targets(
    version: int, locale: str, places: Sequence[Place], params: Mapping[str, str], scope: str
) -> tuple[Target, ...]:
    rows: dict[str, Link] = {}
    wanted: list[tuple[str, str, bool, dict[str, str]]] = []
    for position, place in enumerate(places):
        given = with_alias(params, place.alias) if place.tagged else {}
        url = "" if place.personal else tagged(place.url, given)
        digest = digest_of(version, locale, position, scope, url)
        if place.tracked:
            rows[digest] = Link(
                version_id=version, locale=locale, position=position, alias=place.alias, scope=scope[:120], url=url,
                digest=digest,
            )  # fmt: skip
        wanted.append((digest, url, place.tracked, given))
    ids = _ensure(rows)
    return tuple(Target(ids.get(digest, 0), url, tracked, given) for digest, url, tracked, given in wanted)


def _ensure(rows: Mapping[str, Link]) -> dict[str, int]:
    """Ids by digest, inserting what is not there."""
    ids = dict(Link.objects.filter(digest__in=list(rows)).values_list("digest", "pk")) if rows else {}
    missing = [row for digest, row in rows.items() if digest not in ids]
    if missing:
        Link.objects.bulk_create(missing, ignore_conflicts=True)
        ids = dict(Link.objects.filter(digest__in=list(rows)).values_list("digest", "pk"))
    return ids


def digest_of(version: int, locale: str, position: int, scope: str, url: str) -> str:
    """What makes a link row one: its place and its destination."""
    said = "\n".join([str(version), locale, str(position), scope, url])
    return hashlib.sha256(said.encode()).hexdigest()


def tagged(url: str, params: Mapping[str, str]) -> str:
    """A destination with its UTM, by the workspace's policy and hosts."""
    return utm.tag(url, params, policy=settings.UTM_POLICY, hosts=settings.UTM_HOSTS)


def with_alias(params: Mapping[str, str], alias: str) -> dict[str, str]:
    """The set with the link's alias at the end of utm_content."""
    if not params or not alias:
        return dict(params)
    content = "-".join(filter(None, [params.get("utm_content", ""), utm_value(alias)]))
    return utm.named({**params, "utm_content": content})


def click_url(target: Target, delivery: int, address: int | None, *, url: str = "") -> str:
    """The signed address that stands in the message; `url` is the destination of a personal link."""
    return f"{settings.PUBLIC_URL}/c/{tokens.make(Purpose.CLICK, delivery, address, link=target.link, url=url)}"


def open_url(delivery: int, address: int | None) -> str:
    """The open pixel's address."""
    return f"{settings.PUBLIC_URL}/o/{tokens.make(Purpose.OPEN, delivery, address)}.gif"


def page_url(purpose: Purpose, delivery: int, address: int | None) -> str:
    """The address of a recipient's page: unsubscribe, preferences, view."""
    return f"{settings.PUBLIC_URL}/{_LETTERS[purpose]}/{tokens.make(purpose, delivery, address)}"
