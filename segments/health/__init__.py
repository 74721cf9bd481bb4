"""Health metrics: one file each (activity, adoption, service, satisfaction)."""
