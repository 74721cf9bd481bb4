"""Segment operators that this app contributes: where a person stands in a journey."""
