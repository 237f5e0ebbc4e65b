"""Where files end and a topic begins: runs of events, in any parts, and what is missing between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.lake.seam import Met, Runs, Seam, Steps, _joined, _runs
from tests.properties import examples

pytestmark = pytest.mark.unit

MINUTE = 60_000_000
CUT = 1_000 * MINUTE


def seam(*files: int, since: int | None = 995, silence: int = 10, lost: tuple[str, ...] = ()) -> Seam:
    """A seam of minutes; files end at `since` before the cut, and have these events from there on."""
    asked = Seam(CUT, silence * MINUTE, None if since is None else since * MINUTE, Steps((), None), lost)
    return replace(asked, known=asked.steps(events("file:0", *files)))


def events(source: str, *minutes: int) -> pa.Table:
    times = pa.array([minute * MINUTE for minute in minutes], pa.int64())
    return pa.table({"_time": times, "_source": pa.array([source] * len(minutes), pa.string())})


def met(asked: Seam, *minutes: int) -> Met:
    """What a batch of the topic with events at these minutes makes of it."""
    return asked.met([asked.steps(events("kafka:t", *minutes))])


def test_a_topic_that_goes_on_where_files_end_meets_them() -> None:
    assert met(seam(995), 1_004, 1_010) == Met(CUT, 10 * MINUTE, [], closed=True)


@pytest.mark.parametrize(("first", "closed"), [(1_005, True), (1_006, False)])
def test_a_silence_may_be_as_long_as_is_allowed_and_no_longer(first: int, closed: bool) -> None:
    assert met(seam(995), first).closed is closed


def test_a_longer_silence_before_the_cut_is_told_with_both_its_ends() -> None:
    found = met(seam(995), 1_020)
    told = "nothing is known to have happened from 1970-01-01T16:35:00Z to 1970-01-01T17:00:00Z"
    assert found.lost == [f"{told}; up to 10min of silence are allowed"]
    assert not found.closed


def test_a_topic_that_overlaps_bridges_files_that_end_early() -> None:
    early = seam(950, since=950)
    assert met(early, 955, 965, 974, 984, 993, 1_001).closed
    assert met(early, 955, 965, 993, 1_001).lost[0].startswith("nothing is known to have happened from 1970-")


def test_a_single_late_event_of_the_topic_does_not_hide_a_gap() -> None:
    assert met(seam(950, since=950), 975, 1_001).lost


def test_silences_after_the_cut_are_none_of_the_seams_business() -> None:
    assert met(seam(995), 1_003, 1_500).closed
    assert met(seam(995, 1_004, 1_500), 1_003).closed


def test_files_that_go_on_after_the_cut_must_reach_the_topic_too() -> None:
    assert met(seam(995, 1_004, 1_014), 1_024, 1_500).closed
    found = met(seam(995, 1_004, 1_014), 1_025)
    assert found.lost[0].startswith("nothing is known to have happened from 1970-01-01T16:54:00Z to 1970-01-01T17:05")


def test_until_the_topic_has_come_to_the_cut_nothing_is_missing_and_nothing_has_met() -> None:
    assert met(seam(900, since=900), 905, 950) == Met(CUT, 10 * MINUTE, [], closed=False)


def test_without_files_there_is_no_history() -> None:
    found = met(seam(since=None), 1_001)
    assert found.lost == ["no file has brought an event from before 1970-01-01T16:40:00Z"]


def test_what_is_gone_of_the_topic_keeps_the_seam_open() -> None:
    found = met(seam(995, lost=("positions 0 to 4 are not there",)), 1_001)
    assert (found.lost, found.closed) == (["positions 0 to 4 are not there"], False)


TIMES = st.lists(st.integers(0, 200), max_size=30)


def by_hand(times: list[int], silence: int) -> Runs:
    """Runs of times, one after the other."""
    found: list[list[int]] = []
    for time in sorted(times):
        if found and time - found[-1][-1] <= silence:
            found[-1].append(time)
        else:
            found.append([time])
    return tuple((run[0], run[-1]) for run in found)


@settings(max_examples=examples(300))
@given(TIMES, st.integers(0, 30), st.integers(0, 40))
def test_runs_are_the_same_in_whatever_parts_their_events_come(times: list[int], cut: int, silence: int) -> None:
    parts = [_runs(np.array(part, np.int64), silence) for part in (times[:cut], times[cut:])]
    assert _joined(parts, silence) == by_hand(times, silence)
