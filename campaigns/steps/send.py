"""Send a message: plan one delivery of a template for each walker, with other ways for whom the first cannot reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Self

from django.utils.translation import gettext as _
from pydantic import Field, model_validator

from campaigns.steps import Go, Intent, Place, Result, Step, Walker, steps
from campaigns.steps._keys import intent_key
from common.params import Duration, Params
from common.text import say
from messaging.models import TemplateVersion

EXPIRY = timedelta(days=3)
EXPIRY_BROADCAST = timedelta(hours=24)
EXPIRY_SMS = timedelta(hours=1)


class SendParams(Params):
    """`template` by key; `fallback` names templates of other channels, tried in this order when the one before surely
    failed; `version` and `fallback_versions` (their numbers) and `klass` are fixed at publish; `expires`: too late
    after this long."""

    template: str = Field(min_length=1, max_length=80)
    version: int | None = Field(default=None, ge=1)
    fallback: tuple[Annotated[str, Field(min_length=1, max_length=80)], ...] = Field(default=(), max_length=5)
    fallback_versions: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(), max_length=5)
    expires: Duration | None = None
    priority: int = 0
    klass: str = ""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({self.template, *self.fallback}) <= len(self.fallback):
            raise ValueError(say("each way names another template", "每个发送方式须使用不同的模板"))
        return self

    @property
    def ways(self) -> tuple[tuple[str, int | None], ...]:
        """(template key, version number) of each way, in the order in which they are tried."""
        numbers = self.fallback_versions or (None,) * len(self.fallback)
        return ((self.template, self.version), *zip(self.fallback, numbers, strict=False))


@steps.register("send")
class Send(Step[SendParams]):
    key: ClassVar[str] = "send"
    Params = SendParams

    def decide(self, group: Sequence[Walker], params: SendParams, place: Place, now: datetime) -> Mapping[int, Result]:
        expires = None if params.expires is None else now + params.expires
        detail = {"ways": params.ways, "expires_at": expires, "priority": params.priority}
        return {w.enrolment: Go(intents=(Intent("deliver", intent_key(w, "deliver"), detail),)) for w in group}

    def say(self, params: SendParams, language: str) -> str:
        names = [f"“{key}”" for key, _number in params.ways]
        return say("Send " + ", else ".join(names), "发送" + "，否则".join(names), language)

    def check(self, params: SendParams) -> list[str]:
        found = [_latest(*way) for way in params.ways]
        problems = [
            _("template '%(key)s' has no published version") % {"key": key}
            for (key, _number), version in zip(params.ways, found, strict=True)
            if version is None
        ]
        there = [version for version in found if version is not None]
        if len({version.klass for version in there}) > 1:
            problems.append(say("all ways must be of one message class", "各发送方式的消息类别须相同"))
        if len({version.channel for version in there}) < len(there):
            problems.append(say("each way must be of another channel", "各发送方式须使用不同的渠道"))
        return problems

    def pin(self, params: SendParams, place: Place) -> SendParams:
        """Fix the versions that are the latest now, and when a message is too late: an hour for SMS, a day for
        broadcasts, three days else."""
        latest, *others = [_latest(*way) for way in params.ways]
        if latest is None:
            return params
        usual = EXPIRY_SMS if latest.channel == "sms" else EXPIRY_BROADCAST if place.broadcast else EXPIRY
        numbers = tuple(other.number for other in others if other is not None)
        return params.model_copy(
            update={
                "version": latest.number, "klass": latest.klass, "expires": params.expires or usual,
                "fallback_versions": numbers,
            }
        )  # fmt: skip


def _latest(key: str, number: int | None) -> TemplateVersion | None:
    """The named version of the template, or its newest one."""
    rows = TemplateVersion.objects.filter(template__key=key, template__archived=False)
    if number is not None:
        rows = rows.filter(number=number)
    return rows.order_by("-number").first()
