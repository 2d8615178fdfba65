"""Who may speak to the panel, and how much.

    guard = Guard(token, port, names)
    refusal = guard.check(client_host, headers, query)      # None, or the status and a sentence
    await guard.wait_after_wrong_token(client_host)
    bucket = Bucket(rate_hz=100, burst=200); bucket.take()  # False: too much

Host and Origin are always looked at. A page of another site that is open in a browser on this machine can send requests
here, with its own Origin; and a name that suddenly means 127.0.0.1 (DNS rebinding) comes as another Host. An address in
numbers cannot be such a name. The event loop's thread.
"""

import asyncio
import hmac
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from ipaddress import ip_address

LOOPBACK = ("localhost",)
REQUESTS_HZ, REQUESTS_BURST = 100.0, 300.0  # of one address
MESSAGES_HZ, MESSAGES_BURST = 400.0, 1200.0  # of one websocket; a hand at two faders sends 120 a second
WRONG_S, WRONG_MOST_S = 0.5, 8.0  # how long the answer to a wrong token takes: the first time, and at most
_FORGET_S = 600.0
_ADDRESSES = 1024  # that are remembered

Refusal = tuple[int, str]


class Bucket:
    """So many a second, and some more at a time."""

    def __init__(self, rate_hz: float, burst: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz, self._burst, self._now = rate_hz, burst, now
        self._left, self._at = burst, now()

    def take(self) -> bool:
        """One more; False where that is too much."""
        now = self._now()
        self._left = min(self._left + (now - self._at) * self._rate_hz, self._burst)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Guard:
    """See the module's head."""

    def __init__(self, token: str, names: Collection[str] = ()) -> None:
        """token: empty for none. names: host names that mean this machine, beside addresses in numbers."""
        self._token = token.encode()
        self._names = {name.lower().rstrip(".") for name in (*LOOPBACK, *names) if name}
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how often, and when last
        self._waiting: set[str] = set()

    def check(self, client: str, headers: Mapping[str, str], query: Mapping[str, str]) -> Refusal | None:
        """Why a request is refused, with its status; None where it is not. A wrong token is 401."""
        if not self._bucket(client).take():
            return 429, "too many requests"
        host = headers.get("host", "")
        if not self.is_here(host):
            return 421, "this name is not one of this machine's; use its address"
        origin = headers.get("origin")
        if origin is not None and not _same_place(origin, host):
            return 403, "pages of other sites may not speak to this show"
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return 403, "pages of other sites may not speak to this show"
        if not self._is_known(headers, query):
            return 401, "a token is needed: open the address that the show prints when it begins"
        return None

    def is_here(self, host: str) -> bool:
        """Whether a Host header means this machine: an address in numbers, or one of its names."""
        name = _host_of(host)
        if name in self._names:
            return True
        with suppress(ValueError):
            ip_address(name.partition("%")[0])
            return True
        return False

    async def wait_after_wrong_token(self, client: str) -> bool:
        """Takes its time over a wrong token, longer each time; False where that address waits already."""
        if client in self._waiting or len(self._waiting) >= 64:
            return False
        now = time.monotonic()
        times, last = self._wrong.pop(client, (0, now))
        times = times + 1 if now - last < _FORGET_S else 1
        self._wrong[client] = times, now
        if len(self._wrong) > _ADDRESSES:
            self._wrong.popitem(last=False)
        self._waiting.add(client)
        try:
            await asyncio.sleep(min(WRONG_S * 2.0 ** min(times - 1, 10), WRONG_MOST_S))
        finally:
            self._waiting.discard(client)
        return True

    def _is_known(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        if not self._token:
            return True
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        given = bearer.strip() if kind.lower() == "bearer" else query.get("token", "")
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def _bucket(self, client: str) -> Bucket:
        bucket = self._buckets.pop(client, None) or Bucket(REQUESTS_HZ, REQUESTS_BURST)
        self._buckets[client] = bucket
        if len(self._buckets) > _ADDRESSES:
            self._buckets.popitem(last=False)
        return bucket


def own_names(host: str) -> list[str]:
    """Names that mean this machine: its own, with and without .local, and the one it was told to listen at."""
    name = socket.gethostname()
    short = name.partition(".")[0]
    return [host, name, short, f"{short}.local"]


def _same_place(origin: str, host: str) -> bool:
    """Whether an Origin is the very place that the request goes to."""
    scheme, _, rest = origin.partition("://")
    return scheme.lower() in ("http", "https") and rest.lower() == host.lower() and bool(rest)


def _host_of(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()
