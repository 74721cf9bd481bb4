"""From one JSON object of a sender to one checked Call, or the reason why not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from segments.facts.names import ORDER_COMPLETED, ORDER_REFUNDED, RESERVED
from segments.ingest.call import KINDS, Call, OrderSaid, read_id, read_object
from segments.ingest.check import check_row
from segments.ingest.limits import ID_CHARS, NAME_CHARS, Refused
from segments.ingest.money import ORDER_EVENTS, read_order, to_reporting
from segments.ingest.posthog import is_posthog, to_segment
from segments.ingest.times import NOT_LIVE, ZONELESS, parse_time, place
from segments.ingest.traits import read_email, read_phone, read_traits, with_context
from segments.ingest.utm import read_utm

LINES = "$lines"  # where an import puts the items of an order, apart from what the fact keeps
DROPPED = frozenset({"traits", "ip"})  # of the context: said elsewhere, or personal without use


@dataclass(frozen=True)
class Reading:
    """What all calls of one request share. `skew` is received minus sent; `weigh`: measure each call's bytes;
    `by_address`: a file may name a person by e-mail or phone alone."""

    now: datetime
    skew: timedelta = timedelta(0)
    historical: bool = False
    live_since: datetime | None = None
    lenient: bool = False
    browser: bool = False
    weigh: bool = True
    by_address: bool = False


def read_call(raw: Any, index: int, reading: Reading) -> Call:
    """One checked call. Raises Refused with code, path and message."""
    items = tuple(raw.pop(LINES, ())) if reading.by_address and isinstance(raw, dict) else ()
    row, repaired = check_row(raw, lenient=reading.lenient, weigh=reading.weigh)
    posthog = is_posthog(row)
    if posthog:
        row = to_segment(row)
    kind = _kind(row)
    user, anonymous = read_id(row, "userId"), read_id(row, "anonymousId")
    email = read_email(row.get("email")) or "" if reading.by_address else ""
    phone = read_phone(row.get("phone")) or "" if reading.by_address else ""
    if not (user or anonymous or email or phone) and kind != "alias":
        raise Refused("missing_id", "userId", "a call names its person by userId or anonymousId")
    previous = read_id(row, "previousId") if kind == "alias" else ""
    if kind == "alias" and not (user and previous):
        raise Refused("missing_id", "previousId" if user else "userId", "an alias has a userId and a previousId")
    properties, context = read_object(row, "properties"), read_object(row, "context")
    name = _name(row, kind)
    at, flags = _time(row, reading)
    call = Call(
        index=index,
        kind=kind,
        name=name,
        key=_key(row),
        occurred_at=at,
        user_id=user,
        anonymous_id=anonymous,
        previous_id=previous,
        symmetric=posthog and kind == "alias",
        email=email,
        phone=phone,
        live=_is_live(at, flags, reading),
        flags=",".join([*flags, "repaired"] if repaired else flags) if flags or repaired else "",
        properties=_properties(row, kind, properties, context),
        context=_context(context),
        utm=read_utm(properties, context),
        raw=raw,
    )
    call = _with_traits(call, row, context)
    if kind == "track" and name in ORDER_EVENTS:
        call = with_order(call, read_order(name, properties, items))
    return for_browser(call) if reading.browser else call


def with_order(call: Call, order: OrderSaid) -> Call:
    """The call with its order: canonical names in the properties, value in the reporting currency, one fact an order.

    A completed order's fact is keyed by the order, so that a second message about it counts nothing twice.
    """
    minor = order.total if order.event == ORDER_COMPLETED else order.refund
    value = None if minor is None else to_reporting(minor, order.currency)
    said = {"order_id": order.order_id, "currency": order.currency}
    if order.coupon:
        said["coupon"] = order.coupon
    if order.event == ORDER_REFUNDED and value is not None:
        value = -value
    key = order_key(order.order_id) if order.event == ORDER_COMPLETED else call.key
    counted = value if order.event in (ORDER_COMPLETED, ORDER_REFUNDED) else None
    return replace(call, key=key, value=counted, order=order, properties={**call.properties, **said})


def order_key(order_id: str) -> str:
    """The key of the fact that an order was completed."""
    return f"order:{order_id}"


def for_browser(call: Call) -> Call:
    """What a key that anybody can read in a page may say: no money, no alias, and nothing about a known person."""
    if call.order is not None:
        raise Refused("browser_money", "event", "orders are told by a server's key")
    if call.kind == "alias" or not call.anonymous_id:
        raise Refused("browser_person", "anonymousId", "a browser's key speaks for an anonymousId only")
    flags = f"{call.flags},unproven".strip(",") if call.user_id else call.flags
    traits = call.traits
    if traits is not None:
        columns = {name: value for name, value in traits.columns.items() if name not in ("email", "phone")}
        traits = replace(traits, columns=columns)
    return replace(call, user_id="", email="", phone="", value=None, traits=traits, flags=flags)


def message_key(row: Mapping[str, Any]) -> str:
    """A key for a call without an id: the hash of its canonical text, so that a replay is known as such."""
    said = {name: value for name, value in row.items() if name not in ("sentAt", "receivedAt", "sent_at")}
    text = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _kind(row: Mapping[str, Any]) -> str:
    kind = row.get("type")
    if kind is None:
        raise Refused("missing_type", "type", "a call says its type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Refused("unknown_type", "type", f"'{str(kind)[:40]}' is none of {', '.join(sorted(KINDS))}")
    return kind


def _name(row: Mapping[str, Any], kind: str) -> str:
    """The fact's name: the event's of a track call, the kind's of every other."""
    if kind != "track":
        return kind
    value = row.get("event")
    if value is None or value == "":
        raise Refused("missing_event", "event", "a track call names its event")
    if not isinstance(value, str):
        raise Refused("wrong_type", "event", "an event's name is text")
    name = value.strip()
    if not name:
        raise Refused("missing_event", "event", "a track call names its event")
    if len(name) > NAME_CHARS:
        raise Refused("name_too_long", "event", f"an event's name may have {NAME_CHARS} characters")
    if name.startswith(RESERVED):
        raise Refused("reserved_name", "event", f"names that begin with {RESERVED} are the engine's own")
    return name


