"""Both sides of a measurement on one CPU."""

import contextlib
import os


@contextlib.contextmanager
def one_cpu():
    """To wake a virtual CPU that sleeps costs more than a whole request, and is charged to the side
    that wakes it: what takes turns is measured on one."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)
