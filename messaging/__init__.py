"""HOW: what is said, over which channel, with whose permission, and what came back."""
