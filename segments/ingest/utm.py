"""The campaign parameters that a visit brings, and the copies of them kept on the person."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from common.text import utm_value

PARTS = ("source", "medium", "campaign", "content", "term", "id")
GIVEN = frozenset(f"utm_{part}" for part in PARTS)
FIRST, LATEST = "$utm_", "$latest_utm_"
OURS = (FIRST, LATEST)


def read_utm(properties: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, str]:
    """Short name ("source") → normalised value, from context.campaign, else from the page's address; often {}."""
    campaign = context.get("campaign")
    if campaign and isinstance(campaign, Mapping):
        found = _clean({**campaign, "campaign": campaign.get("name", campaign.get("campaign"))})
        if found:
            return found
    page = context.get("page")
    urls = [page.get("url"), page.get("search")] if page and isinstance(page, dict | Mapping) else []
    for url in (*urls, properties.get("url"), properties.get("$current_url")):
        if isinstance(url, str) and "utm_" in url.lower() and (found := _of_address(url)):
            return found
    if GIVEN.isdisjoint(properties):
        return {}
    return _clean({part: properties[f"utm_{part}"] for part in PARTS if f"utm_{part}" in properties})


def first_copies(utm: Mapping[str, str]) -> dict[str, str]:
    return {FIRST + part: value for part, value in utm.items()}


def latest_copies(utm: Mapping[str, str]) -> dict[str, str]:
    return {LATEST + part: value for part, value in utm.items()}


def _of_address(url: str) -> dict[str, str]:
    try:
        return dict(_of_query(urlsplit(url).query))
    except ValueError:
        return {}


@lru_cache(maxsize=1024)
def _of_query(query: str) -> dict[str, str]:
    """The same link brings many people: its parameters are read once. Raises ValueError for more than 200."""
    said = parse_qsl(query, max_num_fields=200)
    return _clean({name.lower()[4:]: value for name, value in said if name.lower().startswith("utm_")})


def _clean(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as they are stored; without source, medium or campaign there is no UTM at all."""
    found = {part: utm_value(str(values[part]))[:100] for part in PARTS if isinstance(values.get(part), str | int)}
    found = {part: value for part, value in found.items() if value}
    return found if found.keys() & {"source", "medium", "campaign"} else {}
