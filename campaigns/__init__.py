"""WHEN and WHY: campaigns, journeys, who is enrolled, and what came of it."""
