"""Why a refresh looked at everyone, or only at those who may have changed, in words."""

from __future__ import annotations

from common.text import say
from segments.models import SegmentRun

Why = SegmentRun.Why


def why_in_words(run: SegmentRun, language: str | None = None) -> str:
    """The choice of the pass with its numbers, in the given or the active language; "" of runs before it was kept."""
    number, limit = f"{run.estimated or 0:,}", f"{run.threshold or 0:,}"
    people = "person" if run.estimated == 1 else "people"
    told = {
        Why.FEW: (
            f"{number} {people} may have changed, up to {limit} are looked at alone",
            f"{number} 人可能有变化，不超过 {limit} 人时只看这些人",
        ),
        Why.MANY: (
            f"{number} people or more may have changed: above {limit} a pass over everyone is cheaper",
            f"至少 {number} 人可能有变化：超过 {limit} 人时，全量计算更省",
        ),
        Why.BACKLOG: (
            f"more than {limit} new facts were waiting: a pass over everyone is cheaper",
            f"待处理的新事实超过 {limit} 条：全量计算更省",
        ),
        Why.MOVES: (
            f"{number} people change sides: above {limit} they are written in batches by a pass over everyone",
            f"{number} 人进出：超过 {limit} 人时，由全量计算分批写入",
        ),
        Why.DAY: (
            "a new local day began, on which anybody's answer may differ",
            "新的一天开始，任何人的结果都可能改变",
        ),
        Why.RULE: ("the members are built from nothing", "成员从头建立"),
    }
    return say(*told[Why(run.why)], language) if run.why else ""
