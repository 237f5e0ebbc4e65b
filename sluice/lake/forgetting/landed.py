"""Batches that landed before an erasure and are judged after it, under names by which nobody could know it then."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pyarrow as pa

from sluice.declare.streams import Stream
from sluice.lake.contract import BRONZE, PRESENT
from sluice.lake.delivery import Delivery
from sluice.lake.forgetting import remains
from sluice.lake.forgetting.erasers import Standing
from sluice.lake.forgetting.forgotten import emptied
from sluice.lake.forgetting.found import PLACE
from sluice.lake.keeping.retiring import TABLES
from sluice.lake.keeping.rewriting import At, drop, rewrite
from sluice.lake.within import between


def empty_landed(delivery: Delivery) -> None:
    """Leave of what is forgotten its place alone, wherever a batch that bronze has already has some of it.

    A batch that is history lost it with the erasure, as did what was archived: both are called as they were then.
    """
    if not delivery.forgotten or delivery.from_bronze:
        return
    for stream in delivery.declared().streams:
        if not delivery.tables().shows(stream.name, delivery.batch):
            contract = delivery.contract(stream.name)
            places = pa.concat_tables([_NOWHERE, *_forgotten(delivery, contract)])
            if len(places):
                _empty(delivery, contract, places)


_NOWHERE = pa.schema([BRONZE.field(name) for name in PLACE]).empty_table()


def _forgotten(delivery: Delivery, contract: Stream) -> Iterator[pa.Table]:
    """The places of what a batch has in bronze of what is forgotten."""
    table, batch = f"events/{contract.name}", between(batch=(delivery.batch, delivery.batch))
    for chunk in delivery.tables().scan(table, columns=BRONZE.names, where=PRESENT, within=batch):
        rows = pa.table(chunk)
        yield rows.select(PLACE).filter(pa.array(delivery.forgotten.raw(contract, rows)))


def _empty(delivery: Delivery, contract: Stream, places: pa.Table) -> None:
    """Take away what there is at some places, older files included; bronze, which tells where they are, comes last."""
    lake, bronze = delivery.tables(), f"events/{contract.name}"
    for kind, prefix in TABLES.items():
        if kind != "events":
            drop(lake, f"{kind}/{contract.name}", At(places, prefix))
            remains.clear(lake, f"{kind}/{contract.name}", At(places, prefix))
    rewrite(lake, bronze, Standing(At(places)), partial(emptied, contract, {}))
    remains.clear(lake, bronze, Standing(At(places)))
