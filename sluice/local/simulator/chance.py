"""Chance by name: every part of the simulation draws from its own stream, so that one part never moves another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stream(seed: int, name: str) -> np.random.Generator:
    """A generator that depends on the seed and the name alone, never on what was drawn elsewhere."""
    return np.random.default_rng(_sequence(seed, name))


def lots(seed: int, name: str, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """One number in [0, 1) per id, a pure function of seed, name and id: the same whatever other ids are there.

    The mixing is the finaliser of splitmix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators).
    """
    mixed = ids.astype(np.uint64) ^ _sequence(seed, name).generate_state(1, np.uint64)[0]
    mixed = mixed + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _sequence(seed: int, name: str) -> np.random.SeedSequence:
    return np.random.SeedSequence(entropy=seed, spawn_key=tuple(name.encode()))


def evenly(per_day: float, first_day: int, until_day: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """Days in [first_day, until_day) at a constant pace of `per_day`; only the phase is drawn.

    Fraud comes at a constant pace so that its volume does not wander: a change in it is one that somebody injected.
    """
    span = until_day - first_day
    count = int(np.ceil(per_day * span))
    days = first_day + (np.arange(count) + chance.random()) / max(per_day, 1e-300)
    whole: NDArray[np.int64] = np.floor(days[days < until_day]).astype(np.int64)
    return whole


def across(weight: NDArray[np.float64], count: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """`count` positions that are spread over the heavy and the light, one after another; only the first is drawn.

    Steps of the golden ratio through the order of weight: any run of picks has about the mean weight.
    """
    place = (chance.random() + np.arange(count) * (np.sqrt(5) - 1) / 2) % 1
    picked: NDArray[np.int64] = np.argsort(weight, kind="stable")[(place * len(weight)).astype(np.int64)]
    return picked
