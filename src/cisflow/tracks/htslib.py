"""What htslib, behind pysam, does by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import pysam


@contextmanager
def quiet() -> Iterator[None]:
    """Keep htslib from writing messages to the terminal."""
    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)
