"""The demo networks and their timeline, part of the package."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
TIMELINE = FOLDER / "demo.yaml"
