"""Rendering: from a frozen version and plain variables to the parts of one message, in a child that has nothing.

The source is read by an allow-list before anything compiles it (cell/guard), compiled once per version and locale
and rendered in one kept child process under limits (kept), and finished here with signed links and headers
(finish). What it promises and how: docs/rendering.md.
"""

from __future__ import annotations

from messaging.render.contract import Rendered, RenderError, RenderJob
from messaging.render.group import render_group
from messaging.render.preview import preview

__all__ = ["RenderError", "RenderJob", "Rendered", "preview", "render_group"]
