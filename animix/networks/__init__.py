"""Architectures, and one reader per checkpoint format."""
