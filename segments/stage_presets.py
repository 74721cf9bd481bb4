"""Which rule judges the stage: by orders (a shop), or by active days (content and apps, software by subscription).

A preset is declared here by its numbers; STAGE_PRESET chooses one. The rule of orders is in segments.lifecycle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from segments.lifecycle import AWAY, BY_ORDERS, CHURNED, Judged, Rhythm, Rule, own_gap
from segments.models.known import Stage
from segments.stage_reasons import pack

COMMERCE = "commerce"
REACH = 400  # days of activity that are looked at
WINDOW = 28
ACTIVATED = 2  # active days, from which on somebody counts as activated


@dataclass(frozen=True)
class Preset:
    """The numbers of a rule by active days: mature from so many of them in 28; newcomers for so many days after
    registration. Silence counts from `quiet` and `gone` days on, by the own rhythm where `own` (never below those
    numbers), and whoever is silent for more than `dead` days is lapsed."""

    key: str
    mature: int
    newcomer_days: int
    quiet: int
    gone: int
    dead: int
    own: bool = False


PRESETS = {
    "content": Preset("content", mature=8, newcomer_days=14, quiet=7, gone=15, dead=15),
    "saas": Preset("saas", mature=12, newcomer_days=14, quiet=7, gone=15, dead=60, own=True),
}


class UnknownPreset(LookupError):
    """STAGE_PRESET names no preset."""


def preset_of(key: str) -> Preset | None:
    """The preset by active days of that key; None for the rule of orders. Raises UnknownPreset."""
    if key == COMMERCE:
        return None
    if key not in PRESETS:
        raise UnknownPreset(f"there is no preset of stages '{key}' (known: {', '.join([COMMERCE, *PRESETS])})")
    return PRESETS[key]


def rule_for(preset: Preset | None, registered: date | None) -> Rule:
    """The rule that judges one person, registered on that day."""
    return BY_ORDERS if preset is None else ByActivity(preset, registered)


@dataclass(frozen=True)
class ByActivity(Rule):
    """Judges by local days of activity, in the order lapsed, at risk, newcomer, mature, growing."""

    preset: Preset
    registered: date | None

    def judge(self, days: Sequence[date], today: date, rhythm: Rhythm) -> Judged:
        if not days:
            return Judged(Stage.PROSPECT)
        silent, own = (today - days[-1]).days, own_gap(days) if self.preset.own else None
        warn, churn = self._limits(days, own, rhythm)
        if silent > churn:
            stage = Stage.LAPSED
        elif silent > warn:
            stage = Stage.AT_RISK
        elif self._is_new(days, today):
            stage = Stage.NEWCOMER
        else:
            recent = sum(day > today - timedelta(days=WINDOW) for day in days)
            stage = Stage.MATURE if recent >= self.preset.mature else Stage.GROWING
        return Judged(stage, silent, warn, churn, own)

    def _limits(self, days: Sequence[date], own: float | None, rhythm: Rhythm) -> tuple[float, float]:
        """The silences in days above which somebody is at risk, and lapsed."""
        quiet, gone = float(self.preset.quiet - 1), float(self.preset.gone - 1)
        if not self.preset.own:
            return quiet, gone
        if own is not None:
            warn, churn = own, CHURNED * own
        elif days[0] != days[-1]:
            warn, churn = rhythm.warn, rhythm.churn
        else:
            warn, churn = rhythm.first_warn, rhythm.first_churn
        return max(warn, quiet), min(max(churn, gone), float(self.preset.dead))

    def _is_new(self, days: Sequence[date], today: date) -> bool:
        young = self.registered is not None and (today - self.registered).days <= self.preset.newcomer_days
        return young or len(set(days)) < ACTIVATED

    def turns(self, days: Sequence[date]) -> Iterator[date]:
        yield from (day + timedelta(days=WINDOW) for day in days)
        yield from (day + timedelta(days=REACH + 1) for day in days[:1])
        if self.registered is not None:
            yield self.registered + timedelta(days=self.preset.newcomer_days + 1)

    def reason(self, judged: Judged, days: Sequence[date]) -> str:
        if not days:
            return pack("no_activity", {})
        last = days[-1] + timedelta(days=judged.silent)
        recent = sum(day > last - timedelta(days=WINDOW) for day in days)
        numbers: dict[str, float] = {"active": recent, "silent": judged.silent}
        if judged.stage not in AWAY:
            return pack("active", numbers)
        numbers["limit"] = judged.churn if judged.stage == Stage.LAPSED else judged.warn
        return pack("quiet_own" if judged.own is not None else "quiet_usual", numbers)
