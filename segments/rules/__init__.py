"""The rule language: one tree, one compiler, one sentence."""
