"""Linear: every touch of the path earns the same.

Per touch, not per distinct channel: a channel that spoke twice earns twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from campaigns.attribution import Model, Step, models


@models.register("linear")
class Linear(Model):
    key = "linear"
    name = "Linear"
    name_zh = "平均分配"

    def weights(self, path: Sequence[Step], converted_at: datetime) -> list[float]:
        return [1 / len(path)] * len(path)
