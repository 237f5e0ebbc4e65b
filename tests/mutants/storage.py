"""Mistakes in what a store keeps: leaves, states, the difference of a batch, what is forgotten, positions."""

from __future__ import annotations

from tests.mutants.copies import Mutant

LIMITS = "golden/test_limits.py::test_"
FORGET = "golden/test_forgetting.py::test_"

MUTANTS = [
    Mutant(
        "as many rows as fit are too many",
        "engine/tiles",
        "if end - begin > view.leaf and level",
        "if end - begin >= view.leaf and level",
        f"{LIMITS}as_many_rows_as_a_leaf_holds_stay_together_and_one_more_is_divided",
    ),
    Mutant(
        "an entity is hot with as many rows as fit",
        "engine/tiles",
        "if len(rows.matrix) <= view.leaf:",
        "if len(rows.matrix) < view.leaf:",
        f"{LIMITS}as_many_rows_as_a_leaf_holds_stay_together_and_one_more_is_divided",
    ),
    Mutant(
        "an entity stays hot with as many rows as fit",
        "engine/entities",
        "if left <= self._view.leaf:",
        "if left < self._view.leaf:",
        f"{LIMITS}an_entity_is_cold_again_when_its_rows_fit",
    ),
    Mutant(
        "a slot stays divided with as many rows as fit",
        "engine/entities",
        "if count <= self._view.leaf or last:",
        "if count < self._view.leaf or last:",
        f"{LIMITS}a_slot_is_whole_again_when_its_rows_fit",
    ),
    Mutant(
        "a leaf that is gone stays",
        "engine/entities",
        "{start: None for start in before if start not in kept}",
        "{start: None for start in kept if start not in before}",
        f"{LIMITS}a_slot_is_whole_again_when_its_rows_fit",
    ),
    Mutant(
        "what leaves a leaf stays in it",
        "engine/changes",
        "            left[row] -= 1\n        else:\n            kept.append(place)",
        "            left[row] -= 1\n            kept.append(place)\n        else:\n            kept.append(place)",
        f"{LIMITS}a_slot_is_whole_again_when_its_rows_fit",
    ),
    Mutant(
        "what leaves a cold entity stays in it",
        "engine/merge",
        "                i += 1\n                k += 1\n                continue",
        "                k += 1\n                continue",
        f"{LIMITS}an_event_that_is_taken_back_leaves_its_entity",
    ),
    Mutant(
        "the sum of a state is taken from one part",
        "engine/states",
        "return int(number.sum()), int(total.sum())",
        "return int(number.sum()), int(total.max())",
        "golden/test_sums.py::test_sum",
    ),
    Mutant(
        "the greatest of a state is the least",
        "engine/states",
        'seen.max() if feature.function == "max" else seen.min()',
        'seen.min() if feature.function == "max" else seen.max()',
        "golden/test_picks.py::test_max",
    ),
    Mutant(
        "squares of a state are left out",
        "engine/hot",
        "found.high[0] = (high * held[:, roots]).sum(axis=0)\n    found.low[0] = (low * held[:, roots]).sum(axis=0)",
        "found.high[0] = (high * held[:, roots]).sum(axis=0)\n    found.low[0] = (low * held[:, roots]).max(axis=0)",
        "golden/test_sums.py::test_std",
    ),
    Mutant(
        "exact values and buckets are put together as they are",
        "engine/states",
        "[_bucketed(feature, one) if one.exact else one for one in tallies]",
        "[one for one in tallies]",
        f"{LIMITS}values_become_buckets_when_others_are",
    ),
    Mutant(
        "equal keys of two parts stand beside each other",
        "engine/states",
        "return shortened(feature, _added(keys, amounts, exact=tallies[0].exact))",
        "return shortened(feature, Tally(keys, amounts, tallies[0].exact))",
        "golden/test_sketches.py::test_distinct",
    ),
    Mutant(
        "what is older than 64 half-lives is not counted",
        "engine/states",
        "    amounts[0, COUNT] += found.amounts[:old, COUNT].sum()\n",
        "",
        f"{LIMITS}what_is_older_than_64_half_lives_is_still_counted",
    ),
    Mutant(
        "rows are forgotten after one horizon",
        "engine/forget",
        "watermark - 2 * view.horizon",
        "watermark - view.horizon",
        f"{FORGET}rows_stay_for_two_horizons_behind_the_watermark",
    ),
    Mutant(
        "rows are forgotten at the cut",
        "engine/forget",
        "np.searchsorted(times, cut))",
        "np.searchsorted(times, cut, side='right'))",
        f"{FORGET}rows_stay_for_two_horizons_behind_the_watermark",
    ),
    Mutant(
        "a leaf is forgotten that has not ended",
        "engine/forget",
        "leaf.end <= cut and",
        "leaf.start <= cut and",
        f"{FORGET}leaves_stay_until_they_have_ended",
    ),
    Mutant(
        "facts are forgotten after one horizon",
        "engine/forget",
        "forget=watermark - 2 * keep(pipeline)",
        "forget=watermark - keep(pipeline)",
        "sluice/engine/test_fold.py::test_facts_go_once_nothing_that_still_counts_can_need_them",
    ),
    Mutant(
        "what is forgotten is missed by a lifetime",
        "engine/forget",
        "if not states or not lifelong(view):",
        "if not states or lifelong(view):",
        f"{FORGET}a_lifetime_keeps_what_is_forgotten",
    ),
    Mutant(
        "a base is forgotten by the next one",
        "engine/forget",
        "base = _based(view, [*held, state(",
        "base = _based(view, [state(",
        f"{FORGET}a_lifetime_keeps_what_was_forgotten_twice",
    ),
    Mutant(
        "a label that is known later becomes part of a base",
        "engine/forget",
        "[:old, known_word(view)] > cut)",
        "[:old, known_word(view)] > cut + 2**60)",
        f"{FORGET}a_label_that_is_known_later_is_no_part_of_a_base",
    ),
    Mutant(
        "an offset that is not expected is taken",
        "engine/store",
        "            if found != expected:\n                raise LostPartition",
        "            if found == -1:\n                raise LostPartition",
        "sluice/engine/test_store.py::test_a_partition_that_stands_elsewhere_is_lost_and_nothing_of_the_batch_is_stored",
    ),
    Mutant(
        "an offset that is not expected is taken by SQLite",
        "engine/sqlite",
        "if found != expected:",
        "if found == -1:",
        "sluice/engine/test_store.py::test_a_partition_that_stands_elsewhere_is_lost_and_nothing_of_the_batch_is_stored",
    ),
    Mutant(
        "a commit that fails leaves its transaction open",
        "engine/sqlite",
        "if self._connection.in_transaction:",
        "if False:",
        "sluice/engine/test_crashes.py::test_a_commit_that_fails_leaves_a_store_that_goes_on",
    ),
]
