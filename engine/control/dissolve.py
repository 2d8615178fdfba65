"""How much of each choice is shown while one gives place to another: a choice that dissolves instead of switching.

    views = Dissolve("picture")
    views.tick("latent", over_s=2.0, dt_s=1 / 120); views["latent"]

Counted in ticks, so that a film and a take show the same. Plain Python; the thread that runs the show's loop.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any


class Dissolve:
    """Shares of the choices of one parameter, summing to 1."""

    def __init__(self, first: str) -> None:
        self._wanted = first
        self._from: dict[str, float] = {first: 1.0}
        self._shares: dict[str, float] = dict(self._from)
        self._since_s = 0.0

    def __getitem__(self, choice: str) -> float:
        return self._shares.get(choice, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        return {"wanted": self._wanted, "from": self._from, "shares": self._shares, "since_s": self._since_s}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""
        before, shares = ({str(n): float(share) for n, share in data[part].items()} for part in ("from", "shares"))
        self._wanted, self._since_s = str(data["wanted"]), float(data["since_s"])
        self._from, self._shares = before, shares

    def tick(self, wanted: str, over_s: float, dt_s: float) -> None:
        """One step. Another choice than before begins a dissolve of `over_s` seconds from what is shown now."""
        if wanted != self._wanted:
            self._wanted, self._from, self._since_s = wanted, self._shares, 0.0
        if self._shares == {wanted: 1.0}:
            return
        self._since_s += dt_s
        part = min(self._since_s / over_s, 1.0) if over_s > 0 else 1.0
        if part >= 1.0:
            self._shares = {wanted: 1.0}
            return
        part = part * part * (3 - 2 * part)
        shares: defaultdict[str, float] = defaultdict(float)
        for choice, share in self._from.items():
            shares[choice] += share * (1 - part)
        shares[wanted] += part
        self._shares = dict(shares)
