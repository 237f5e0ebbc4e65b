"""The chapter of mended days: a producer tells a past day anew, and a repair says which models had learned from it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from flows.ingest import ingest
from flows.place import Place, place
from flows.repair import repair
from sluice.cli.demo.events import Events
from sluice.cli.demo.teller import Teller
from sluice.clock import to_datetime
from sluice.declare.durations import DAY
from sluice.engine.versions import settled
from sluice.lake.moved import COUNTS, most_moved
from sluice.lake.touched import arrived_in_words, columns_of

_BACK = 45 * DAY
"""How far before the live days the mended day is: the first models have learned from it."""
_EVERY, _FACTOR, _LOST = 50, 1.1, 3
"""Of so many payments one had another amount, by this factor; and so many never happened."""


def tell_anew(teller: Teller, pipeline: str, events: Events) -> None:
    """Deliver a past day once more, as its producer has mended it: some amounts were wrong, some payments were none."""
    here, at = place(pipeline), events.day(events.live_days)
    first = (events.start - _BACK) // DAY * DAY
    day = f"{to_datetime(first):%Y-%m-%d}"
    path = _mended(here, first, here.settings.places.at("files", f"restated-{day}.parquet"))
    name = here.pipeline.events.name
    ingest(pipeline, batch=f"restated-{day}", files=[(name, str(path))], restates=day, at=at)
    mine = (ds.field("batch") == f"restated-{day}") & (ds.field("rule") == "restatement")
    (told,) = here.lake.rows("verdicts", where=mine & (ds.field("stream") == name))
    teller.say(f"told anew: {told['message']}")


def repair_days(teller: Teller, pipeline: str, at: int) -> None:
    """Bring what came late, was corrected or told anew into its days; say what that was, and what it touched."""
    version = repair(pipeline, at=at)
    rows = [row for row in place(pipeline).lake.rows("touched") if row["at"] == at]
    for row in sorted(rows, key=lambda row: (row["model"], row["version"])):
        for batch in arrived_in_words(row):
            teller.say(f"new: {batch}")
        name = f"{row['model']}/{row['version']}" if row["model"] else f"{version}, of days before"
        counts = ", ".join(f"{row[what]:,} {what}" for what in COUNTS if row[what])
        most = most_moved(columns_of(row))
        teller.say(f"touched {name}: {counts or 'nothing'}{f', most in {most}' if most else ''}")


def _mended(here: Place, first: int, path: Path) -> Path:
    """A day of history as its producer now tells it."""
    stream = here.pipeline.events
    inside = (ds.field("_time") >= first) & (ds.field("_time") < first + DAY)
    rows = settled(here.lake.read(f"silver/{stream.name}", where=inside)).sort_by("_id")
    number = pa.array(range(len(rows)))
    wrong = pc.equal(pc.subtract(number, pc.multiply(pc.divide(number, _EVERY), _EVERY)), 0)
    at = rows.schema.get_field_index("amount")
    amount = rows.column("amount").cast(pa.float64())
    mended = pc.round(pc.if_else(wrong, pc.multiply(amount, _FACTOR), amount), 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = rows.set_column(at, "amount", mended).slice(_LOST).select([*stream.all_columns])
    pq.write_table(told, path)
    return path
