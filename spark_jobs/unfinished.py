"""Backfills over everything that have died: the next one goes on with their work, though it is for a later moment.

Who works leaves a note in the folder of the work: what the backfill is of, and which process works. The folder's name
says the rest (`Plan.resumable`): with another declaration, other code, or rows gone since, it would be another name.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow.fs

from sluice.lake.backfills import Previous, unfit
from sluice.lake.files import whole_file
from sluice.lake.forgetting.remains import idle
from sluice.lake.keeping.present import folders
from sluice.lake.plan import Plan, parts_for
from sluice.lake.storage import place
from sluice.local.processes import is_running, start_time

_NOTE, _DONE = "plan.json", "done"


def note(plan: Plan) -> None:
    """Say what the work is of, and that this process does it."""
    of = {"base": plan.base, "at": plan.at, "parts": plan.parts, "most": plan.most, "asof": plan.asof}
    by = {"host": socket.gethostname(), "process": os.getpid(), "started": start_time(os.getpid())}
    with whole_file(plan.work(_NOTE)) as sink:
        sink.write(json.dumps({**of, **by}).encode())


def unfinished(plan: Plan) -> Plan | None:
    """The newest backfill that died and that this one could go on from; None where there is none."""
    found = (_left(plan, name) for name in folders(plan.tables().uri("work")))
    return max((one for one in found if one is not None), key=lambda one: one.at, default=None)


def _left(plan: Plan, name: str) -> Plan | None:
    uri = plan.tables().uri(f"work/{name}")
    told = _read(f"{uri}/{_NOTE}")
    if told is None or _DONE not in folders(uri):
        return None
    what = {each: told[each] for each in ("base", "at", "parts", "most")}
    asof = tuple((table, version) for table, version in told["asof"])
    own = replace(plan, **what, asof=asof, run=uuid.uuid4().hex).resumable()
    return own if own.work() == uri and _can_go_on(plan, own) and not _is_at_work(plan, name, told) else None


def _can_go_on(plan: Plan, own: Plan) -> bool:
    """Whether a backfill can go on from another, and was not told to work otherwise: in other tasks, say."""
    usual = all(one.parts == parts_for(one.tables(), one.base) for one in (plan, own))
    is_alike = own.most == plan.most and (own.parts == plan.parts or usual)
    before = Previous(own.base, own.at, own.parts, dict(own.asof))
    return is_alike and own.at <= plan.at and unfit(plan, before) is None


def _is_at_work(plan: Plan, name: str, told: Mapping[str, Any]) -> bool:
    """Whether somebody works on it; of another machine's process only what it writes tells."""
    if told["host"] != socket.gethostname():
        return f"work/{name}" not in idle(plan.tables(), "work")
    return told["process"] != os.getpid() and is_running(told["process"], told["started"])


def _read(uri: str) -> dict[str, Any] | None:
    filesystem, path = place(uri)
    if filesystem.get_file_info(path).type != pyarrow.fs.FileType.File:
        return None
    with filesystem.open_input_file(path) as source:
        found: dict[str, Any] = json.loads(source.read())
        return found
