"""Ten segments that operators ask for, each with the best SQL that we could write by hand for the same answer."""

from __future__ import annotations

from typing import Any

LIVING = "p.merged_into_id IS NULL AND p.erased_at IS NULL"
EVERYONE = f"SELECT p.id FROM segments_profile p WHERE {LIVING}"
STANDING = "o.state IN ('placed', 'paid')"


def leaf(operator: str, /, **params: Any) -> dict[str, Any]:
    return {"op": operator, "params": params}


RULES: dict[str, dict[str, Any]] = {
    "plain": leaf("trait", trait="country", op="equals", value="CN"),
    "traits": {
        "all": [
            leaf("trait", trait="plan", op="equals", value="pro"),
            leaf("trait", trait="locale", op="equals", value="en"),
        ]
    },
    "bucket": leaf("random_bucket", low=0, high=499),
    "buyers": leaf("order_count", op="at_least", count=2),
    "spenders": leaf("order_sum", op="at_least", amount=40_000, days=90),
    "lapsing": {
        "all": [
            leaf("event_count", event="Product Viewed", op="at_least", count=3, days=30),
            leaf("event_count", event="Order Completed", op="exactly", count=0, days=60),
        ]
    },
    "latest": leaf("event_first_last", event="Product Viewed", which="last", op="within", days=7),
    "sequence": leaf("event_sequence", first="Product Added", then="Order Completed", within_days=7, days=30),
    "abandoned": leaf("event_not_followed", event="Product Added", then="Order Completed", within_days=3, days=30),
    "nested": {
        "all": [
            leaf("in_segment", segment="plain"),
            {"any": [leaf("order_count", op="at_least", count=2), {"not": leaf("in_segment", segment="latest")}]},
        ]
    },
}

_FACTS = "SELECT e.profile_id FROM segments_event e WHERE e.name = '{name}' AND e.occurred_at > '{since}'"
_UPTO = " AND e.occurred_at <= '{now}'"
_MEMBERS = "SELECT m.profile_id FROM segments_membership m JOIN segments_segment s ON s.id = m.segment_id"
_TWICE = f"SELECT o.profile_id FROM segments_order o WHERE {STANDING} GROUP BY 1 HAVING count(*) >= 2"


def _facts(name: str, since: str) -> str:
    return (_FACTS + _UPTO).replace("{name}", name).replace("{since}", "{" + since + "}")


def _members(key: str) -> str:
    return f"{_MEMBERS} WHERE s.key = '{key}'"


def _among(rows: str) -> str:
    return f"{EVERYONE} AND p.id IN ({rows})"


BARE = {
    "plain": f"{EVERYONE} AND p.country = 'CN'",
    "traits": f"""{EVERYONE} AND p.traits @> '{{{{"plan": "pro"}}}}' AND p.locale = 'en'""",
    "bucket": f"{EVERYONE} AND p.bucket BETWEEN 0 AND 499",
    "buyers": _among(_TWICE),
    "spenders": _among(
        f"SELECT o.profile_id FROM segments_order o WHERE {STANDING} AND o.placed_at > '{{quarter}}'"
        " AND o.placed_at <= '{now}' GROUP BY 1 HAVING sum(o.net_reporting) >= 40000"
    ),
    "lapsing": _among(
        f"{_facts('Product Viewed', 'month')} GROUP BY 1 HAVING count(*) >= 3 EXCEPT"
        f" {_facts('Order Completed', 'two_months')}"
    ),
    # not the lifetime row's last_at, which may be that of a fact dated ahead
    "latest": _among(_facts("Product Viewed", "week")),
    "sequence": _among(
        f"{_facts('Order Completed', 'month')} AND EXISTS (SELECT 1 FROM segments_event b WHERE"
        " b.profile_id = e.profile_id AND b.name = 'Product Added' AND b.occurred_at < e.occurred_at"
        " AND b.occurred_at >= e.occurred_at - interval '7 days')"
    ),
    "abandoned": _among(
        f"{_facts('Product Added', 'month')} AND e.occurred_at <= '{{three_days}}' AND NOT EXISTS (SELECT 1 FROM"
        " segments_event b WHERE b.profile_id = e.profile_id AND b.name = 'Order Completed'"
        " AND b.occurred_at > e.occurred_at AND b.occurred_at <= e.occurred_at + interval '3 days')"
    ),
    "nested": (
        f"{EVERYONE} AND p.id IN ({_members('plain')}) AND (p.id IN ({_TWICE}) OR p.id NOT IN ({_members('latest')}))"
    ),
}
