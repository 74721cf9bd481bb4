"""The names of RFM cells and quadrants as people read them."""

from __future__ import annotations

from common.text import say
from segments.rules.operators._cells import CELLS, OCTANTS

NAMES = {**CELLS, **OCTANTS}


def cell_name(key: str) -> str:
    """A cell's or quadrant's name in the active language; a key that is not known stays as it is."""
    return say(*NAMES[key]) if key in NAMES else key
