"""Date formats of one language."""
