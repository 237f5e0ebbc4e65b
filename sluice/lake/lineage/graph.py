"""The graph behind a prediction, a model or a table: what each thing was made of, down to raw files and offsets."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.dataset as ds

from sluice.clock import rfc3339
from sluice.errors import UserError
from sluice.lake.backfills import named_in
from sluice.lake.contract import TOPIC
from sluice.lake.keeping.present import tables
from sluice.lake.plan import published_batches
from sluice.lake.restating import RESTATED
from sluice.lake.snapshots import SOURCE
from sluice.lake.tables import Lake
from sluice.lake.training_sets import TrainingSet, training_sets


@dataclass(frozen=True)
class Node:
    """One thing, what there is to say of it, and what it was made of."""

    kind: str
    name: str
    about: str = ""
    made_of: Sequence[Node] = field(default=(), compare=False)


class Lineage:
    """The graphs of one lake; what many things were made of is the same node."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._files = {
            row["source"]: row for row in sorted(lake.rows("files"), key=lambda row: int(row["at"]), reverse=True)
        }
        self._sets = training_sets(lake)
        self._bases: dict[int, Node] = {}

    def prediction(self, name: str) -> Node:
        """One answer, by its request's id, or `request/event` of several; UserError for an unknown one."""
        request, _, event = name.partition("/")
        where = ds.field("request_id") == request
        rows = self._lake.rows("predictions", where=where & (ds.field("event_id") == event) if event else where)
        answers = [row for row in rows if row["role"] != "shadow"] or rows
        if not answers:
            raise self._no_prediction(name)
        row = answers[0]
        about = (
            f"{row['decision']}, score {row['score']:.4f}, at {rfc3339(row['event_time'])}, segment {row['segment']}"
        )
        vector = Node(
            "vector", f"definition {row['definition']}", "as it was served", self._knowledge(row["knowledge"])
        )
        return Node("prediction", f"{row['request_id']}/{row['event_id']}", about, (vector, self._model(row)))

    def _no_prediction(self, name: str) -> UserError:
        some = next(self._lake.scan("predictions", columns=["request_id"]), None)
        return UserError(
            f"there is no prediction {name!r}",
            where=self._lake.uri("predictions"),
            allowed=f"a request's id, such as {some.column(0)[0].as_py()}" if some else "none yet",
            next_step="an answer of the service has its id as `request_id`; it is here when its topic is archived",
        )

    def model(self, name: str) -> Node:
        """A registered model, as `name/version`; UserError for one of which no training set is kept."""
        model, _, version = name.rpartition("/")
        found = self._sets.get((model, version))
        if found is None:
            known = [f"{model}/{version}" for model, version in self._sets]
            trained = "the flow `train` makes one of every segment"
            raise UserError.unknown("model", name, known, where=self._lake.uri("training_sets"), next_step=trained)
        return self._trained(found)

    def table(self, name: str) -> Node:
        """A table, as `name` or `name@version`; UserError when nobody has written it."""
        table, _, number = name.partition("@")
        if number and not number.isdecimal():
            raise UserError(f"{number!r} is no version", where=name, allowed="table or table@12")
        newest = self._lake.version(table)
        version = int(number) if number else newest
        if newest < 0 or version > newest:
            raise self._no_table(name, table)
        return self._table(table, version)

    def _no_table(self, name: str, table: str) -> UserError:
        """What is said of a table, or a version of one, that there is not, with the nearest of those that there are."""
        known = tables(self._lake)
        if table in known:
            newest = self._lake.version(table)
            return UserError(
                f"there is no table {name!r}", where=self._lake.root, allowed=f"{table}@0 to {table}@{newest}"
            )
        silver = f"silver/{table}"
        near = [silver] if silver in known else difflib.get_close_matches(table, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else None
        return UserError(f"there is no table {name!r}", where=self._lake.root, allowed=known, next_step=hint)

    def _table(self, table: str, version: int) -> Node:
        kind, _, stream = table.partition("/")
        about = ""
        made_of: tuple[Node, ...] = ()
        if kind in {"silver", "quarantine", "conflicts", "late", "baselines"}:
            shown = self._lake.published(stream)
            made_of = tuple(self._batch(row) for row in shown)
        elif kind == "events":
            made_of = tuple(self._files_of(stream))
        else:
            backfill = named_in(self._lake, table, version)
            if backfill is not None:
                about = f"by {backfill['name']} at {rfc3339(backfill['at'])}"
                asof = json.loads(backfill["asof"])
                tables = tuple(Node("table", f"asof/{name}@{number}") for name, number in sorted(asof.items()))
                made_of = (self._base(backfill["base"]), *tables)
        return Node("table", f"{table}@{version}", about, made_of)

    def _model(self, row: Mapping[str, Any]) -> Node:
        found = self._sets.get((row["model"], row["version"]))
        return Node("model", f"{row['model']}/{row['version']}") if found is None else self._trained(found)

    def _trained(self, found: TrainingSet) -> Node:
        span = f"events from {rfc3339(found.first)} to {rfc3339(found.until)}"
        vectors = self._table(found.vectors, found.vectors_version)
        rows = Node("training set", f"of {found.model}/{found.version}", span, (vectors,))
        about = f"segment {found.segment}, trained at {rfc3339(found.at)}"
        return Node("model", f"{found.model}/{found.version}", about, (rows,))

    def _knowledge(self, text: str) -> tuple[Node, ...]:
        """What a served vector knew: a base and the topics behind it, or of a store in shards those of each key."""
        told = json.loads(text)
        each = list(told.get("keys", {"": told}).values())
        bases = {int(known.get("base", -1)) for known in each}
        positions: dict[str, int] = {}
        for known in each:
            for place, offset in known.get("positions", {}).items():
                positions[place] = max(offset, positions.get(place, 0))
        topics = [
            Node("topic", place, f"offsets up to {offset - 1:,}")
            for place, offset in sorted(positions.items())
            if offset
        ]
        tables = [Node("table", f"asof/{name}@{number}") for name, number in sorted(told.get("tables", {}).items())]
        return (*(self._base(base) for base in sorted(bases) if base >= 0), *topics, *tables)

    def _base(self, base: int) -> Node:
        if base not in self._bases:
            rows = sorted(published_batches(self._lake, base), key=lambda row: (row["at"], row["batch"], row["stream"]))
            about = f"{len(rows):,} batches, {sum(row['accepted'] for row in rows):,} rows"
            self._bases[base] = Node("base", str(base), about, tuple(map(self._batch, rows)))
        return self._bases[base]

    def _batch(self, row: Mapping[str, Any]) -> Node:
        sources = [self._source(place, last) for place, last in json.loads(row["sources"] or "{}").items()]
        made_of = tuple(sorted(sources, key=lambda one: (one.kind, one.name)))
        about = f"{row['rows']:,} rows at {rfc3339(row['at'])}" + (f", run {row['run']}" if row.get("run") else "")
        return Node("batch", f"{row['stream']}:{row['batch']}", about, made_of)

    def _source(self, place: str, last: int) -> Node:
        source, _, _ = place.rpartition("/")
        if source.startswith(TOPIC):
            return Node("topic", place.removeprefix(TOPIC), f"offsets up to {last:,}")
        file = self._files.get(source)
        if source.startswith("replay:"):
            return Node("replay", source.removeprefix("replay:"), f"{last + 1:,} rows")
        if file is None and source.startswith(RESTATED):
            return Node("restatement", source.split(":")[1], f"{last + 1:,} events that its files have no longer")
        if file is None:
            return Node("file", source, f"rows up to {last:,}")
        if source.startswith(SOURCE):
            part = source.removeprefix(SOURCE).partition("/")[2]
            return Node("Delta table", file["path"], f"data file {part}, rows up to {last:,}, {file['bytes']:,} bytes")
        return Node("file", file["path"], f"{source}, rows up to {last:,}, {file['bytes']:,} bytes")

    def _files_of(self, stream: str) -> Iterator[Node]:
        for source, row in sorted(self._files.items(), key=lambda item: (item[1]["at"], item[1]["path"])):
            if row["stream"] == stream:
                yield Node("file", row["path"], f"{source}, {row['bytes']:,} bytes, batch {row['batch']}")
