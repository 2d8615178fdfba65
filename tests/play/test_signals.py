"""Asking a running program to end: a request that is counted, and a way out when it cannot answer."""

import signal

from engine.play.signals import StopRequest


def test_requests_are_counted_and_the_handlers_before_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop.asked
        for count in (1, 2, 3):
            signal.raise_signal(signal.SIGTERM)
            assert stop.asked and stop.count == count
    assert signal.getsignal(signal.SIGTERM) == before


def test_who_was_asked_twice_and_hangs_is_ended_by_the_system() -> None:
    with StopRequest(last_resort=True) as stop:
        signal.raise_signal(signal.SIGTERM)
        assert callable(signal.getsignal(signal.SIGTERM))
        signal.raise_signal(signal.SIGTERM)
        assert stop.count == 2 and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
