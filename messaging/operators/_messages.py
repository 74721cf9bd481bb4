"""Which messages a rule speaks of: of one template, journey, campaign or channel, or any."""

from __future__ import annotations

from typing import Annotated, Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from pydantic import Field

from common import jsonsql
from common.params import Params
from common.text import say
from messaging.models import Delivery, Template

Key = Annotated[str, Field(min_length=1, max_length=80)]
BOUNCED = (Delivery.Reached.SOFT, Delivery.Reached.HARD)
SAID = {"template": "模板", "journey": "旅程", "campaign": "活动", "channel": "渠道"}


class MessageParams(Params):
    """What is left out is not asked."""

    template: Key | None = None
    journey: Key | None = None
    campaign: Key | None = None
    channel: Annotated[str, Field(min_length=1, max_length=20)] | None = None

    @property
    def of(self) -> dict[str, str]:
        """The names that are asked for."""
        return {name: value for name in SAID if (value := getattr(self, name)) is not None}


def sent(params: MessageParams) -> QuerySet[Delivery]:
    """Messages that a provider took; what a held-out person would have been sent is none."""
    columns = {"version__template__key" if name == "template" else name: value for name, value in params.of.items()}
    return Delivery.objects.filter(state=Delivery.State.ACCEPTED, ghost=False, sent_at__isnull=False, **columns)


def facts_about(rows: QuerySet[Any], params: MessageParams) -> QuerySet[Any]:
    """The facts of opening or clicking that are about such messages."""
    for name, value in params.of.items():
        rows = rows.filter(jsonsql.equals("properties", name, value))
    return rows


def say_of(params: MessageParams, language: str) -> str:
    """ " of the template “welcome”", or nothing."""
    english = " and ".join(f"the {name} “{value}”" for name, value in params.of.items())
    chinese = "、".join(f"{SAID[name]}“{value}”" for name, value in params.of.items())
    return say(f" of {english}", f"（{chinese}）", language) if english else ""


def unknown_template(params: MessageParams) -> list[str]:
    """Journeys and campaigns are kept above this app; templates can be looked up."""
    if params.template is None or Template.objects.filter(key=params.template).exists():
        return []
    return [_("there is no template '%(key)s'") % {"key": params.template}]
