"""What arrived: the sum of every stream, and what the gates and the contract kept out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.monitor.report.events import PLACES, accounted, closes
from sluice.monitor.report.markup import Markup, joined, table, tag
from sluice.monitor.report.sections.section import Run, Section
from sluice.monitor.report.stops import Refusal, Stop, refusals, stops
from sluice.monitor.report.wording import NONE, minute
from sluice.wording import counted, listed

Event = Mapping[str, Any]


def events(run: Run) -> Section:
    """Where every produced event went."""
    accounts: Sequence[Event] = run.figures["events"]
    produced = sum(event["produced"] for event in accounts)
    open_sums = [event["stream"] for event in accounts if not closes(event)]
    lead = (
        f"The sum of {listed(open_sums)} does not close; the column 'left over' says by how much."
        if open_sums
        else f"{counted(produced, 'event')} were produced, by files and by producers, and each is in exactly one place."
    )
    header = ["stream", "produced", *(f"{'=' if not n else '+'} {place}" for n, place in enumerate(PLACES))]
    header += ["+ quarantined", "left over", "late", "expired"]
    shown = table(header, [_event_row(event) for event in accounts], caption="Events by stream, and where they went")
    return Section("events", "Events", lead, (shown, tag("p", _within_silver(accounts))))


def _within_silver(accounts: Sequence[Event]) -> str:
    late = [f"{view} {count:,}" for event in accounts for view, count in event["expired_by_view"].items() if count]
    by_view = f" Too late for a view, and in none of its values: {', '.join(late)}." if late else ""
    return f"Late and expired events lie within silver: late ones count, expired ones count in no window.{by_view}"


def _event_row(event: Event) -> list[object]:
    left = event["produced"] - accounted(event)
    verdict = tag("span", "0 ✓" if left == 0 else f"{left:+,} ✗", class_="good" if left == 0 else "bad")
    places = [f"{event[place]:,}" for place in PLACES]
    refused = f"{sum(event['quarantined'].values()):,}"
    within = [f"{event[name]:,}" for name in ("late", "expired")]
    return [event["stream"], f"{event['produced']:,}", *places, refused, verdict, *within]


def gates(run: Run) -> Section:
    """What was stopped, why, and how it was repaired; and the rows that were refused one by one."""
    stopped, refused = stops(run.lake), refusals(run.lake, run.pipeline.streams)
    body = [tag("div", *map(_stop, stopped), class_="cards")] if stopped else []
    if refused:
        header = ["stream", "rule", "column", "rows", "for example", "allowed"]
        rows = [_refusal_row(refusal) for refusal in refused]
        body.append(table(header, rows, caption="Rows in quarantine, by rule", words=(0, 1, 2, 4, 5)))
    return Section("gates", "Gates", _gates_lead(stopped, refused), tuple(body))


def _gates_lead(stopped: Sequence[Stop], refused: Sequence[Refusal]) -> str:
    if not stopped and not refused:
        return "No batch was stopped and no row was refused."
    held = sum(stop.published is None for stop in stopped)
    became = f"; {len(stopped) - held:,} became history after a repair, {held:,} held" if stopped else ""
    batches = f"{counted(len(stopped), 'batch', 'batches')} stopped at the gates{became}"
    return f"{batches}. {counted(sum(refusal.rows for refusal in refused), 'row')} refused one by one."


def _stop(stop: Stop) -> Markup:
    heading = tag("h3", f"{stop.batch} · {stop.stream}")
    when = tag("p", f"{counted(stop.rows, 'row')} stopped at {minute(stop.at)}", class_="quiet")
    return tag("article", heading, when, tag("ul", *(tag("li", why) for why in stop.reasons)), _repair(stop))


def _repair(stop: Stop) -> Markup:
    if stop.published is None:
        return tag("p", tag("span", "Held", class_="warn"), ": none of its rows is history.")
    renamed = stop.renamed.items()
    repairs = [joined([tag("code", column), " is read from ", tag("code", name)]) for column, name in renamed]
    how = joined([": ", *_between(repairs)]) if repairs else Markup("")
    did = "Repaired" if repairs else "Let in"
    return tag("p", tag("span", f"{did} at {minute(stop.published)}", class_="good"), how, ".")


def _between(parts: Sequence[Markup]) -> list[object]:
    return [piece for place, part in enumerate(parts) for piece in ((", ", part) if place else (part,))]


def _refusal_row(refusal: Refusal) -> list[object]:
    example = tag("code", refusal.example) if refusal.example else NONE
    return [refusal.stream, refusal.rule, refusal.column or NONE, f"{refusal.rows:,}", example, refusal.allowed]
