"""A port that listens for OSC, and something that sends to it.

A UDP packet to this machine is in the receiver's queue when `send` returns, and `drain` empties that queue
itself, so nothing sleeps or waits.
"""

from collections.abc import Iterator

import pytest

from engine.control.osc import OscIn
from engine.show.params import Registry
from tests.packets import Sender
from tests.registry import build_registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    return build_registry(["clouds", "pulp", "memory"], ["dissolve", "tear"])


@pytest.fixture
def osc(registry: Registry) -> Iterator[OscIn]:
    listening = OscIn("127.0.0.1", 0, registry)
    listening.start()
    yield listening
    listening.close()


@pytest.fixture
def send(osc: OscIn) -> Iterator[Sender]:
    sender = Sender(osc.port)
    yield sender
    sender.socket.close()
