"""Architectures: what a network is, how it paints, how networks are mixed."""
