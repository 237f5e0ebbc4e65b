"""Simulated card payments with fraud, chargebacks, and everything that may go wrong on the way to us."""

from __future__ import annotations

from sluice.local.simulator.feed import feed
from sluice.local.simulator.files import write_history, write_repair
from sluice.local.simulator.injections import CovariateShift, Injections, NewPattern, SchemaBreak
from sluice.local.simulator.simulation import Simulation, Tally, simulate
from sluice.local.simulator.tables import CHARGEBACKS, TRANSACTIONS
from sluice.local.simulator.truth import Truth
from sluice.local.simulator.world import CHANNELS, SCENARIOS, Fraud, World

__all__ = [
    "CHANNELS",
    "CHARGEBACKS",
    "SCENARIOS",
    "TRANSACTIONS",
    "CovariateShift",
    "Fraud",
    "Injections",
    "NewPattern",
    "SchemaBreak",
    "Simulation",
    "Tally",
    "Truth",
    "World",
    "feed",
    "simulate",
    "write_history",
    "write_repair",
]
