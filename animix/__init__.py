"""Renders videos from StyleGAN networks that are re-blended for every frame."""

__version__ = "0.1.0"
