"""A crew: workers, a thread each, who share one long piece of work, or do several side by side."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TypeAlias, TypeVar

from animix.interruption import uninterrupted

Job = TypeVar("Job")
Result = TypeVar("Result")

Take: TypeAlias = Callable[[bool], Job | None]
"""Gives a worker its next job; None: there is none, or not yet and it was not to wait for one."""

Worker: TypeAlias = Callable[[Take[Job]], Iterator[Result]]
"""Takes jobs and yields one result for each, in the same order; it may have several in hand."""


def one_by_one(jobs: Iterator[Job]) -> Take[Job]:
    """Jobs for a worker who has nobody to share them with.

    >>> take = one_by_one(iter("ab"))
    >>> take(True), take(False), take(True)
    ('a', 'b', None)
    """
    return lambda wait: next(jobs, None)


def share_out(
    blocks: Sequence[Sequence[Job]], workers: Sequence[Worker[Job, Result]]
) -> Generator[Result, None, None]:
    """The results of all jobs in order, whoever has done which; a block of jobs goes to one worker.

    Whoever is free takes the next block. So many are in work that nobody has to wait, and no more,
    so that few results wait. A worker's error ends all and is raised at once; closing the generator
    ends all too, and leaves no thread behind.

    Workers begin one after the other: what is done but once, such as compiling, is often not meant
    to be done by two at a time.

    >>> def doubled(take):
    ...     while (job := take(True)) is not None:
    ...         yield 2 * job
    >>> list(share_out([[1, 2], [3], [4, 5]], [doubled, doubled]))
    [2, 4, 6, 8, 10]
    """
    blocks = [block for block in blocks if block]
    # Never full and written in C: an interruption can't leave a lock of them taken.
    todo: queue.SimpleQueue[Sequence[tuple[int, Job]] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Result] | BaseException] = queue.SimpleQueue()
    is_over = threading.Event()
    beginning = threading.Lock()

    def work(worker: Worker[Job, Result]) -> None:
        in_hand: deque[int] = deque()
        block: deque[tuple[int, Job]] = deque()

        def take(wait: bool) -> Job | None:
            if is_over.is_set():
                return None
            if not block:
                try:
                    given = todo.get(block=wait)
                except queue.Empty:
                    return None
                if given is None:
                    todo.put(None)  # for the others, and for whoever asks again
                    return None
                block.extend(given)
            number, job = block.popleft()
            in_hand.append(number)
            return job

        try:
            results = worker(take)
            with beginning:
                for result in results:
                    done.put((in_hand.popleft(), result))
                    break
            for result in results:
                done.put((in_hand.popleft(), result))
        except BaseException as exc:  # told to whoever waits for results, whatever it is
            done.put(exc)

    numbered = iter(_numbered(blocks))
    for block in (next(numbered, None) for _ in range(len(workers) + 1)):
        todo.put(block)
    threads = [
        threading.Thread(target=work, args=(worker,), name="crew", daemon=True)
        for worker in workers
    ]
    waiting: dict[int, Result] = {}
    number = 0
    try:
        for thread in threads:
            thread.start()
        for jobs in blocks:
            for _ in jobs:
                while number not in waiting:
                    told = done.get()
                    if isinstance(told, BaseException):
                        raise told
                    waiting[told[0]] = told[1]
                yield waiting.pop(number)
                number += 1
            todo.put(next(numbered, None))
    finally:
        is_over.set()
        todo.put(None)
        for thread in threads:
            if thread.is_alive():
                thread.join()


def side_by_side(
    jobs: Iterable[Job],
    workers: Sequence[Callable[[Job, threading.Event], Generator[Result, None, None]]],
) -> Generator[Result, None, None]:
    """The results of jobs as they come, any number of each; a worker has one job at a time.

    A worker's error ends all and is raised at once. Closing the generator ends all too, after the
    result that each worker is at, and leaves no thread behind: what a job has open is closed in the
    thread that opened it. Workers are given an event that is set then, to be looked at where a
    result takes long.

    >>> def counted(most, is_over):
    ...     yield from range(most)
    >>> sorted(side_by_side([2, 3], [counted, counted]))
    [0, 0, 1, 1, 2]
    """
    todo: queue.SimpleQueue[Job] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Result] | BaseException | None] = queue.SimpleQueue()
    is_over = threading.Event()
    for job in jobs:
        todo.put(job)

    def work(worker: Callable[[Job, threading.Event], Generator[Result, None, None]]) -> None:
        try:
            while not is_over.is_set():
                try:
                    job = todo.get_nowait()
                except queue.Empty:  # another was quicker
                    break
                with contextlib.closing(worker(job, is_over)) as results:
                    for result in results:
                        done.put((result,))
                        if is_over.is_set():
                            break
            done.put(None)
        except BaseException as exc:  # told to whoever waits for results, whatever it is
            done.put(exc)

    threads = [
        threading.Thread(target=work, args=(worker,), name="crew", daemon=True)
        for worker in workers
    ]
    try:
        for thread in threads:
            thread.start()
        at_work = len(threads)
        while at_work:
            told = done.get()
            if isinstance(told, BaseException):
                raise told
            if told is None:
                at_work -= 1
            else:
                yield told[0]
    finally:
        is_over.set()
        # A second Ctrl-C must not leave them behind: they are about to end.
        with uninterrupted():
            for thread in threads:
                if thread.is_alive():
                    thread.join()


def _numbered(blocks: Sequence[Sequence[Job]]) -> Iterator[list[tuple[int, Job]]]:
    first = 0
    for block in blocks:
        yield list(enumerate(block, start=first))
        first += len(block)