def _key(row: Mapping[str, Any]) -> str:
    value = row.get("messageId")
    if value is None or value == "":
        return message_key(row)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Refused("wrong_type", "messageId", "a message id is text")
    text = str(value)
    if len(text) > ID_CHARS:
        raise Refused("id_too_long", "messageId", f"a message id may have {ID_CHARS} characters")
    return text


def _time(row: Mapping[str, Any], reading: Reading) -> tuple[datetime, list[str]]:
    for name in ("originalTimestamp", "timestamp"):
        value = row.get(name)
        if value is not None:
            at, bare = parse_time(value, name)
            at, flag = place(at, now=reading.now, skew=reading.skew)
            return at, [mark for mark in (flag, ZONELESS if bare else "") if mark]
    return reading.now, []


def _is_live(at: datetime, flags: list[str], reading: Reading) -> bool:
    if flags and NOT_LIVE.intersection(flags):
        return False
    return not reading.historical or (reading.live_since is not None and at >= reading.live_since)


def _properties(
    row: Mapping[str, Any], kind: str, properties: Mapping[str, Any], context: Mapping[str, Any]
) -> Mapping[str, Any]:
    """What the fact keeps: a page's or screen's name, a group's id and traits, an identify's traits."""
    if kind in ("page", "screen"):
        extra = {name: row[name] for name in ("name", "category") if isinstance(row.get(name), str)}
        return {**properties, **extra} if extra else properties
    if kind == "group":
        return {**read_object(row, "traits"), "group_id": read_id(row, "groupId")}
    return _traits(row, context) if kind == "identify" else properties


def _traits(row: Mapping[str, Any], context: Mapping[str, Any]) -> Mapping[str, Any]:
    """The traits of an identify call; RudderStack's Python client puts them into the context."""
    said, beneath = read_object(row, "traits"), context.get("traits")
    return {**beneath, **said} if isinstance(beneath, Mapping) and beneath else said


def _context(context: Mapping[str, Any]) -> Mapping[str, Any]:
    if DROPPED.isdisjoint(context):
        return context
    return {name: value for name, value in context.items() if name not in DROPPED}


def _with_traits(call: Call, row: Mapping[str, Any], context: Mapping[str, Any]) -> Call:
    once = read_object(row, "traitsOnce")
    if call.kind != "identify" and row.get("traits") is None and row.get("traitsOnce") is None:
        return call
    said = call.properties if call.kind == "identify" else {} if call.kind == "group" else read_object(row, "traits")
    if call.kind != "identify" and not said and not once:
        return call
    traits = read_traits(said, once=once)
    if call.kind == "identify":
        traits = with_context(traits, context)
    email, phone = traits.columns.get("email", call.email), traits.columns.get("phone", call.phone)
    return replace(call, traits=traits, email=str(email), phone=str(phone))
