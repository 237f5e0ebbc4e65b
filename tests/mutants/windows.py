"""Mistakes in what a window holds: edges, ties, delays, slots, the request's own event, filters, nobody."""

from __future__ import annotations

from tests.mutants.copies import Mutant

RULES = "golden/test_rules.py::test_"
EDGE = f"{RULES}a_window_is_open_at_its_far_edge_and_closed_at_the_request"
TIE = f"{RULES}at_one_moment_the_smaller_id_comes_first"
LOGIC = f"{RULES}a_filter_knows_true_false_and_unknown"
COUNT = "golden/test_sums.py::test_count"

MUTANTS = [
    Mutant(
        "the far edge is closed",
        "engine/ranges",
        "rows[lows[w], TIME] <= far:",
        "rows[lows[w], TIME] < far:",
        EDGE,
    ),
    Mutant(
        "the near edge is open", "engine/ranges", "rows[high, TIME] <= nears[r]:", "rows[high, TIME] < nears[r]:", EDGE
    ),
    Mutant(
        "the far edge is closed for a cold entity",
        "engine/ranges",
        "if rows[middle, TIME] <= far:",
        "if rows[middle, TIME] < far:",
        EDGE,
    ),
    Mutant(
        "the near edge is open for a cold entity",
        "engine/ranges",
        "seen = rows[middle, TIME] <= nears[r]",
        "seen = rows[middle, TIME] < nears[r]",
        EDGE,
    ),
    Mutant(
        "a slot that begins at the far edge is not cut",
        "engine/hot",
        "(index.starts[:, None] <= fars) & (fars < lasts[:, None])",
        "(index.starts[:, None] < fars) & (fars < lasts[:, None])",
        f"{RULES}a_leaf_that_begins_at_the_far_edge_is_cut",
    ),
    Mutant(
        "a slot with the near edge in it is not cut",
        "engine/hot",
        ".any(axis=1) | (sure < lasts)",
        ".any(axis=1)",
        f"{RULES}a_leaf_with_the_near_edge_in_it_is_cut",
    ),
    Mutant(
        "a slot that ends with the request's moment is not cut",
        "engine/hot",
        "sure = min(near, time - 1)",
        "sure = near",
        f"{RULES}in_the_last_microsecond_of_a_slot_ids_decide_too",
    ),
    Mutant("an event counts itself", "engine/ranges", "rows[high, ID] >= ties[r]:", "rows[high, ID] > ties[r]:", TIE),
    Mutant(
        "a request without id comes first",
        "engine/ranges",
        "== times[r] and not last[r] and rows[high, ID]",
        "== times[r] and rows[high, ID]",
        f"{RULES}a_request_without_id_comes_after_every_other",
    ),
    Mutant(
        "an event counts itself of a cold entity",
        "engine/ranges",
        "seen = rows[middle, ID] < ties[r]",
        "seen = rows[middle, ID] <= ties[r]",
        TIE,
    ),
    Mutant(
        "a request without id comes first of a cold entity",
        "engine/ranges",
        "if seen and rows[middle, TIME] == times[r] and not last[r]:",
        "if seen and rows[middle, TIME] == times[r]:",
        f"{RULES}a_request_without_id_comes_after_every_other",
    ),
    Mutant(
        "an event counts itself of a hot entity",
        "engine/hot",
        "bool(matrix[place, ID] < int(moment.id))",
        "bool(matrix[place, ID] <= int(moment.id))",
        TIE,
    ),
    Mutant(
        "texts that begin alike are taken for equal",
        "engine/cold",
        "[rows.ids[at - begin].encode() < str(moment.id).encode() for at",
        "[rows.ids[at - begin].encode() <= str(moment.id).encode() for at",
        f"{RULES}texts_come_in_the_order_of_their_bytes_also_where_they_begin_alike",
    ),
    Mutant(
        "texts come by their characters",
        "engine/hot",
        "rows.ids[place].encode() < str(moment.id).encode()",
        "rows.ids[place].encode('utf-16-be') < str(moment.id).encode('utf-16-be')",
        f"{RULES}texts_come_in_the_order_of_their_bytes_also_where_they_begin_alike",
    ),
    Mutant(
        "a delay is forgotten",
        "engine/evaluate",
        "near = times - view.lag",
        "near = times + 0",
        f"{RULES}a_delay_moves_both_edges",
    ),
    Mutant(
        "a slot holds its end",
        "engine/evaluate",
        "near // slot * slot - 1",
        "near // slot * slot",
        f"{RULES}slots_are_the_last_whole_ones_that_have_ended",
    ),
    Mutant(
        "the request is not included",
        "engine/loops",
        "number[r, place] += 1\n",
        "number[r, place] += 0\n",
        COUNT,
    ),
    Mutant(
        "the request is left out of a hot entity",
        "engine/hot",
        "for one in (parts.opened, own) if one.number[0, place]]",
        "for one in (parts.opened,) if one.number[0, place]]",
        f"{RULES}a_request_that_is_included_may_be_the_greatest_of_all",
    ),
    Mutant(
        "the request is not among the kinds of a hot entity",
        "engine/hot",
        "[*states, rows, *own]",
        "[*states, rows]",
        "golden/test_sketches.py::test_distinct",
    ),
    Mutant(
        "ids decide nothing where windows do not reach the request",
        "engine/batch",
        "return picks or (view.lag == 0 and view.slot is None)",
        "return view.lag == 0 and view.slot is None",
        f"{RULES}of_events_of_one_moment_the_least_id_is_first_and_the_greatest_last",
    ),
    Mutant(
        "the request is left out of a deviation",
        "engine/loops",
        "high_words[r, place] += above\n                low_words[r, place] += below\n",
        "high_words[r, place] += above\n",
        "golden/test_sums.py::test_std",
    ),
    Mutant(
        "a request of nobody counts itself when it is computed",
        "engine/vectors",
        'np.where(invalid(columns["key"]), 0, flags)',
        'np.where(invalid(columns["key"]), flags, flags)',
        f"{RULES}a_sale_of_nobody_counts_for_nobody_and_a_request_of_nobody_reads_nothing",
    ),
    Mutant(
        "a request of nobody counts itself when it is read",
        "engine/requests",
        "rows[place, FLAGS] = 0",
        "rows[place, FLAGS] += 0",
        f"{RULES}a_sale_of_nobody_counts_for_nobody_and_a_request_of_nobody_reads_nothing",
    ),
    Mutant(
        "and of false and unknown is unknown",
        "engine/conditions",
        "left.false | right.false",
        "left.false & right.false",
        LOGIC,
    ),
    Mutant(
        "or of true and unknown is unknown",
        "engine/conditions",
        "left.true | right.true",
        "left.true & right.true",
        LOGIC,
    ),
    Mutant(
        "or is false where one part is",
        "engine/conditions",
        "left.false & right.false",
        "left.false | right.false",
        LOGIC,
    ),
    Mutant(
        "not unknown is true",
        "engine/conditions",
        "_Truth(inner.false, inner.true)",
        "_Truth(~inner.true, inner.true)",
        LOGIC,
    ),
    Mutant("null is not equal", "engine/conditions", "~found & valid", "~found", LOGIC),
    Mutant("what is not null is null", "engine/conditions", "_Truth(~valid, valid)", "_Truth(~valid, ~valid)", LOGIC),
    Mutant("below is at most", "engine/conditions", "values < constants[0]", "values <= constants[0]", LOGIC),
    Mutant(
        "a filter is not looked at",
        "engine/layout",
        "bits |= 1 << (len(view.value_columns) +",
        "bits |= 0 << (len(view.value_columns) +",
        LOGIC,
    ),
]
