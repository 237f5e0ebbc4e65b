"""A backfill over everything: by ranges of days, and from where a run of the same plan was left.

The versions of all history are dealt and counted once (`backfill`). Then the days are computed in ranges, one after
the other, so that what lies beside the result is of one range only. Every task and every range leaves a mark (`kept`):
a run that died is gone on from, whichever task it was in. Nobody sees any of it before all days are there, as vectors
of some days are neither a training set nor what the next backfill can go on from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from sluice.engine.shares import part_of
from sluice.errors import DataError
from sluice.lake.backfill import Counted, Written, assemble, compute_piece, count, deal
from sluice.lake.days import Days
from sluice.lake.dealing import relate
from sluice.lake.files import missing, remove
from sluice.lake.keeping.present import folders
from sluice.lake.kept import Kept
from sluice.lake.pieces import pieces
from sluice.lake.plan import Plan, Source, sources, standing_rows
from sluice.lake.ranges import Range, ranges, sheets

_SOURCES, _RANGES = "sources", "ranges"
Files = Mapping[str, Sequence[str]]
"""The files that were written for each table, by their paths below it."""


def everything(kept: Kept, plan: Plan, asked: Days | None, tell: Callable[[str], None]) -> Files | None:
    """Compute what no run of the plan has yet; the files of every table, None while days are left.

    With `asked`, of the days only those.
    """
    counts, rows = _counted(kept, plan)
    days: Counter[int] = Counter()
    for one in counts:
        days.update(dict(one["days"]))
    found = _kept_ranges(kept, plan)
    for each in ranges(days, plan.per_range, done=_days(found), asked=asked):
        files = _computed(kept, plan, counts, each, rows * each.events // max(1, days.total()))
        found[each.name] = {"days": [day for day, _ in each.days], "files": files}
        kept.mark(_RANGES, each.name, found[each.name])
        remove(plan.work("values", each.name))
        if len(each.days) < len(days):
            tell(f"{each.name}: {each.events:,} vectors are computed, {len(_days(found)):,} of {len(days):,} days are")
    if not _days(found) >= set(days):
        return None
    return _by_table(written for one in found.values() for written in one["files"])


def _counted(kept: Kept, plan: Plan) -> tuple[list[Counted], int]:
    """What was counted, bucket by bucket, and how many rows there are; dealt before, where that is not done."""
    parts, standing = {f"{part:05}": part for part in range(plan.parts)}, standing_rows(plan)
    told = kept.results(_SOURCES)
    if told and told["files"]["standing"] != standing:
        # what was forgotten since must not come back out of what was dealt before
        _deal_again(plan)
        told = {}
    done = kept.results("count", list(parts))
    if len(done) == len(parts):
        found: list[Counted] = list(done.values())
        return found, int(told["files"]["rows"])
    files, rows = sources(plan)
    if not files:
        raise DataError("there is no published history", where=plan.tables().root, next_step="ingest something first")
    dealt = _still_there(told["files"]["files"], files) if told else []
    if not dealt:
        # its files were written anew since, with the same rows: what was dealt of some does not fit the others
        _deal_again(plan)
        dealt = files
        named = [(file.number, file.stream, file.path) for file in files]
        kept.mark(_SOURCES, "files", {"rows": rows, "standing": standing, "files": named})
    tellers = [stream.name for stream in plan.declared().streams if stream.parent]
    told_by = {f"{name}-{part:05}": (name, part) for name in tellers for part in parts.values()}
    kept.each("deal", partial(deal, plan), {f"{file.number:06}": file for file in dealt}, rows=rows)
    kept.each("relate", partial(relate, plan), told_by, rows=rows)
    found = kept.each("count", partial(count, plan), parts, rows=rows)
    for read in ("facts", "told"):
        remove(plan.work(read))
    return found, rows


def _still_there(named: Iterable[tuple[int, str, str]], files: Iterable[Source]) -> list[Source]:
    """The files that were dealt before, if all of them are there; those of batches that came since are of none."""
    there = {(file.stream, file.path): file for file in files}
    found = [(number, there.get((stream, path))) for number, stream, path in named]
    dealt = [replace(file, number=number) for number, file in found if file is not None]
    return dealt if len(dealt) == len(found) else []


def _deal_again(plan: Plan) -> None:
    """Remove all the work; what it is of stays noted."""
    for name in folders(plan.work()):
        remove(plan.work(name))


def _computed(kept: Kept, plan: Plan, counts: Sequence[Counted], mine: Range, rows: int) -> list[Written]:
    """The files of a range. A vacuum takes those of a run that died more than a week ago: then all are written anew."""
    files = _files(kept, plan, counts, mine, rows)
    if not _are_there(plan, files):
        _forget(kept, mine.name)
        files = _files(kept, plan, counts, mine, rows)
    return files


def _files(kept: Kept, plan: Plan, counts: Sequence[Counted], mine: Range, rows: int) -> list[Written]:
    sizes = [{(view, part): size for view, part, size in one["rows"]} for one in counts]
    cut = pieces(kept.workers, plan, sizes, plan.most, begin=mine.begin, end=mine.end)
    compute, write = _steps(mine.name)
    of_views = {f"{piece.view}-{piece.name}": piece for piece in cut}
    found = kept.each(compute, partial(compute_piece, plan, of=mine.name), of_views, rows=rows)
    of_days = {sheet.name: sheet for sheet in sheets(mine, _parts(plan, mine), plan.most)}
    found += kept.each(write, partial(assemble, plan, of=mine.name), of_days, rows=mine.events)
    return [(table, path) for one in found for table, path in one]


def _parts(plan: Plan, mine: Range) -> dict[int, list[int]]:
    """The days of a range by their bucket."""
    found: dict[int, list[int]] = {}
    days = [day for day, _ in mine.days]
    for day, part in zip(days, part_of(pa.array(days, pa.int64()), plan.parts).tolist(), strict=True):
        found.setdefault(part, []).append(day)
    return found


def _kept_ranges(kept: Kept, plan: Plan) -> dict[str, Any]:
    """The ranges that are done, and whose files are all there."""
    found = kept.results(_RANGES)
    for name, one in list(found.items()):
        if not _are_there(plan, one["files"]):
            _forget(kept, name)
            del found[name]
    return found


def _forget(kept: Kept, name: str) -> None:
    kept.forget(_RANGES, name)
    for step in _steps(name):
        kept.forget(step)


def _steps(name: str) -> tuple[str, str]:
    return f"compute-{name}", f"assemble-{name}"


def _days(found: Mapping[str, Any]) -> AbstractSet[int]:
    return {day for one in found.values() for day in one["days"]}


def _are_there(plan: Plan, files: Iterable[Sequence[str]]) -> bool:
    lake = plan.tables()
    return not any(missing(lake.uri(table), paths) for table, paths in _by_table(files).items())


def _by_table(files: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table, path in files:
        found.setdefault(table, []).append(path)
    return found
