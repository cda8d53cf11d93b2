"""Pairs: data sets for image-to-image models, the same latents through a base and a blend."""
