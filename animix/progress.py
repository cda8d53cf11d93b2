"""Progress: how far long work is, which the core yields and a command shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far long work is after one of its steps."""

    done: int
    total: int
    elapsed_seconds: float

    @property
    def per_second(self) -> float:
        """Steps a second so far."""
        return self.done / max(self.elapsed_seconds, 1e-9)

    @property
    def eta_seconds(self) -> float:
        """Seconds that the rest will take at this pace."""
        return (self.total - self.done) / max(self.per_second, 1e-9)
