"""Mistakes in which events count: revisions, copies, expiry, what is known when, and what labels say by then."""

from __future__ import annotations

from tests.mutants.copies import Mutant

HISTORY = "sluice/engine/test_history.py::test_"
ARRANGE = "sluice/engine/test_arrange.py::test_"
EVENTS = "golden/test_events.py::test_"
LABELS = "golden/test_labels.py::test_silence_means_"

MUTANTS = [
    Mutant(
        "an event expires a microsecond too soon",
        "engine/history",
        "< watermark - view.horizon)",
        "<= watermark - view.horizon)",
        f"{HISTORY}an_event_is_late_for_a_view_when_it_is_past_its_horizon_behind_the_watermark",
    ),
    Mutant(
        "an event never expires",
        "engine/history",
        'late = measured & (integers(events.column("_time"))[0]',
        'late = ~measured & (integers(events.column("_time"))[0]',
        f"{HISTORY}an_event_is_late_for_a_view_when_it_is_past_its_horizon_behind_the_watermark",
    ),
    Mutant(
        "the hash decides before the revision",
        "engine/history",
        '[0], digest, integers(events.column("_revision"))[0]',
        '[0], integers(events.column("_revision"))[0], digest',
        f"{HISTORY}the_greatest_revision_stands",
    ),
    Mutant(
        "hashes compare as signed numbers",
        "engine/history",
        "[0].view(np.uint64)",
        "[0]",
        f"{HISTORY}a_conflict_is_settled_by_the_greatest_unsigned_hash_and_not_by_arrival",
    ),
    Mutant(
        "a delete leaves the event",
        "engine/history",
        "return events if put.all() else events.filter(pa.array(put))",
        "return events",
        f"{HISTORY}a_delete_removes_and_a_higher_revision_puts_back",
    ),
    Mutant(
        "of copies the last known stands",
        "engine/history",
        'return -integers(events.column("_known"))[0], -watermark',
        'return integers(events.column("_known"))[0], -watermark',
        f"{HISTORY}of_copies_the_first_in_its_partition_stands_then_the_first_known",
    ),
    Mutant(
        "of copies the last in its partition stands",
        "engine/history",
        "[0], -watermark, ~measured",
        "[0], watermark, ~measured",
        f"{EVENTS}a_label_that_was_told_twice_is_known_since_the_first_in_its_partition",
    ),
    Mutant(
        "a copy from a file is worse than one from a topic",
        "engine/store",
        "self.watermark is not None, self.watermark or 0",
        "self.watermark is None, self.watermark or 0",
        f"{EVENTS}of_copies_the_one_from_a_file_stands_else_the_first_in_its_partition",
    ),
    Mutant(
        "a better copy is not taken",
        "engine/fold",
        "fact.arrival < held.arrival",
        "fact.arrival > held.arrival",
        f"{EVENTS}of_copies_the_one_from_a_file_stands_else_the_first_in_its_partition",
    ),
    Mutant(
        "a parent may be a microsecond too far",
        "engine/history",
        'integers(children.column("_time"))[0][related]) <= kept',
        'integers(children.column("_time"))[0][related]) <= kept + 1',
        f"{HISTORY}a_parent_older_than_kept_no_longer_counts",
    ),
    Mutant(
        "a label may be a microsecond too far",
        "engine/history",
        "self._present & (apart <= kept)",
        "self._present & (apart < kept)",
        f"{HISTORY}what_was_told_longer_than_kept_before_its_event_does_not_count_either",
    ),
    Mutant(
        "a label that was told alone expires too soon",
        "engine/history",
        "(self._parent_times < watermark - self._horizon)",
        "(self._parent_times <= watermark - self._horizon)",
        f"{HISTORY}a_label_told_too_late_for_its_event_leaves_what_stood",
    ),
    Mutant(
        "a label that was told twice expires too soon",
        "engine/history",
        "time >= item.watermark - self._horizon",
        "time > item.watermark - self._horizon",
        f"{EVENTS}a_correction_of_a_label_expires_a_microsecond_behind_the_horizon",
    ),
    Mutant(
        "a corrected label does not stand",
        "engine/history",
        "heard.sort(key=lambda item: item.rank)",
        "heard.sort(key=lambda item: item.rank, reverse=True)",
        f"{LABELS}no",
    ),
    Mutant(
        "of two that speak the greater id counts",
        "engine/history",
        "key=lambda item: (item.time, item.id), default=None",
        "key=lambda item: (item.id, item.time), default=None",
        f"{LABELS}no",
    ),
    Mutant(
        "a label that changes adds up",
        "engine/history",
        "after[0] - before[0], after[1] - before[1]",
        "after[0] - before[0], after[1]",
        f"{LABELS}no",
    ),
    Mutant(
        "what silence means is not taken away again",
        "engine/history",
        "[0] - (absent or 0)",
        "[0]",
        f"{LABELS}yes",
    ),
    Mutant(
        "silence is known at once",
        "engine/history",
        "times + int(label.after), ones",
        "times, ones",
        f"{HISTORY}a_label_row_stands_for_absent_and_another_for_what_changes_when_it_is_told",
    ),
    Mutant(
        "silence settles a microsecond too late",
        "engine/labels",
        "times + int(label.after) <= at",
        "times + int(label.after) < at",
        "sluice/engine/test_labels.py::test_nobody_told_is_absent_only_once_the_declared_time_has_passed",
    ),
    Mutant(
        "a label is known a microsecond too late",
        "engine/labels",
        'pc.less_equal(told.column("_known"), at)',
        'pc.less(told.column("_known"), at)',
        "sluice/engine/test_labels.py::test_a_label_is_not_known_before_it_was_told",
    ),
    Mutant(
        "a label is known a microsecond too late when it is computed",
        "engine/arrange",
        "seen = since <= now < until",
        "seen = since < now < until",
        f"{LABELS}no",
    ),
    Mutant(
        "a label is known before it was told when it is computed",
        "engine/arrange",
        "(known.since > seen)",
        "(known.since > seen + 2**60)",
        f"{LABELS}no",
    ),
    Mutant(
        "a label of the near edge is left out",
        "engine/arrange",
        "row.time[high] <= near:",
        "row.time[high] < near:",
        f"{EVENTS}a_label_that_is_known_just_now_keeps_to_the_edges_of_slots",
    ),
    Mutant(
        "a label of the far edge counts",
        "engine/amend",
        "amended.age[shown] < amended.windows[window]",
        "amended.age[shown] <= amended.windows[window]",
        f"{ARRANGE}what_few_know_stands_beside_and_is_shown_to_them_as_far_as_their_windows_reach",
    ),
    Mutant(
        "a label is known a microsecond too late of a cold entity",
        "engine/cold",
        "matrix[:, plan.known] <= np.repeat(times, np.diff(bounds))",
        "matrix[:, plan.known] < np.repeat(times, np.diff(bounds))",
        f"{LABELS}no",
    ),
    Mutant(
        "a label is known a microsecond too late of a hot entity",
        "engine/hot",
        "matrix[:, known_word(view)] <= moment.time",
        "matrix[:, known_word(view)] < moment.time",
        f"{LABELS}no",
    ),
    Mutant(
        "a slot with a label that is not known yet is taken whole",
        "engine/hot",
        "(index.sizes <= few(view)) | (index.knowns > time)",
        "(index.sizes <= few(view))",
        f"{LABELS}no",
    ),
]
