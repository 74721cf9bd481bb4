"""The zones of the world in the memory of the child, which can open no file once it works."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]

_raw: dict[str, bytes] = {}
_zones: dict[str, ZoneInfo] = {}


def read_zones() -> None:
    """Take in every zone as the tz database has it; some 350 KB."""
    home = Path(str(tzdata.__file__)).parent
    for name in (home / "zones").read_text("ascii").split():
        _raw[name] = (home / "zoneinfo" / name).read_bytes()


def zone_of(name: str) -> ZoneInfo | None:
    """The zone of an IANA name that was read; None for any other."""
    if name not in _zones and name in _raw:
        _zones[name] = ZoneInfo.from_file(BytesIO(_raw[name]), key=name)
    return _zones.get(name)
