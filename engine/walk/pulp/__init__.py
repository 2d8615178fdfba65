"""Pulp: texts torn into fragments, pictures torn to pieces in water, and sheets drawn up from it. No torch."""
