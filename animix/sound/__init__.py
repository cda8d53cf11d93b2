"""Sounds: what is in them to cut to and to move by; nothing of timelines, pictures or torch."""
