"""What stands on either side of each comparison of the contract, in one sentence a side."""

from __future__ import annotations

from benchmarks.features.sides import Sides

TYPED, RAW, GATED = "typed", "raw", "raw, with what the gates ask"
_BRONZE = "bronze is read from Delta into Arrow, and silver is written from Arrow to Delta, each as a whole"
SIDES = {
    TYPED: Sides(
        "contract of 1.75 million rows with typed columns",
        "`enter`, as `features compute` calls it: Arrow columns in memory are typed and judged",
        "the same rows are read from a Delta table and written to another",
    ),
    RAW: Sides(
        "contract of 1.75 million raw payloads",
        "`check`, as ingest, fold and audit call it: JSON payloads in memory are decoded, typed and judged as rows, in"
        " slices of 250,000 one after the other",
        _BRONZE,
    ),
    GATED: Sides(
        "contract of 1.75 million raw payloads with what the gates ask",
        "the same, and what ingest makes of every batch for the rules of tables and distributions: counts of each"
        " slice, and shapes by day",
        _BRONZE,
    ),
}
