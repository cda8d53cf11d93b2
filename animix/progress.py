"""Progress: how far long work is, which the core yields and a command shows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Progress:
    """How far long work is after one of its steps."""

    done: int
    total: int
    elapsed_seconds: float
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    """How long the work has waited for each of its stages, where it has several."""
    done_before: int = 0
    """So many of those done were so when it began."""
    to_encode: int = 0
    """So many frames still wait for their encoder, once all are painted."""
    told: str = ""
    """What else is to be told of where it stands: ``loss 0.21``."""

    @property
    def slowest_stage(self) -> str:
        """The stage that was waited for longest.

        >>> Progress(1, 2, 3.0, {"painting": 2.5, "encoding": 0.5}).slowest_stage
        'painting'
        """
        return max(self.stage_seconds, key=lambda stage: self.stage_seconds[stage], default="")

    @property
    def per_second(self) -> float:
        """Steps a second so far."""
        return (self.done - self.done_before) / max(self.elapsed_seconds, 1e-9)

    @property
    def eta_seconds(self) -> float:
        """Seconds that the rest will take at this pace."""
        return (self.total - self.done) / max(self.per_second, 1e-9)


Follow: TypeAlias = Callable[[Iterator[Progress]], Iterable[Progress]]
"""What shows the steps of long work as they come, and passes them on; ``iter`` shows nothing."""


@dataclass
class Stages:
    """How long work has waited for each of its stages."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def waiting_for(self, stage: str) -> Iterator[None]:
        """Count the time of a block as a stage's."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - started
