"""What the reports say of a lift in sentences: its window, the fit of its arms, its plan; English and Chinese."""

from __future__ import annotations

from campaigns.lift import Lift

Words = tuple[str, str]
NO_HOLDOUT = (
    "No lift is shown, because no journey here holds anybody out.",
    "没有旅程设置对照组，因此不显示提升。",
)


def no_experiment(journey: str) -> Words:
    """Why a report of holdouts has no rows."""
    if not journey:
        return "No journey holds anybody out, so there is nothing to compare.", "没有旅程设置对照组，因此无从比较。"
    return (
        f"There is no journey “{journey}” that holds anybody out, so there is nothing to compare.",
        f"没有设置了对照组的旅程“{journey}”，因此无从比较。",
    )


def lift_note(one: Lift) -> Words:
    """All that a reader must know of one row: what counts as converted, whose days are open, fit and plan."""
    goal, within, still, fit, plan = (
        goal_words(one),
        window_words(one),
        open_words(one),
        fit_words(one),
        plan_words(one),
    )
    key = one.experiment.key
    if goal is None:
        return (
            f"{key}: there is no goal, so nobody converts. {fit[0]} {plan[0]}",
            f"{key}：没有目标，因此没有转化。{fit[1]}{plan[1]}",
        )
    return (
        f"{key}: a person converts by {goal[0]} {within[0]}, in both arms alike. {still[0]} {fit[0]} {plan[0]}",
        f"{key}：{within[1]}{goal[1]}即为转化，两组相同。{still[1]}{fit[1]}{plan[1]}",
    )


def goal_words(one: Lift) -> Words | None:
    """The fact that counts; None without a goal."""
    if one.goal is None:
        return None
    asked = (" of the kind that the goal asks for", "（符合目标的条件）") if one.goal.filter else ("", "")
    return f"“{one.goal.fact}”{asked[0]}", f"发生“{one.goal.fact}”{asked[1]}"


def window_words(one: Lift) -> Words:
    """How long after being assigned something counts."""
    return f"within {days_words(one.window.days)} of being assigned", f"分组后 {one.window.days:,} 天内"


def open_words(one: Lift) -> Words:
    """For how many the window is still open."""
    if not one.still_open:
        return "These days are over for everybody.", "所有人的窗口均已结束。"
    people = "1 person" if one.still_open == 1 else f"{one.still_open:,} people"
    return f"These days are not over yet for {people}.", f"还有 {one.still_open:,} 人的窗口未结束。"


def fit_words(one: Lift) -> Words:
    """Whether the arms are as large as their weights say (SRM: sample ratio mismatch)."""
    if one.fit is None:
        return (
            "Whether the arms' sizes fit their weights cannot be told yet (no SRM p).",
            "尚无法判断各组人数与分配比例是否相符（无 SRM p）。",
        )
    if one.suspicious:
        return (
            f"The arms' sizes do not fit their weights (SRM p = {one.fit:.3g}): find out why before trusting the lift.",
            f"各组人数与分配比例不符（SRM p = {one.fit:.3g}）：请先查明原因，再采信提升。",
        )
    return (
        f"The arms' sizes fit their weights (SRM p = {one.fit:.3g}).",
        f"各组人数与分配比例相符（SRM p = {one.fit:.3g}）。",
    )


def plan_words(one: Lift) -> Words:
    """How far the experiment is: people of its plan, and days."""
    people, planned = one.control.people + one.treated.people, one.experiment.planned_n
    return (
        f"In {days_words(one.days)} it has drawn {people:,} of {planned:,} planned people.",
        f"{one.days:,} 天内已分组 {people:,} 人，计划 {planned:,} 人。",
    )


def days_words(days: int) -> str:
    """A number of days in English."""
    return "1 day" if days == 1 else f"{days:,} days"
