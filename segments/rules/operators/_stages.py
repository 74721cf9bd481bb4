"""The names of the stages, in English and Chinese."""

from __future__ import annotations

NAMES = {
    "prospect": ("prospect", "潜在"), "newcomer": ("newcomer", "引入"), "growing": ("growing", "成长"),
    "mature": ("mature", "成熟"), "at_risk": ("at risk", "休眠预警"), "lapsed": ("lapsed", "流失"),
}  # fmt: skip
