"""Pulp: pictures torn to pieces in water, and sheets drawn up from it."""
