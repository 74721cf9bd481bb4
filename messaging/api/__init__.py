"""The operator API of the message app: what was sent, and the in-app inbox."""
