"""Erasures on record: who asked for one and why, what went, and which models can no longer be made again.

    erasures    a row when an erasure is announced, from which on it happens, and one when it is done: the receipt
    erased      by pseudonym: the entity and its events, and the other entities whose windows had seen them

Nothing of it says who was forgotten: the key of the pseudonyms is not in the lake.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from sluice.errors import DataError, Outage, SettingsError, UserError
from sluice.lake.files import remove
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.forgetting.pseudonyms import Pseudonyms, own_pseudonyms
from sluice.lake.tables import Lake
from sluice.wording import command

ERASURES = pa.schema(
    {
        "erasure": pa.string(),
        "state": pa.string(),
        "by": pa.string(),
        "because": pa.string(),
        "at": pa.int64(),
        "of": pa.string(),
        "entity": pa.string(),
        "key": pa.string(),
        "rows": pa.string(),
        "duplicates": pa.string(),
        "versions": pa.string(),
        "models": pa.string(),
    }
)
"""`of` is the key column, `entity` the pseudonym, `key` tells which key made it; the last four are JSON.

`rows` went of each table, `duplicates` are those of each stream that were told as such, `versions` are the first ones
of tables without the entity, and `models` cannot be trained again.
"""
ERASED = pa.schema(
    {
        "erasure": pa.string(),
        "kind": pa.string(),
        "of": pa.string(),
        "hash": pa.binary(),
        "first": pa.int64(),
        "until": pa.int64(),
    }
)
"""`of` is a key column (`entity`), a stream (`event`) or a view (`seen`)."""
ANNOUNCED, DONE = "announced", "done"
ENTITY, EVENT, SEEN = "entity", "event", "seen"
TURN = "erasures"
FOLDER = "forgetting"
"""Beside the tables, what an erasure has written down until it is done."""


@dataclass(frozen=True)
class Receipt:
    """An erasure as it stands."""

    erasure: str
    state: str
    by: str
    because: str
    at: int
    of: str
    entity: str
    key: str
    rows: Mapping[str, int] = field(default_factory=dict)
    duplicates: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    models: Sequence[str] = ()

    def row(self) -> dict[str, Any]:
        """As a row of `erasures`."""
        nested = ("rows", "duplicates", "versions", "models")
        return {name: json.dumps(value) if name in nested else value for name, value in vars(self).items()}


@dataclass(frozen=True)
class Reached:
    """Entities whose windows had seen events that are gone: by view and pseudonym, the times of these."""

    names: Pseudonyms | None = None
    spans: Mapping[tuple[str, bytes], Sequence[tuple[int, int, int]]] = field(default_factory=dict)
    """First and last event, and the moment of the erasure."""

    def has(self, view: str, value: Any, since: int, until: int) -> bool:
        """Whether a window of an entity from one moment to another could see some, for what was answered before."""
        if self.names is None or value is None:
            return False
        spans = self.spans.get((view, self.names.of(view, value)), ())
        return any(first <= until and last >= since and until <= at for first, last, at in spans)


def receipts(lake: Lake) -> list[Receipt]:
    """Every erasure as it stands, oldest first."""
    found: dict[str, Receipt] = {}
    for row in sorted(lake.rows("erasures"), key=lambda row: (row["at"], row["state"] == DONE)):
        nested = {name: json.loads(row[name]) for name in ("rows", "duplicates", "versions", "models")}
        found[row["erasure"]] = Receipt(**{**row, **nested})
    return list(found.values())


def receipt(lake: Lake, name: str, *, next_step: str | None = None) -> Receipt:
    """One erasure; UserError for one that there is not, with the next step."""
    found = {one.erasure: one for one in receipts(lake)}
    if name not in found:
        raise UserError.unknown("receipt", name, found, where="forget", next_step=next_step)
    return found[name]


def unfinished(lake: Lake) -> list[Receipt]:
    """Erasures that were announced and are not done: something died before they were."""
    return [one for one in receipts(lake) if one.state == ANNOUNCED]


def announce(lake: Lake, told: Receipt, erased: Iterable[Mapping[str, Any]], before: int | None) -> None:
    """Announce an erasure; Outage when another one was since `before`, which `TURN` says."""
    lake.append_rows("erased", erased, ERASED, once=f"erased:{told.erasure}")
    lake.append_moving("erasures", pa.Table.from_pylist([told.row()], schema=ERASURES), TURN, before, (before or 0) + 1)


def finish(lake: Lake, done: Receipt) -> None:
    """Say that an erasure is done, once."""
    lake.append_rows("erasures", [done.row()], ERASURES, once=f"done:{done.erasure}")


def forgotten(lake: Lake, names: Pseudonyms | None = None) -> Forgotten:
    """What was forgotten of a lake; SettingsError when the key by which it is known again is not here."""
    found = receipts(lake)
    if not found:
        return Forgotten()
    names = names or own_pseudonyms()
    check_key(found, names)
    told = {one.erasure: one.at for one in found}
    rows = lake.rows("erased", where=ds.field("kind").isin([ENTITY, EVENT]))
    entities: dict[tuple[str, bytes], int] = {}
    for row in rows:
        if row["kind"] == ENTITY and row["erasure"] in told:
            key = row["of"], row["hash"]
            entities[key] = max(row["until"], entities.get(key, row["until"]))
    events = {(row["of"], row["hash"]) for row in rows if row["kind"] == EVENT and row["erasure"] in told}
    return Forgotten(names, entities, frozenset(events), len(found))


def forgotten_by(lake: Lake, told: Receipt, names: Pseudonyms) -> Forgotten:
    """What one erasure takes away, as it was announced; SettingsError under another key."""
    check_key([told], names)
    rows = lake.rows("erased", where=(ds.field("erasure") == told.erasure) & (ds.field("kind") == EVENT))
    entity = told.of, bytes.fromhex(told.entity)
    return Forgotten(names, {entity: told.at}, frozenset((row["of"], row["hash"]) for row in rows))


def add_events(lake: Lake, told: Receipt, what: Forgotten) -> None:
    """Remember more events of an erasure, which came while it was announced."""
    known = lake.rows("erased", where=(ds.field("erasure") == told.erasure) & (ds.field("kind") == EVENT))
    fresh = sorted(what.events - {(row["of"], row["hash"]) for row in known})
    own = {"erasure": told.erasure, "kind": EVENT, "first": None, "until": told.at}
    lake.append_rows("erased", [{**own, "of": stream, "hash": digest} for stream, digest in fresh], ERASED)


def reached(lake: Lake) -> Reached:
    """Whose windows had seen what is gone; SettingsError when the key by which they are known is not here."""
    found = receipts(lake)
    if not found:
        return Reached()
    names = own_pseudonyms()
    check_key(found, names)
    told = {one.erasure: one.at for one in found}
    spans: dict[tuple[str, bytes], list[tuple[int, int, int]]] = {}
    for row in lake.rows("erased", where=ds.field("kind") == SEEN):
        if row["erasure"] in told:
            span = row["first"], row["until"], told[row["erasure"]]
            spans.setdefault((row["of"], row["hash"]), []).append(span)
    return Reached(names, spans)


def check_key(found: Sequence[Receipt], names: Pseudonyms) -> None:
    """SettingsError unless erasures were made under this key."""
    other = [one.erasure for one in found if one.key != names.name]
    if other:
        raise SettingsError(
            f"erasure {other[0]} was made under another key than the one that is here",
            where="SLUICE_ERASURE_KEY",
            next_step="name the key of that erasure: without it, what was forgotten would come back",
        )


def how_many(lake: Lake) -> int:
    """How many erasures were announced."""
    return lake.reached_by("erasures", TURN) or 0


def settled(lake: Lake, pipeline: str) -> int:
    """How many erasures were announced; Outage while one is not done: what is read of a lake may still have it.

    `pipeline` is what the command line calls it.
    """
    known, begun = how_many(lake), unfinished(lake)
    if begun:
        raise Outage(
            f"an entity is being forgotten (erasure {begun[0].erasure})",
            where=lake.root,
            next_step=f"run it again when that is done; if it died: {command('forget', 'finish', pipeline)}",
        )
    return known


def undisturbed(lake: Lake, pipeline: str, load: Callable[[], None]) -> None:
    """Bring what a lake holds elsewhere, and once more whenever an entity was forgotten meanwhile.

    Outage while one is being forgotten: what it is brought to may have lost it before.
    """
    loaded = None
    while loaded != (known := settled(lake, pipeline)):
        try:
            load()
        except (DataError, FileNotFoundError):
            # files that it was about to read may have gone with the entity
            if settled(lake, pipeline) == known:
                raise
        else:
            loaded = known


def refuse_later(lake: Lake, known: int, written: Iterable[str] = ()) -> None:
    """Outage when an entity was forgotten since some work began that knew of so many erasures.

    What that has written, by its URI, may have some of it, and goes.
    """
    if how_many(lake) != known:
        for uri in written:
            remove(uri)
        raise Outage("an entity was forgotten meanwhile", where=lake.root, next_step="run it again")


class Remembered:
    """What was forgotten of a lake, read again whenever an erasure was announced since."""

    def __init__(self, lake: Lake) -> None:
        self._lake, self._turn, self._last = lake, 0, Forgotten()

    def __call__(self) -> Forgotten:
        """As it is now."""
        turn = how_many(self._lake)
        if turn != self._turn:
            self._last, self._turn = forgotten(self._lake), turn
        return self._last


def nothing() -> Forgotten:
    """What was forgotten where nobody ever is."""
    return Forgotten()


Remembers = Callable[[], Forgotten]
"""What says, when it is asked, what was forgotten."""


def duplicates(lake: Lake, stream: str) -> int:
    """How many of the rows that are gone of a stream were told as duplicates."""
    return sum(one.duplicates.get(stream, 0) for one in receipts(lake))
