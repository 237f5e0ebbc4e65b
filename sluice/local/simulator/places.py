"""Where customers live and terminals stand, and which terminals each customer can pay at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.local.simulator.chance import stream
from sluice.local.simulator.world import ATM, ONLINE, POS, World

_SHOPS = 12
_HOME_SHOPS = 0.85
_CHUNK = 1_024

Point = NDArray[np.float64]


@dataclass(frozen=True)
class Choices:
    """For each owner a list of members: those of owner k are `members[offsets[k]:offsets[k + 1]]`, never empty."""

    offsets: NDArray[np.int64]
    members: NDArray[np.int64]

    @classmethod
    def of(cls, owners: NDArray[np.int64], members: NDArray[np.int64], count: int) -> Choices:
        """Choices of `count` owners from pairs in any order."""
        order = np.argsort(owners, kind="stable")
        return cls(np.searchsorted(owners[order], np.arange(count + 1)), members[order])

    def traffic(self, weight: NDArray[np.float64], members: int) -> NDArray[np.float64]:
        """What each of `members` receives when every owner divides its weight evenly over its own."""
        sizes = np.diff(self.offsets)
        received = np.bincount(self.members, np.repeat(weight / sizes, sizes), minlength=members)
        return received.astype(np.float64)

    def pick(self, owner: NDArray[np.int64], lot: NDArray[np.float64]) -> NDArray[np.int64]:
        """One member for each owner; `lot` in [0, 1) says which."""
        first = self.offsets[owner]
        return self.members[first + (lot * (self.offsets[owner + 1] - first)).astype(np.int64)]


@dataclass(frozen=True)
class Places:
    """The map: countries as positions in `world.countries`, terminals in blocks by kind."""

    home: NDArray[np.int64]
    """The country of each customer."""
    kind: NDArray[np.int64]
    """The channel of each terminal."""
    country: NDArray[np.int64]
    """The country of each terminal."""
    usual: tuple[Choices, Choices, Choices]
    """By channel, the terminals that each customer uses at home."""
    abroad: tuple[Choices, Choices, Choices]
    """By channel, the terminals of each country."""


def lay_out(world: World) -> Places:
    """The map of a world."""
    chance = stream(world.seed, "places")
    home = _countries(world, world.customers, chance)
    kind = np.repeat(np.arange(3), world.kinds())
    country = np.concatenate([_in_every_country(world, count, chance) for count in world.kinds()])
    house, site = chance.random((world.customers, 2)) * 100, chance.random((world.terminals, 2)) * 100
    abroad = tuple(_by_country(kind, country, channel, world) for channel in range(3))
    near = {c: _near(home, house, np.where(kind == c, country, -1), site, world) for c in (POS, ATM)}
    shops = _favourite_shops(home, abroad[ONLINE], world, chance)
    return Places(home, kind, country, (near[POS], shops, near[ATM]), (abroad[POS], abroad[ONLINE], abroad[ATM]))


def _countries(world: World, count: int, chance: np.random.Generator) -> NDArray[np.int64]:
    weight = 1 / np.arange(1, len(world.countries) + 1)
    return chance.choice(len(world.countries), size=count, p=weight / weight.sum())


def _in_every_country(world: World, count: int, chance: np.random.Generator) -> NDArray[np.int64]:
    country = _countries(world, count, chance)
    country[: len(world.countries)] = np.arange(len(world.countries))
    return country


def _by_country(kind: NDArray[np.int64], country: NDArray[np.int64], channel: int, world: World) -> Choices:
    members = np.flatnonzero(kind == channel)
    return Choices.of(country[members], members, len(world.countries))


def _near(home: NDArray[np.int64], house: Point, country: NDArray[np.int64], site: Point, world: World) -> Choices:
    """Terminals within the radius of each customer, in the same country; the nearest one is always among them."""
    owners, members = [], []
    for here in range(len(world.countries)):
        terminals = np.flatnonzero(country == here)
        for people in _chunks(np.flatnonzero(home == here)):
            rows, columns = _pairs_within(house[people], site[terminals], world.radius)
            owners.append(people[rows])
            members.append(terminals[columns])
    return Choices.of(np.concatenate(owners), np.concatenate(members), world.customers)


def _pairs_within(house: Point, site: Point, radius: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    squared = ((house[:, None, :] - site[None, :, :]) ** 2).sum(axis=2)
    near = squared <= radius**2
    near[np.arange(len(house)), squared.argmin(axis=1)] = True
    rows, columns = np.nonzero(near)
    return rows, columns


def _chunks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    return (rows[at : at + _CHUNK] for at in range(0, len(rows), _CHUNK))


def _favourite_shops(home: NDArray[np.int64], shops: Choices, world: World, chance: np.random.Generator) -> Choices:
    """A dozen web shops for each customer, most of them in the home country."""
    owners = np.repeat(np.arange(world.customers), _SHOPS)
    anywhere = chance.integers(len(world.countries), size=len(owners))
    where = np.where(chance.random(len(owners)) < _HOME_SHOPS, home[owners], anywhere)
    return Choices.of(owners, shops.pick(where, chance.random(len(owners))), world.customers)
