"""WHO: people, what happened to them, and the groups they belong to."""
