"""By what rules people are scored, set by an operator: RFM (window, money, thresholds) and health (weights, bounds)."""

from __future__ import annotations

import json
from decimal import Decimal
from math import isfinite
from typing import Any, get_origin

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from common import clock
from common.admin import route
from common.money import to_major, to_minor
from common.params import Invalid
from common.periods import zone
from segments.admin.builder.problems import in_words
from segments.admin.builder.words import word
from segments.health import in_order
from segments.health_rules import HealthSettings, choose_rules, settings_in_force
from segments.rfm_settings import RfmSettings, choose_edges, edges_settings

FOUR = ("recency", "frequency", "monetary")


class Texts(forms.CharField):
    """A line of text, for numbers and names that the settings themselves judge."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2000, required=False, widget=UnfoldAdminTextInputWidget(), **kwargs)


class Choice(forms.ChoiceField):
    widget = UnfoldAdminSelectWidget


class RfmForm(forms.Form):
    """The choices of docs/rfm.md; thresholds as four numbers, money in whole units of the reporting currency."""

    window_days = Texts(label=_("window in days"))
    money = Choice(
        label=_("what M is"), choices=[("sum", _("the sum of the orders")), ("mean", _("the average order"))]
    )
    counted = Choice(label=_("what F counts"), choices=[("orders", _("orders")), ("days", _("days with an order"))])
    mode = Choice(
        label=_("limits"), choices=[("quantile", _("fifths of the people")), ("fixed", _("thresholds set by hand"))]
    )
    recency = Texts(label=_("recency in days"), help_text=_("Four rising numbers, such as 30, 60, 120, 240"))
    frequency = Texts(label=_("number of orders"), help_text=_("Four rising numbers, such as 1, 2, 4, 8"))
    monetary = Texts(label=_("money"), help_text=_("Four rising amounts in the reporting currency"))
    octants = Choice(
        label=_("limits of the quadrants"),
        choices=[("mean", _("the means")), ("median", _("the medians")), ("fixed", _("thresholds set by hand"))],
    )
    octants_at = Texts(
        label=_("thresholds of the quadrants"),
        help_text=_("Three numbers: days, orders and an amount, such as 60, 3, 500"),
    )

    def raw(self) -> dict[str, Any]:
        """What was typed, as the settings read it; a text that is no number is left for them to refuse."""
        given = self.cleaned_data
        found: dict[str, Any] = {"window_days": _number(given["window_days"]), "money": given["money"]}
        found["counted"] = given["counted"]
        found |= {"mode": given["mode"], **{axis: [_number(one) for one in _parts(given[axis])] for axis in FOUR}}
        found["monetary"] = [_minor(one) for one in found["monetary"]]
        limits = [_number(one) for one in _parts(given["octants_at"])]
        found |= {"octants": given["octants"], "octants_at": [*limits[:2], *map(_minor, limits[2:])]}
        return found


def rfm_values(chosen: RfmSettings) -> dict[str, Any]:
    """Settings as the form shows them."""
    shown: dict[str, Any] = {"window_days": chosen.window_days, "money": chosen.money, "mode": chosen.mode}
    shown["counted"] = chosen.counted
    for axis in FOUR:
        values = getattr(chosen, axis)
        plain = [f"{value:g}" for value in values]
        shown[axis] = ", ".join(map(_major, values) if axis == "monetary" else plain)
    shown["octants"] = chosen.octants
    shown["octants_at"] = ", ".join(
        [*(f"{one:g}" for one in chosen.octants_at[:2]), *map(_major, chosen.octants_at[2:])]
    )
    return shown


class HealthForm(forms.Form):
    """A weight, bounds and parameters for each metric there is; a new metric appears by itself."""

    def __init__(self, data: Any = None, initial: Any = None) -> None:
        super().__init__(data, initial=initial)
        language, blank = get_language() or "en", gettext("empty: what is usual among the people seen lately")
        for metric in in_order():
            title, key = metric.title(language), metric.key
            self.fields[f"weights.{key}"] = Texts(label=f"{title}: {gettext('weight')}")
            label = f"{title}: {gettext('value worth 0 points, value worth 100 points')}"
            self.fields[f"bounds.{key}"] = Texts(label=label, help_text=blank)
            for name in metric.Params.model_fields:
                self.fields[f"params.{key}.{name}"] = Texts(label=f"{title}: {word(name)}")
        self.fields["trend_weeks"] = Texts(label=gettext("weeks that the trend compares"))

    def raw(self) -> dict[str, Any]:
        given, found = self.cleaned_data, {"weights": {}, "bounds": {}, "params": {}}  # type: ignore[var-annotated]
        for metric in in_order():
            key = metric.key
            if given[f"weights.{key}"]:
                found["weights"][key] = _number(given[f"weights.{key}"])
            if given[f"bounds.{key}"]:
                found["bounds"][key] = [_number(one) for one in _parts(given[f"bounds.{key}"])]
            for name, field in metric.Params.model_fields.items():
                text = given[f"params.{key}.{name}"]
                if text or _listed(field):
                    value = _parts(text) if _listed(field) else _number(text)
                    found["params"].setdefault(key, {})[name] = value
        return {**found, "trend_weeks": _number(given["trend_weeks"])}


def health_values(chosen: HealthSettings) -> dict[str, Any]:
    """Settings as the form shows them, with the defaults of what was never set."""
    shown: dict[str, Any] = {"trend_weeks": chosen.trend_weeks}
    for metric in in_order():
        key = metric.key
        shown[f"weights.{key}"] = f"{chosen.weights.get(key, metric.weight):g}"
        shown[f"bounds.{key}"] = ", ".join(f"{bound:g}" for bound in chosen.bounds.get(key, ()))
        params = metric.Params.model_validate(chosen.params.get(key, {}))
        for name in metric.Params.model_fields:
            value = getattr(params, name)
            shown[f"params.{key}.{name}"] = ", ".join(map(str, value)) if isinstance(value, list) else value
    return shown


class ScoreSettings:
    """The two pages; mixed into the admin of segments. Whoever may see the boards sees what is in force."""

    page: Any
    back: Any

    @route("scores/rfm/settings/", "segments.change_rfmedges", methods=("GET", "POST"))
    def rfm_settings(self, request: HttpRequest) -> HttpResponse:
        """Window, money and limits of RFM; a change scores everybody anew."""
        form = RfmForm(request.POST or None, initial=rfm_values(edges_settings()))
        about = gettext("New settings score everybody anew within minutes. Journeys react to who changes cells by it.")
        return self._settings(request, form, choose_edges, "rfm", gettext("RFM: settings"), about)

    @route("scores/health/settings/", "segments.change_healthrules", methods=("GET", "POST"))
    def health_settings(self, request: HttpRequest) -> HttpResponse:
        """Weights, bounds and parameters of health; a change judges everybody anew, and triggers nothing."""
        form = HealthForm(request.POST or None, initial=health_values(settings_in_force()))
        about = gettext("New settings judge everybody anew within minutes, and trigger nothing by themselves.")
        return self._settings(request, form, choose_rules, "health", gettext("Health: settings"), about)

    def _settings(
        self, request: HttpRequest, form: Any, choose: Any, board: str, title: str, about: str
    ) -> HttpResponse:
        if request.method == "POST" and form.is_valid():
            try:
                choose(form.raw(), now=clock.now(), zone=zone(settings.WORKSPACE_ZONE), actor=request.user)
            except Invalid as invalid:
                _tell(form, invalid)
            else:
                where = reverse(f"admin:segments_segment_{board}")
                answer: HttpResponse = self.back(request, where, gettext("The settings are in force."))
                return answer
        template = "admin/segments/scores/settings.html"
        shown: HttpResponse = self.page(request, template, title, form=form, board=board, about=about)
        return shown


def _tell(form: forms.Form, invalid: Invalid) -> None:
    """Every problem at the field that it speaks of, the longest name of one that its path begins with."""
    for problem in invalid.problems:
        names = [name for name in form.fields if f"{problem.path}.".startswith(f"{name}.")]
        form.add_error(max(names, key=len) if names else None, in_words(problem.message))


def _parts(text: str) -> list[str]:
    """ "a, b" as its parts; the Chinese comma too."""
    return [part for one in text.replace("，", ",").split(",") if (part := one.strip())]


def _number(text: str) -> Any:
    """A number as JSON writes it, else the text itself."""
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return value if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else text


def _minor(value: Any) -> Any:
    if isinstance(value, str) or abs(value) > 1e12:
        return value
    return to_minor(Decimal(str(value)), settings.CURRENCY)


def _major(value: float) -> str:
    return f"{to_major(round(value), settings.CURRENCY).normalize():f}"


def _listed(field: Any) -> bool:
    return get_origin(field.annotation) is list
