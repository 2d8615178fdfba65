"""The machine as this process may use it.

Usage: `usable_cpus()`. Any process.
"""

import os


def usable_cpus() -> int:
    """How many CPUs this process may run on, which in a container or under taskset are not all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
