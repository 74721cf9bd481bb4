"""Gates that this app contributes: the walk is still active, and the holdout."""
