"""Pulp: texts torn into fragments, and the file that keeps them. No torch."""
