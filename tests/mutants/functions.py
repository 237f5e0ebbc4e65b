"""Mistakes in what functions come to: decays, percentiles, kinds, ends, extremes, deviations, divisions, hashes."""

from __future__ import annotations

from tests.mutants.copies import Mutant

LIMITS = "golden/test_limits.py::test_"
FORGET = "golden/test_forgetting.py::test_"
KINDS = "golden/test_sketches.py::test_"
PICKS = "golden/test_picks.py::test_"
DECAYS = "golden/test_decays.py::test_decayed_"
BYTES = "golden/test_bytes.py::test_"
FINALISE = "sluice/engine/test_finalise.py::test_"

MUTANTS = [
    Mutant(
        "a decay halves once too often",
        "engine/decay",
        "amounts[slot] >> ago",
        "amounts[slot] >> (ago + 1)",
        f"{DECAYS}sum",
    ),
    Mutant(
        "weights halve once too often",
        "engine/decay",
        "ones[slot] >> ago",
        "ones[slot] >> (ago + 1)",
        f"{DECAYS}mean",
    ),
    Mutant(
        "a decay halves once too often of a hot entity",
        "engine/hot",
        "ago = now - found.keys",
        "ago = now - found.keys + 1",
        f"{DECAYS}count",
    ),
    Mutant(
        "a decay looks half as far into its table",
        "engine/decay",
        "table[(time - mark * half) * steps // half]",
        "table[(time - mark * half) * steps // half // 2]",
        f"{DECAYS}count",
    ),
    Mutant(
        "the table of decay is cut off",
        "engine/decay",
        "(power + (1 << (255 - _WEIGHT_BITS)))",
        "power",
        f"{BYTES}the_table_of_decay_is_that_of_its_definition_for_ever",
    ),
    Mutant(
        "a decayed mean is over the request's weight",
        "engine/decay",
        "number[r, place] = one if is_mean else weight",
        "number[r, place] = weight",
        f"{DECAYS}mean",
    ),
    Mutant(
        "the rank of a percentile is cut off",
        "engine/sketches",
        "(over * size + under - 1) // under - 1]",
        "max(over * size // under, 1) - 1]",
        f"{KINDS}percentile",
    ),
    Mutant(
        "the rank of a percentile is cut off of a hot entity",
        "engine/hot",
        "rank = (over * count + under - 1) // under",
        "rank = over * count // under",
        f"{KINDS}percentile",
    ),
    Mutant(
        "one value too few is kept",
        "engine/sketches",
        "found if size <= exact else",
        "found if size < exact else",
        f"{LIMITS}a_percentile_is_exact_up_to_as_many_values_as_are_kept",
    ),
    Mutant(
        "one value too few is kept of a hot entity",
        "engine/states",
        "found.amounts.sum() > feature.parameters[3]",
        "found.amounts.sum() >= feature.parameters[3]",
        f"{LIMITS}a_percentile_is_exact_up_to_as_many_values_as_are_kept",
    ),
    Mutant(
        "a bucket is told by its least value",
        "engine/sketches",
        "+ ((1 << rest) >> 1)",
        "+ 0",
        f"{KINDS}percentile_of_more_values_than_are_kept",
    ),
    Mutant(
        "a bucket is one digit too wide",
        "engine/sketches",
        "while size >> (rest + bits + 1):",
        "while size >> (rest + bits):",
        f"{BYTES}a_bucket_begins_and_ends_where_it_always_has",
    ),
    Mutant(
        "an estimate counts one hash too many",
        "engine/sketches",
        "(most - 1) << 53",
        "most << 53",
        f"{KINDS}distinct_of_more_kinds_than_are_kept",
    ),
    Mutant(
        "an estimate begins one kind too soon",
        "engine/sketches",
        "if size <= most:\n            return 1, size",
        "if size < most:\n            return 1, size",
        f"{LIMITS}kinds_are_counted_up_to_as_many_as_are_kept",
    ),
    Mutant(
        "an estimate begins one kind too soon of a hot entity",
        "engine/hot",
        "(1, size) if size <= most",
        "(1, size) if size < most",
        f"{LIMITS}kinds_are_counted_up_to_as_many_as_are_kept",
    ),
    Mutant(
        "nobody notices that there are more kinds of a hot entity",
        "engine/states",
        "most = feature.parameters[0] + 1",
        "most = feature.parameters[0]",
        f"{KINDS}distinct_of_more_kinds_than_are_kept",
    ),
    Mutant(
        "of equals the greatest code is the top",
        "engine/sketches",
        "counts[i] > counts[best]",
        "counts[i] >= counts[best]",
        f"{KINDS}top",
    ),
    Mutant(
        "of equals the greatest code is the top of a hot entity",
        "engine/hot",
        "best = int(found.amounts[:, 0].argmax())",
        "best = size - 1 - int(found.amounts[::-1, 0].argmax())",
        f"{KINDS}top",
    ),
    Mutant(
        "one kind too few is a top",
        "engine/sketches",
        "if size == 0 or size > most:",
        "if size == 0 or size >= most:",
        f"{KINDS}top",
    ),
    Mutant(
        "one kind too few is a top of a hot entity",
        "engine/hot",
        "if size == 0 or size > most:",
        "if size == 0 or size >= most:",
        f"{KINDS}top",
    ),
    Mutant(
        "a share is of the kinds",
        "engine/sketches",
        "else (whole, counts[best])",
        "else (size, counts[best])",
        f"{KINDS}top_share",
    ),
    Mutant(
        "a value is forgotten too soon",
        "engine/loops",
        "queue[head] < begin:",
        "queue[head] <= begin:",
        f"{PICKS}max",
    ),
    Mutant("the least value is the greatest", "engine/plan", '"min": -1', '"min": 1', f"{PICKS}min"),
    Mutant(
        "the first is the last",
        "engine/loops",
        "near[end] if side > 0 else near[begin]",
        "near[begin] if side > 0 else near[end]",
        f"{PICKS}first",
    ),
    Mutant(
        "the first of what is forgotten is the last",
        "engine/states",
        'seen[-1] if feature.function in {"last", "since_last"} else seen[0]',
        "seen[-1]",
        f"{FORGET}a_lifetime_keeps_what_was_forgotten_twice",
    ),
    Mutant(
        "a deviation is of a sample",
        "engine/finalise",
        "np.float64(count[i] * unit)",
        "np.float64(max(count[i] - 1, 1) * unit)",
        "golden/test_sums.py::test_std",
    ),
    Mutant(
        "a root is cut off",
        "engine/finalise",
        "Fraction(2 * root + sticky, 2 << shift)",
        "Fraction(2 * root, 2 << shift)",
        f"{LIMITS}a_root_between_two_floats_goes_to_the_nearest",
    ),
    Mutant(
        "a deviation is left where it is near",
        "engine/finalise",
        "near + rest * (1 + 2.0**-40), near + rest * (1 - 2.0**-40)",
        "near, near",
        f"{LIMITS}a_deviation_between_two_floats_goes_to_the_nearest",
    ),
    Mutant(
        "large sums are rounded before they are divided",
        "engine/finalise",
        "large = (np.abs(numerator) >= _EXACT) | (denominator >= _EXACT)",
        "large = (np.abs(numerator) < 0) | (denominator < 0)",
        f"{FINALISE}beyond_two_to_the_53_one_division_of_floats_would_round_twice",
    ),
    Mutant(
        "a sum may leave 64 bits",
        "engine/finalise",
        "refused |= count > most[f]",
        "refused |= count > most[f] + 1",
        f"{FINALISE}more_values_than_an_exact_sum_can_hold_are_refused_by_name",
    ),
    Mutant(
        "a decimal is in its steps",
        "engine/finalise",
        "10**declared.scale if valued",
        "1 if valued",
        "golden/test_sums.py::test_sum",
    ),
    Mutant(
        "a text has another hash",
        "engine/encode",
        "xxhash.xxh3_64_intdigest(text.encode())",
        "xxhash.xxh64_intdigest(text.encode())",
        f"{BYTES}the_hash_of_a_text_never_changes",
    ),
    Mutant(
        "a null hashes like zero",
        "engine/encode",
        "word[missing[block]] = 1",
        "word[missing[block]] += 0",
        f"{BYTES}the_hash_of_a_row_never_changes",
    ),
]
