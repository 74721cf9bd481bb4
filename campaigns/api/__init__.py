"""The operator API of the decision app: journeys, enrolling people, and reports."""
