"""Whether somebody agreed to a topic on a channel, refused it, or never said."""

from __future__ import annotations

from typing import Annotated, Literal

from django.db.models import Q
from pydantic import Field

from common.jsonsql import list_has
from common.params import Params
from common.semijoin import has
from common.text import say
from messaging.models import Address, Topic
from segments.facts.names import BOUNCED, COMPLAINED, CONSENT_CHANGED, UNSUBSCRIBED
from segments.rules.operators import At, Operator, Reads, operators

Key = Annotated[str, Field(min_length=1, max_length=80)]


class ConsentParams(Params):
    """`state` of a `topic` on a `channel`: "given" and not refused since, "refused", or "unknown"."""

    channel: Annotated[str, Field(min_length=1, max_length=20)] = "email"
    topic: Key
    state: Literal["given", "refused", "unknown"] = "given"


@operators.register("consent")
class Consent(Operator[ConsentParams]):
    """What the person's addresses of the channel say; a refusal of everything ("*") refuses each topic."""

    key = "consent"
    family = "engagement"
    profiling = False
    Params = ConsentParams

    def q(self, params: ConsentParams, at: At) -> Q:
        addresses = Address.objects.filter(channel=params.channel, profile__isnull=False)
        refused = list_has("refusals", params.topic) | list_has("refusals", "*")
        given = list_has("consents", params.topic)
        if params.state == "given":
            return has(addresses.filter(given & ~refused), at.among)
        if params.state == "refused":
            return has(addresses.filter(refused), at.among)
        return ~has(addresses.filter(given | refused), at.among)

    def say(self, params: ConsentParams, language: str) -> str:
        english = {"given": "agreed to", "refused": "refused", "unknown": "never answered about"}[params.state]
        chinese = {"given": "同意接收", "refused": "拒绝接收", "unknown": "未表态"}[params.state]
        return say(f"{english} “{params.topic}” by {params.channel}",
                   f"{chinese}“{params.topic}”（{params.channel}）", language)  # fmt: skip

    def blank(self, params: ConsentParams) -> bool | None:
        return params.state == "unknown"

    def reads(self, params: ConsentParams) -> Reads:
        return Reads(facts=frozenset({CONSENT_CHANGED, UNSUBSCRIBED, COMPLAINED, BOUNCED}))

    def check(self, params: ConsentParams) -> list[str]:
        known = Topic.objects.filter(key=params.topic).exists()
        return [] if known else [f"no topic has the key '{params.topic}'"]
