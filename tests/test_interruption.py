"""Ctrl-C and the signals that end a process wait where they would do harm."""

import os
import signal
import threading

import pytest

from animix.interruption import ENDINGS, uninterrupted


def send(number):
    os.kill(os.getpid(), number)


def test_an_interruption_waits_for_the_end_of_the_block():
    steps = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        send(signal.SIGINT)
        steps.append("after the signal")
    assert steps == ["after the signal"]
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
        signal.pause()


def test_blocks_may_stand_in_blocks_and_of_many_signals_the_first_counts():
    came = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        with uninterrupted():
            with uninterrupted():
                send(signal.SIGTERM)
                send(signal.SIGTERM)
                assert came == []
            assert came == []
        assert came == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_handlers_are_back_after_an_error_too():
    before = [signal.getsignal(number) for number in ENDINGS]
    with pytest.raises(ZeroDivisionError), uninterrupted():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in ENDINGS] == before


def test_an_interruption_is_not_lost_in_an_error_of_the_block():
    with pytest.raises(KeyboardInterrupt) as caught, uninterrupted():
        send(signal.SIGINT)
        raise ZeroDivisionError
    assert isinstance(caught.value.__context__, ZeroDivisionError)


def test_other_threads_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
