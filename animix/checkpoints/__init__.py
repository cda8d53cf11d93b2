"""Checkpoints: one reader per file format, and nothing in a file is ever executed."""
