"""Feeds: JSON of other servers for templates, asked before a batch is rendered and never inside a transaction.

What it promises and how: docs/feeds.md.
"""
