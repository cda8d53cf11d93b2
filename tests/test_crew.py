"""A crew's results are those of one worker, in order, and nobody is left behind."""

import contextlib
import random
import threading
import time
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animix.crew import one_by_one, share_out, side_by_side
from tests.threads import threads_named


def squared(take):
    """Yields squares, two of them in hand, as a device does that works ahead."""
    in_hand = []
    while True:
        if len(in_hand) < 2 and (job := take(not in_hand)) is not None:
            in_hand.append(job)
            continue
        if not in_hand:
            return
        yield in_hand.pop(0) ** 2


def blocks_of(numbers, sizes):
    """Numbers cut into blocks of these sizes; the last takes the rest."""
    blocks, start = [], 0
    for size in [*sizes, len(numbers)]:
        blocks.append(numbers[start : start + size])
        start += size
    return [block for block in blocks if block]


@given(st.integers(0, 40), st.lists(st.integers(1, 9), max_size=9), st.integers(1, 5))
def test_results_come_in_order(num_jobs, sizes, num_workers):
    numbers = list(range(num_jobs))
    shared = share_out(blocks_of(numbers, sizes), [squared] * num_workers)
    assert list(shared) == list(squared(one_by_one(iter(numbers)))) == [n * n for n in numbers]


def test_results_come_in_order_from_workers_of_any_pace():
    rng = random.Random(3)
    pauses = [rng.random() / 300 for _ in range(60)]

    def pausing(take):
        for result in squared(take):
            time.sleep(pauses[round(result**0.5)])
            yield result

    blocks = [range(first, first + 4) for first in range(0, 60, 4)]
    assert list(share_out(blocks, [pausing] * 3)) == [n * n for n in range(60)]


def test_no_more_is_begun_than_keeps_everybody_at_work():
    begun = []

    def noting(take):
        while (job := take(True)) is not None:
            begun.append(job)
            yield job

    shared = share_out([[n] for n in range(50)], [noting] * 2)
    with contextlib.closing(shared):
        for number in range(5):
            assert next(shared) == number
        time.sleep(0.1)
        assert max(begun) <= 4 + 3


def test_workers_begin_one_after_the_other():
    beginning, most = [0], [0]

    def careful(take):
        beginning[0] += 1
        most[0] = max(most[0], beginning[0])
        time.sleep(0.02)
        beginning[0] -= 1
        while (job := take(True)) is not None:
            yield job

    assert list(share_out([[n] for n in range(9)], [careful] * 3)) == list(range(9))
    assert most == [1]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("at", [0, 1, 13])
def test_an_error_of_one_ends_all_at_once(error, at):
    begun = []

    def failing(take):
        while (job := take(True)) is not None:
            begun.append(job)
            if job == at:
                raise error("no more")
            yield job

    with pytest.raises(error, match="no more"):
        list(share_out([[n] for n in range(10_000)], [failing] * 3))
    assert max(begun) <= at + 3
    assert not threads_named("crew")


@pytest.mark.parametrize("num_taken", [0, 1, 20])
def test_closing_it_early_leaves_no_thread(num_taken):
    closed = []

    def closing(take):
        try:
            while (job := take(True)) is not None:
                yield job
        finally:
            closed.append(True)

    shared = share_out([[n, n] for n in range(1000)], [closing] * 3)
    for _ in range(num_taken):
        next(shared)
    shared.close()
    assert not threads_named("crew")
    assert len(closed) == (3 if num_taken else 0)


def counted(most, is_over):
    yield from range(most)


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 5))
def test_side_by_side_every_result_comes(jobs, num_workers):
    results = list(side_by_side(jobs, [counted] * num_workers))
    assert sorted(results) == sorted(number for most in jobs for number in range(most))


def test_side_by_side_each_worker_has_one_job_at_a_time():
    at_work = {"a": 0, "b": 0}

    def worker(name, job, is_over):
        at_work[name] += 1
        for step in range(5):
            time.sleep(0.001)
            assert at_work[name] == 1
            yield name, job, step
        at_work[name] -= 1

    results = list(side_by_side(range(6), [partial(worker, "a"), partial(worker, "b")]))
    assert {name for name, _, _ in results} == {"a", "b"}
    for job in range(6):
        assert [step for _, found, step in results if found == job] == list(range(5))


def test_side_by_side_an_error_ends_all():
    closed = []

    def worker(job, is_over):
        try:
            for step in range(1000):
                if job == 1 and step == 3:
                    raise ZeroDivisionError
                time.sleep(0.001)
                yield step
        finally:
            closed.append((job, threading.current_thread().name))

    with pytest.raises(ZeroDivisionError):
        list(side_by_side([0, 1, 2], [worker] * 2))
    assert sorted(closed) == [(0, "crew"), (1, "crew")]
    assert not threads_named("crew")


def test_side_by_side_closing_ends_all_in_the_threads_that_began():
    closed = []

    def worker(job, is_over):
        try:
            while True:
                time.sleep(0.001)
                yield job
        finally:
            closed.append((job, threading.current_thread().name))

    with contextlib.closing(side_by_side([0, 1, 2], [worker] * 2)) as results:
        next(results)
    assert sorted(closed) == [(0, "crew"), (1, "crew")]
    assert not threads_named("crew")
