"""PostHog's form of a call, told in the words of the Segment spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED = {"$pageview": "page", "$screen": "screen"}
CONTEXT = {"$current_url": "url", "$pathname": "path", "$referrer": "referrer", "$title": "title"}


def is_posthog(row: Mapping[str, Any]) -> bool:
    """PostHog's clients name a person by `distinct_id`; the Segment spec knows no such key."""
    return "type" not in row and ("distinct_id" in row or "$distinct_id" in row)


def to_segment(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same call with type, ids, traits and messageId where the Segment spec has them."""
    given = row.get("properties")
    said: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {}
    event = row.get("event")
    call: dict[str, Any] = {
        "type": "track",
        "event": event,
        "messageId": row.get("uuid") or row.get("messageId"),
        "timestamp": row.get("timestamp"),
        **_ids(row, said),
    }
    traits = _first(row.get("$set"), said.pop("$set", None))
    once = _first(row.get("$set_once"), said.pop("$set_once", None))
    if event in ("$identify", "$set", "$set_once"):
        call |= {"type": "identify"}
    elif event == "$create_alias":
        call |= {"type": "alias", "userId": said.get("alias"), "previousId": said.get("distinct_id")}
    elif event == "$groupidentify":
        call |= {"type": "group", "groupId": said.pop("$group_key", None), "traits": said.pop("$group_set", None)}
    elif isinstance(event, str) and event in RENAMED:
        call |= {"type": RENAMED[event], "name": said.get("$screen_name") or said.get("title")}
    if call["type"] != "group":
        call |= {"traits": traits} if traits is not None else {}
        call |= {"traitsOnce": once} if once is not None else {}
    page = {name: said[theirs] for theirs, name in CONTEXT.items() if isinstance(said.get(theirs), str)}
    library = {"name": said.get("$lib"), "version": said.get("$lib_version")}
    call["context"] = {**({"page": page} if page else {}), **({"library": library} if library["name"] else {})}
    call["properties"] = said
    return {name: value for name, value in call.items() if value is not None}


def _ids(row: Mapping[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """A distinct_id is a user's, unless the client says that it knows nobody yet."""
    who = row.get("distinct_id", row.get("$distinct_id"))
    anonymous = said.pop("$anon_distinct_id", None)
    personless = said.get("$process_person_profile") is False or said.get("$is_identified") is False
    if personless and anonymous is None:
        return {"anonymousId": who}
    return {"userId": who, "anonymousId": anonymous}


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
