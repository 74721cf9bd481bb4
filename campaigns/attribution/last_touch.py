"""Last touch: whoever spoke last before the conversion earns all of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from campaigns.attribution import Model, Step, models


@models.register("last")
class LastTouch(Model):
    key = "last"
    name = "Last touch"
    name_zh = "末次触点"

    def weights(self, path: Sequence[Step], converted_at: datetime) -> list[float]:
        return [0.0] * (len(path) - 1) + [1.0]
