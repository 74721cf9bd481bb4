"""The engine: moves everybody who is due, in batches, each batch in one transaction."""

from __future__ import annotations

from campaigns.engine.tick import Advance, advance, tick

__all__ = ["Advance", "advance", "tick"]
