"""What served vectors did not know of all there is to know by now, and why: a bar, and tables beside it."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.monitor.report.markup import Markup, folded, table, tag
from sluice.monitor.report.wording import NONE, share
from sluice.monitor.staleness import CAUSES, SEVERAL, Change, Staleness
from sluice.wording import counted

NOTHING = "nothing"
MEANINGS = {
    NOTHING: "it knew all there is by now",
    "pending": "events that had reached us, and were not in the features yet",
    "lateness": "events that reached us only after the request's time",
    "expiry": "events that came too late to count",
    SEVERAL: "events of more than one kind",
}
"""What a vector lacked."""
_COLOURS = dict(zip(MEANINGS, ("--grid", "--series-2", "--series-1", "--series-4", "--series-5"), strict=True))
_FEATURES = 40
"""How many rows the table by feature has at most."""


def staleness_shown(found: Staleness) -> tuple[Markup, ...]:
    """How much of what there is the audited vectors knew; nothing where it was not measured."""
    if not found.measured:
        return ()
    heading = tag("h3", "What they did not know")
    body = (heading, tag("p", _lead(found)), _bar(found), _causes(found))
    return (*body, _features(found.changes)) if found.changes else body


def _lead(found: Staleness) -> str:
    told = f"{found.stale:,} of {counted(found.measured, 'vector')} would be different with all that is known by now"
    return f"{told}. That is no error: each is right by what it knew."


def _bar(found: Staleness) -> Markup:
    """One bar of all vectors, divided by what they lacked."""
    parts = {name: count for name, count in _counts(found).items() if count}
    told = ", ".join(f"{count:,} {name}" for name, count in parts.items())
    spans = (
        tag("span", style=f"width:{100 * count / found.measured:.2f}%;background:var({_COLOURS[name]})")
        for name, count in parts.items()
    )
    return tag("div", *spans, class_="shares", role="img", aria_label=f"Vectors by what they lacked: {told}")


def _causes(found: Staleness) -> Markup:
    rows = [
        [_key(name), MEANINGS[name], f"{count:,}", share(count / found.measured), *_changed(found, name)]
        for name, count in _counts(found).items()
    ]
    header = ["lacked", "which is", "vectors", "of all", "features", "half differ by ≤", "9 in 10 by ≤", "at most"]
    caption = "Vectors by what they alone lacked; features by what changes them, relative to the greater value"
    return table(header, rows, caption=caption, words=(0, 1))


def _counts(found: Staleness) -> dict[str, int]:
    return {NOTHING: found.measured - found.stale, **found.vectors}


def _changed(found: Staleness, name: str) -> list[str]:
    """How many features a cause changed, and by how much."""
    cause = next((cause for cause in CAUSES if cause == name), None)
    if cause is None:
        return [NONE] * 4
    sizes = [share(size) for size in found.relative[cause]] or [NONE] * 3
    return [f"{found.features(cause):,}", *sizes]


def _features(changes: Sequence[Change]) -> Markup:
    shown = sorted(changes, key=lambda change: -change.vectors)[:_FEATURES]
    rows = [
        [tag("code", change.feature), _key(change.cause), f"{change.vectors:,}", *_sizes(change)] for change in shown
    ]
    header = ["feature", "changed by", "vectors", "half by ≤", "9 in 10 by ≤", "at most", "relatively at most"]
    caption = "Features that change, in their own units; a category has no size"
    most = f" (the first {_FEATURES})" if len(changes) > _FEATURES else ""
    return folded(f"By feature{most}", table(header, rows, caption=caption, words=(0, 1)))


def _sizes(change: Change) -> list[str]:
    if not change.absolute:
        return [NONE] * 4
    return [*(f"{size:,.4g}" for size in change.absolute), share(change.relative[-1])]


def _key(name: str) -> Markup:
    """A name with its colour in the bar."""
    swatch = tag("i", class_="swatch", style=f"background:var({_COLOURS[name]})", aria_hidden="true")
    return tag("span", swatch, name)
