"""The outbox: every message is a row first, is claimed, judged, marked, and only then handed to a channel."""
