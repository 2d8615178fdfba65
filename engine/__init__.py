"""Pedesis: a latent-space engine for art. Import package of the distribution `pedesis`."""

__version__ = "0.1.0"
