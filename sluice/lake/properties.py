"""What Delta is told about a table when it is created: how its log is kept short, and which versions stay for ever."""

from __future__ import annotations

NAMED = ("batches", "vectors", "vectors_as_served", "asof")
"""Tables whose versions are named elsewhere: by what a served vector knew, by models, by what was looked up."""
_FOR_EVER = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
_SHORT = {"delta.checkpointInterval": "10"}
"""Who opens a table reads a checkpoint and what came after it: of a hundred commits, unless told otherwise."""


def properties(table: str) -> dict[str, str]:
    """The properties of a new table; neither a checkpoint nor a vacuum takes away a version that others name.

    By default Delta's writers remove commits after thirty days, and a vacuum may remove replaced files after seven.
    """
    return {**_SHORT, **(_FOR_EVER if table.partition("/")[0] in NAMED else {})}
