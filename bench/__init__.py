"""What must stay fast, as ratios to a bare limit measured in the same run (docs/performance.md)."""
