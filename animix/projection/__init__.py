"""Projection: the w that paints a photo, found step by step, and networks tuned around it."""
