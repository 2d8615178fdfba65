"""What pulp costs at rest: the live show, with and without a torn text that the walk draws on.

Usage: by scripts/bench.py, `scripts/bench --only pulp`.
"""

from collections.abc import Callable
from typing import Any

from engine.show.paths import configs_dir

Row = tuple[str, str, float, str]  # what, against what, figure, target


def bench_pulp(live: Callable[..., Any], show: str, quick: bool) -> list[Row]:
    """live: starts a headless run, whose `result()` is its stats. Two of each, in turns, and the better of both."""
    seconds = 25 if quick else 45
    torn = ("--set", f"pulp.source={configs_dir() / 'preconscious.pulp'}", "--set", "pulp.share=1")
    plain, pulp = [], []
    for _ in range(1 if quick else 2):
        plain.append(live(show, seconds).result())
        pulp.append(live(show, seconds, *torn).result())
    return [
        ("keyframes a second, drawn from a torn text", "no torn text", _rate(pulp) / _rate(plain), ">= 0.95 x"),
        ("stage fps, drawn from a torn text", "no torn text", _fps(pulp) / _fps(plain), ">= 0.95 x"),
    ]


def _rate(results: list[dict[str, Any]]) -> float:
    return max(1000.0 / r["dreamer"]["interval_mean_ms"] for r in results)


def _fps(results: list[dict[str, Any]]) -> float:
    return max(r["stage"]["fps_mean"] for r in results)
