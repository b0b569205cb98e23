"""Seeds from names, so that adding or reordering experiments changes no other experiment's random numbers."""

import hashlib

import numpy as np


def seed_of(*names: object) -> int:
    """Return a seed below 2**63 that depends on the names (task, run, trial, ...) and nothing else."""
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*names: object) -> np.random.Generator:
    """Return a NumPy generator that is seeded by names."""
    return np.random.default_rng(seed_of(*names))
