"""Segment operators that this app contributes: consent and engagement."""
