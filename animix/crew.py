"""A crew: several workers, a thread each, that share one long work and hand it on in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def share_out(
    jobs: Sequence[Job], workers: Sequence[Callable[[Job], Iterator[Result]]]
) -> Generator[Result, None, None]:
    """The results of jobs, in the jobs' order, whoever of the workers has done which.

    The next job goes to whoever is free. One job more than there are workers is begun before the
    first of them has been handed on, so that nobody waits and memory holds few. An error of a
    worker ends all and is raised at once; so does closing the generator, and no thread is left.

    >>> list(share_out([range(3), range(3, 5)], workers=[iter, iter]))
    [0, 1, 2, 3, 4]
    """
    # Queues in C, never full: an interruption can't leave a lock of them taken.
    todo: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[_Told[Result]] = queue.SimpleQueue()
    is_over = threading.Event()
