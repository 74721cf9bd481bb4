"""The page of a dry run: whom, how long, what is assumed of them, and what came of it step by step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from campaigns.models import Enrolment, Journey
from campaigns.reasons import in_words as walk_in_words
from campaigns.rehearsal.trial import MOST_DAYS, DryRunFailed, dry_run
from common import clock
from common.admin import show
from common.params import Invalid
from messaging.models import Delivery
from messaging.reasons import in_words
from segments.people import NobodyFound, find_person

DAY = 86400
ASSUMED = 3  # rows of the form
GIVEN: Mapping[str, Any] = {"points": _("points"), "badge": _("badge"), "benefit": _("benefit")}


class DryRunForm(forms.Form):
    """`fact_n` and `after_n` are the assumed facts, `after` in days."""

    person = forms.CharField(
        label=_("person"), max_length=254, help_text=_("an e-mail address, a user id or a public id")
    )
    days = forms.IntegerField(label=_("days"), min_value=1, max_value=MOST_DAYS, initial=60)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for n in range(ASSUMED):
            self.fields[f"fact_{n}"] = forms.CharField(label=_("fact"), max_length=200, required=False)
            self.fields[f"after_{n}"] = forms.FloatField(label=_("after days"), min_value=0, required=False)

    @property
    def rows(self) -> list[tuple[Any, Any]]:
        return [(self[f"fact_{n}"], self[f"after_{n}"]) for n in range(ASSUMED)]

    @property
    def assumed(self) -> list[dict[str, Any]]:
        """The facts as the verb takes them."""
        data = self.cleaned_data
        named = [(data[f"fact_{n}"], data[f"after_{n}"] or 0) for n in range(ASSUMED)]
        return [{"fact": fact.strip(), "after": after * DAY} for fact, after in named if fact.strip()]


def seen(request: HttpRequest, journey: Journey) -> dict[str, Any]:
    """The page's context: the form, and after a POST what came of it or everything that stands against it."""
    form = DryRunForm(request.POST or None)
    context: dict[str, Any] = {"journey": journey, "original": journey, "form": form, "problems": [], "told": None}
    if request.method != "POST" or not form.is_valid():
        return context
    data = form.cleaned_data
    try:
        person = find_person(data["person"])
        found = dry_run(journey, person, now=clock.now(), by=request.user, days=data["days"], assumed=form.assumed)
    except NobodyFound as error:
        return context | {"problems": [str(error)]}
    except Invalid as error:
        return context | {"problems": [str(problem) for problem in error.problems]}
    except DryRunFailed as error:
        return context | {"problems": [gettext("It could not be brought to its end: %(why)s") % {"why": error}]}
    return context | {"told": found, "person": person, **_in_words(found)}


def _in_words(told: Mapping[str, Any]) -> dict[str, Any]:
    """Times as times, states as pills, reasons as sentences."""
    walk = told["walk"]
    steps = [{**one, **_times(one, "came", "left"), "because": walk_in_words(one["reason"])} for one in told["steps"]]
    messages = [
        {
            **one,
            **_times(one, "at"),
            "pill": show.pill(one["state"], Delivery.State(one["state"]).label),
            "because": in_words(one["reason"]),
        }
        for one in told["messages"]
    ]
    given = [{**one, **_times(one, "at"), "kind": GIVEN[one["kind"]]} for one in told["given"]]
    pill = show.pill(walk["state"], Enrolment.State(walk["state"]).label) if walk else ""
    because = walk_in_words(walk["reason"]) if walk else ""
    return {"steps": steps, "messages_sent": messages, "given": given, "walk": walk, "pill": pill, "because": because}


def _times(one: Mapping[str, Any], *names: str) -> dict[str, datetime | None]:
    return {name: datetime.fromisoformat(one[name]) if one[name] else None for name in names}
