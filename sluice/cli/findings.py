"""What the gates found of a batch, as a block of lines, and the commands that let a stopped one in."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sluice.cli.screen import hanging
from sluice.clock import to_second
from sluice.decisions import Verdict
from sluice.errors import GateStopped
from sluice.wording import command, counted

if TYPE_CHECKING:
    from sluice.declare.pipeline import Pipeline
    from sluice.declare.streams import Stream
    from sluice.lake.attempts import Attempt


def block(attempt: Attempt, columns: int | None = None, *, whole: bool = False) -> Iterator[str]:
    """Which batch, of which stream and moment, with the verdict; below it a line for each gate that did not pass.

    Gates that passed are a count, with `whole` a line each. With `columns` long messages go on below themselves.
    """
    yield f"{attempt.stream}: batch {attempt.batch!r} at {to_second(attempt.at)}: {attempt.verdict}"
    shown = [row for row in attempt.found if whole or row["verdict"] != Verdict.PASS]
    longest = max((len(row["rule"]) for row in shown), default=0)
    for row in shown:
        yield from hanging(f"  {row['rule']:{longest}}  {row['verdict']:4}  ", row["message"], columns)
    if passed := len(attempt.found) - len(shown):
        yield f"  {counted(passed, 'gate')} passed"


def steps(declared: Pipeline, attempt: Attempt, of_batch: Sequence[Attempt], *, shown: bool) -> Iterator[str]:
    """The commands that come next for an attempt that was stopped, ready to be called; none for another.

    `of_batch` are the attempts at all streams of its batch. `shown` is one of events that are history already.
    """
    if not attempt.stops:
        return
    if shown:
        yield "  next, once a person has seen to the source:"
        yield from _waivers(declared, attempt)
        return
    again = ingested_again(declared, of_batch)
    if any(row["rule"] == "quarantined" for row in attempt.stops):
        yield "  the rows that are refused:"
        held = ["--stream", attempt.stream, "--batch", attempt.batch, "--state", "held"]
        yield _line("quarantine", "show", declared.reference, *held)
    for column, name in renames(declared.stream(attempt.stream), attempt):
        yield f"  next, if {name!r} is what {column!r} is called in it:"
        yield _line(*again, "--rename", f"{attempt.stream}:{column}={name}")
    waivers = list(_waivers(declared, attempt))
    if len(waivers) == len(attempt.stops):
        yield "  next, if a person decides that it is right as it is:"
        yield from [*waivers, _line(*again)]
    yield "  else deliver it mended, as another batch"


def ingested_again(declared: Pipeline, of_batch: Sequence[Attempt]) -> list[str]:
    """The words that ingest a stopped batch once more as it was: for the same moment, under the same names.

    Of another moment its freshness would be another.
    """
    first = of_batch[0]
    renamed = [f"{one.stream}:{column}={name}" for one in of_batch for column, name in one.renamed.items()]
    given = [word for text in renamed for word in ("--rename", text)]
    return ["ingest", declared.reference, "--batch", first.batch, "--at", to_second(first.at), *given]


def renames(stream: Stream, attempt: Attempt) -> list[tuple[str, str]]:
    """Declared columns that no row of the batch has, each with the undeclared one that it may have become."""
    told = next((row for row in attempt.found if row["rule"] == "columns"), None)
    evidence = json.loads(told["evidence"] or "{}") if told else {}
    declared = {stream.source(name): name for name in stream.all_columns}
    absent = [name for name in _names(evidence.get("absent")) if name in declared]
    others = _names(evidence.get("undeclared"))
    if len(absent) == len(others) == 1:
        return [(declared[absent[0]], others[0])]
    found = []
    for name in absent:
        if near := difflib.get_close_matches(name, others, n=1):
            others.remove(near[0])
            found.append((declared[name], near[0]))
    return found


def in_short(declared: Pipeline, attempts: Sequence[Attempt], stopped: GateStopped) -> GateStopped:
    """The stop with what each gate says first, as the findings that are printed say the rest."""
    stops = [(one, row) for one in attempts for row in one.stops]
    if not stops:
        return stopped
    batch = stops[0][0].batch
    told = [f"{one.stream}:{row['rule']}: {row['message'].partition('; ')[0]}" for one, row in stops]
    look = command("gates", "show", declared.reference, "--batch", batch)
    return GateStopped("; ".join(told), where=f"batch {batch!r}", next_step=f"as the findings say; again: {look}")


def _waivers(declared: Pipeline, attempt: Attempt) -> Iterator[str]:
    """The command of a waiver for each gate that stops; there is none for what nobody can waive."""
    from sluice.lake.gates.verdict import GATES

    for row in attempt.stops:
        if row["rule"] in GATES:
            gate = f"{attempt.stream}:{row['rule']}"
            called = _line("gates", "waive", declared.reference, gate, "--batch", attempt.batch)
            yield f"{called} --by WHO --because WHY"


def _line(*words: str) -> str:
    return f"    {command(*words)}"


def _names(text: str | None) -> list[str]:
    return text.split(", ") if text else []
