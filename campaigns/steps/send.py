"""Send a message: plan one delivery of a template for each walker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from django.utils.translation import gettext as _
from pydantic import Field

from campaigns.steps import Go, Intent, Place, Result, Step, Walker, steps
from campaigns.steps._keys import intent_key
from common.params import Duration, Params
from common.text import say
from messaging.models import TemplateVersion

EXPIRY = timedelta(days=3)
EXPIRY_BROADCAST = timedelta(hours=24)
EXPIRY_SMS = timedelta(hours=1)


class SendParams(Params):
    """`template` by key; `version` (its number) and `klass` are fixed at publish; `expires`: too late after
    this long."""

    template: str = Field(min_length=1, max_length=80)
    version: int | None = Field(default=None, ge=1)
    expires: Duration | None = None
    priority: int = 0
    klass: str = ""


@steps.register("send")
class Send(Step[SendParams]):
    key: ClassVar[str] = "send"
    Params = SendParams

    def decide(self, group: Sequence[Walker], params: SendParams, place: Place, now: datetime) -> Mapping[int, Result]:
        expires = None if params.expires is None else now + params.expires
        detail = {
            "template": params.template,
            "version": params.version,
            "expires_at": expires,
            "priority": params.priority,
        }
        return {w.enrolment: Go(intents=(Intent("deliver", intent_key(w, "deliver"), detail),)) for w in group}

    def say(self, params: SendParams, language: str) -> str:
        return say(f"Send “{params.template}”", f"发送“{params.template}”", language)

    def check(self, params: SendParams) -> list[str]:
        if _latest(params) is None:
            return [_("template '%(key)s' has no published version") % {"key": params.template}]
        return []

    def pin(self, params: SendParams, place: Place) -> SendParams:
        """Fix the version that is the latest now, and when a message is too late: an hour for SMS, a day for
        broadcasts, three days else."""
        latest = _latest(params)
        if latest is None:
            return params
        usual = EXPIRY_SMS if latest.channel == "sms" else EXPIRY_BROADCAST if place.broadcast else EXPIRY
        return params.model_copy(
            update={"version": latest.number, "klass": latest.klass, "expires": params.expires or usual}
        )


def _latest(params: SendParams) -> TemplateVersion | None:
    """The named version of the template, or its newest one."""
    rows = TemplateVersion.objects.filter(template__key=params.template, template__archived=False)
    if params.version is not None:
        rows = rows.filter(number=params.version)
    return rows.order_by("-number").first()
