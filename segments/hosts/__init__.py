"""A host project's own Django models as a source: its users and orders come in by the same door as everything else."""
