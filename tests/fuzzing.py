"""How long a fuzz test goes on, and by which seeds: PERENNIAL_FUZZ_SECONDS in all, an hour in `make prove`.

Two tests share the time: the API by its schema, and the bodies of batches. A round's seed is made of the run's, so
PERENNIAL_SEED repeats all of them in their order.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import count

from tests.conftest import PROVE, SEED

SECONDS = float(os.environ.get("PERENNIAL_FUZZ_SECONDS") or (3600 if PROVE else 20))
SHARE = SECONDS / 2


class Budget:
    """So many seconds from now on."""

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.until

    def rounds(self) -> Iterator[int]:
        """Rounds by their number, the first in any case."""
        for number in count():
            if number and self.over:
                return
            yield number


def told(number: int) -> int:
    """The seed of a round."""
    return SEED * 1_000_003 + number
