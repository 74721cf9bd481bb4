"""Names of the facts that the engine itself states. They begin with "@", which no sender may use."""

from __future__ import annotations

ENGINE_SOURCE = "engine"
RESERVED = "@"

SEGMENT_ENTERED = "@segment_entered"  # segment
SEGMENT_LEFT = "@segment_left"  # segment
LIST_ADDED = "@list_added"  # list
LIST_REMOVED = "@list_removed"  # list
STAGE_CHANGED = "@stage_changed"  # before, after, reason
RFM_CHANGED = "@rfm_changed"  # before, after
HEALTH_CHANGED = "@health_changed"  # before, after, worse, score, trend, reason
HEALTH_SCORED = "@health_scored"  # score, trend: one of them passed a multiple of five
POINTS_CHANGED = "@points_changed"  # by, balance, reason
LEVEL_REACHED = "@level_reached"  # level, rank, before
LEVEL_LOST = "@level_lost"  # level and rank kept ("" and null: none), before
LEVEL_ENDING = "@level_ending"  # level, until, days (30 or 7), missing (points), next (level; "" for none)
BADGE_AWARDED = "@badge_awarded"  # badge
MISSION_COMPLETED = "@mission_completed"  # mission, period, times
BENEFIT_GRANTED = "@benefit_granted"  # benefit, pool
COUPON_REDEEMED = "@coupon_redeemed"  # benefit, pool, order_id
COUPON_RETURNED = "@coupon_returned"  # benefit, pool, order_id, state (assigned: may be used again; expired; void)
MERGED = "@merged"  # from
ERASED = "@erased"
CORRECTED = "@corrected"  # traits
CONSENT_CHANGED = "@consent_changed"  # channel, topic, action
PREFERENCE_CHANGED = "@preference_changed"  # at_most, period, paused_until (no more is null)
UNSUBSCRIBED = "@unsubscribed"  # channel, topic, delivery
SUNSET = "@sunset"  # channel, what ("slowed", "stopped"), ignored
COMPLAINED = "@complained"  # channel, delivery
BOUNCED = "@bounced"  # channel, kind, delivery
MESSAGE_FAILED = "@message_failed"  # reason, delivery
MESSAGE_OPENED = "@message_opened"  # delivery, template, campaign, journey, node
MESSAGE_CLICKED = "@message_clicked"  # the same, link, url
MESSAGE_REPLIED = "@message_replied"  # channel, delivery ("" when not known which), template, campaign, journey, node

IDENTIFY = "identify"
PAGE = "page"
SCREEN = "screen"
GROUP = "group"
ALIAS = "alias"
ORDER_COMPLETED = "Order Completed"  # order_id, total, currency, coupon; value = net
ORDER_REFUNDED = "Order Refunded"  # order_id, total, currency; value = minus the refund
ORDER_CANCELLED = "Order Cancelled"  # order_id
ORDER_UPDATED = "Order Updated"  # order_id, total, currency
ORDER_FACTS = frozenset({ORDER_COMPLETED, ORDER_UPDATED, ORDER_REFUNDED, ORDER_CANCELLED})
