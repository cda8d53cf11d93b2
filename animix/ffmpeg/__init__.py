"""ffmpeg: where it is, and how it is run to its end."""
