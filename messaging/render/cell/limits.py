"""The bounds of a template, in one place for reader, renderer and docs (docs/rendering.md)."""

from __future__ import annotations

SOURCE = 64 * 1024  # octets an author may write in one part
COMPILED = 256 * 1024  # octets of one part once MJML and CSS are worked in
NODES = 4000  # of the syntax tree
DEPTH = 60  # of the syntax tree
LOOPS = 3  # one in another
OUTPUT = 256 * 1024  # characters of one message, all parts together
TEXT = 64 * 1024  # characters that one filter may return
NUMBER = 10**15  # the largest constant, operand or result
MEMORY = 512 * 1024 * 1024  # address space of the child
SECONDS = 1.0  # one message
PRESS_MEMORY = 768 * 1024 * 1024  # address space of the press, libraries and all
PRESS_SECONDS = 2.0  # of the processor, about, for one locale worked from its sources
PRESS_PATIENCE = 6.0  # by the wall clock: a busy machine is no hostile source


class Refused(Exception):
    """The template, or what it does, is not allowed. The message tells the author what and why."""
