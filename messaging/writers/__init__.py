"""Drafting copy with a model lives here, one file per provider family; none is installed by default."""
