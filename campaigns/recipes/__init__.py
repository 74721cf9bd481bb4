"""Ready-made journeys as JSON, one file each, complete with segment, templates, goal and holdout."""
