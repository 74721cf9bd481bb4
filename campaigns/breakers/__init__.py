"""Rate breakers, one file each: what they measure, and what they pause."""
