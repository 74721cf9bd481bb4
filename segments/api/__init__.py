"""The HTTP edges of the people app: facts in, questions out."""
