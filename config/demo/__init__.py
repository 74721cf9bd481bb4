"""A year of a real shop on this laptop: real purchases of real (anonymous) households, invented names, local mail."""
