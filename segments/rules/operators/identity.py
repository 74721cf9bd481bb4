"""By which kinds of name somebody is known."""

from __future__ import annotations

from typing import Literal

from django.db.models import Q

from common.params import Params
from common.semijoin import has
from common.text import say
from segments.models import Identity as Identities
from segments.rules.operators import At, Operator, Reads, operators

KINDS = {
    "user_id": ("a user id", "用户 ID"),
    "email": ("an e-mail address", "邮箱"),
    "phone": ("a phone number", "手机号"),
    "anonymous_id": ("an anonymous id", "匿名 ID"),
}


class IdentityParams(Params):
    """`known_by`: a kind of name that the person has, or `anonymous_only`: no other kind than anonymous ids."""

    known_by: Literal["user_id", "email", "phone", "anonymous_id", "anonymous_only"]


@operators.register("identity")
class Identity(Operator[IdentityParams]):
    """The names by which facts find the person; any call of a sender may bring one."""

    key = "identity"
    family = "traits"
    profiling = False
    Params = IdentityParams

    def q(self, params: IdentityParams, at: At) -> Q:
        if params.known_by == "anonymous_only":
            return ~has(Identities.objects.exclude(kind=Identities.Kind.ANONYMOUS), at.among)
        return has(Identities.objects.filter(kind=params.known_by), at.among)

    def say(self, params: IdentityParams, language: str) -> str:
        if params.known_by == "anonymous_only":
            return say("is anonymous", "是匿名访客", language)
        english, chinese = KINDS[params.known_by]
        return say(f"has {english}", f"有{chinese}", language)

    def reads(self, params: IdentityParams) -> Reads:
        return Reads(facts=frozenset({"*"}))
