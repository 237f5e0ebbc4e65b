"""What is frozen because stored values are made of it: hashes, buckets, the table of decay, heads and chunks.

A change here makes every stored tile and every stored vector mean something else: it needs a new format or definition.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal as Exact
from typing import Any

import pyarrow as pa
import pytest

from sluice import Windows, count, decayed_sum, distinct, last, mean, percentile, std
from sluice.declare.durations import MINUTE
from sluice.engine.changes import table_rows
from sluice.engine.decay import weights
from sluice.engine.encode import row_hashes, text_hash
from sluice.engine.forget import shortened
from sluice.engine.history import rows
from sluice.engine.sketches import bucket, middle_of, mixed
from sluice.engine.tiles import Laid, in_order
from tests.golden.sales import SALES, sale
from tests.golden.test_rules import VISITS
from tests.sluice.engine.oracle import Version, finalised, weight_table
from tests.sluice.engine.worlds import START, table

pytestmark = pytest.mark.unit


def test_the_table_of_decay_is_that_of_its_definition_for_ever() -> None:
    table_ = weights()
    assert hashlib.sha256(table_.astype("<i8").tobytes()).hexdigest() == (
        "180b1e13253bd5802b1ab73532f18184a8d9c90135d8fb2688b7840cb1e15465"
    )
    assert table_.tolist() == weight_table()
    assert table_[[0, 1, 2, 1024, 2048, 4095]].tolist() == [65536, 65547, 65558, 77936, 92682, 131050]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (0, -9223372036854775808),
        (1, 3771409529372330796),
        (-1, -1966540269440311519),
        (2, -4990223543480974361),
        (2**53 - 1, 4959501240367986149),
        (1 - 2**53, 4129383384871692234),
        (2**63 - 1, 3150617518162374122),
        (-(2**63), 1114649775525962899),
    ],
)
def test_the_mix_of_a_word_never_changes(word: int, expected: int) -> None:
    assert mixed(word) == expected == finalised(word % 2**64) - 2**63


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 3244421341483603138),
        ("a", -1817709641818812897),
        ("France", -8654727953479043513),
        ("é", -606849052844159821),
        ("\U00010000", -3058912712684260828),
        ("x" * 300, -6498214460798782124),
    ],
    ids=["empty", "one byte", "a word", "two bytes", "four bytes", "long"],
)
def test_the_hash_of_a_text_never_changes(text: str, expected: int) -> None:
    assert text_hash(text) == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([pa.array([0], pa.int64())], [8777449547987942575]),
        ([pa.array([None], pa.int64())], [-1874130600990937387]),
        ([pa.array([""])], [6710435839984866642]),
        (
            [
                pa.array([1, None, -(2**63)], pa.int64()),
                pa.array([Exact("1.50"), None, Exact("-0.01")], pa.decimal128(18, 2)),
                pa.array(["", None, "é"]),
            ],
            [8808042495941222538, 7020538718157471064, 2437340551045507129],
        ),
    ],
    ids=["zero", "null", "empty text", "a number, a decimal and a text"],
)
def test_the_hash_of_a_row_never_changes(columns: list[pa.Array], expected: list[int]) -> None:
    assert row_hashes(columns).tolist() == expected


@pytest.mark.parametrize(
    ("bits", "value", "place", "middle"),
    [
        (1, 0, 0, 0),
        (1, 3, 3, 3),
        (1, 4, 4, 5),
        (1, 5, 4, 5),
        (1, 7, 5, 7),
        (1, 8, 6, 10),
        (1, 11, 6, 10),
        (1, 12, 7, 14),
        (1, -4, -4, -5),
        (6, 127, 127, 127),
        (6, 128, 128, 129),
        (6, 129, 128, 129),
        (6, 255, 191, 255),
        (6, 256, 192, 258),
        (6, -256, -192, -258),
        (6, 2**53 - 1, 3071, 8972014882652160),
        (6, 1 - 2**53, -3071, -8972014882652160),
        (9, 1023, 1023, 1023),
        (9, 1024, 1024, 1025),
        (9, 2047, 1535, 2047),
        (9, 2048, 1536, 2050),
    ],
)
def test_a_bucket_begins_and_ends_where_it_always_has(bits: int, value: int, place: int, middle: int) -> None:
    assert (bucket(value, bits), middle_of(place, bits)) == (place, middle)


def laid(view: Windows, events: Sequence[Version], *, cut: int) -> Laid:
    found = rows(view, {view.stream.name: table(view.stream, events)}, kept=0)
    return shortened(view, in_order(table_rows(view, found)), cut)


def shown(body: bytes | None) -> list[str]:
    """Words of eight bytes as hexadecimal digits, the last one perhaps shorter."""
    return [] if body is None else [body[at : at + 8].hex() for at in range(0, len(body), 8)]


def stall(leaf: int, features: Any) -> Windows:
    return Windows("stall", of="stall", over=SALES, leaf=leaf, features=features)


SOLD = [sale(1, START, price=250), sale(2, START + MINUTE, price=None), sale(-3, START + MINUTE + 1, price=-100)]
MINUTE_ZERO, MINUTE_ONE, AFTER = "0080e4e86e100600", "000778ec6e100600", "010778ec6e100600"
"""The words of START, of a minute later, and of a microsecond after that."""
ROW = {
    1: [MINUTE_ZERO, "0100000000000000", "0100000000000040", "fa00000000000000"],  # time, id, flags, a price of 250
    2: [MINUTE_ONE, "0200000000000000", "0000000000000040", "0000000000000000"],  # no flag, no price
    -3: [AFTER, "fdffffffffffffff", "0100000000000040", "9cffffffffffffff"],  # -3, a price of -100
}
ONE, NOTHING = "0100000000000000", "0000000000000000"


def test_the_head_of_a_cold_entity_with_a_base() -> None:
    view = stall(9, [count("1min"), last("price", "lifetime"), std("price", "lifetime")])
    found = laid(view, SOLD, cut=START + MINUTE)
    assert found.chunks == {}
    assert shown(found.head) == [
        *[ONE, "0800000000000000", "0200000000000000"],  # cold, 8 words of base, 2 rows
        *[ONE, ONE, ONE],  # forgotten: how many values of each feature
        *[ONE, "fa00000000000000", "fa00000000000000"],  # 1, 250, 250
        *[NOTHING, "24f4000000000000"],  # 250² = 62,500 above 32 bits and below
        *ROW[2],
        *ROW[-3],
    ]


def test_the_head_and_the_chunks_of_a_hot_entity() -> None:
    features = [percentile("price", 0.5, "1min", exact=1), distinct("price", "1min")]
    found = laid(stall(1, [*features, decayed_sum("price", half_life="1min")]), SOLD, cut=START)
    assert shown(found.head) == [
        *["0200000000000000", NOTHING, "0200000000000000"],  # hot, no base, 2 leaves
        *[MINUTE_ZERO, MINUTE_ONE],  # where they begin
        *["0087930300000000", "0087930300000000"],  # a minute long
        *[ONE, "0200000000000000"],  # 1 row and 2
        *["0000000000000080", "0000000000000080"],  # known always
        *["1100000000000000", "2200000000000000"],  # their tallies end after 17 words and after 34
        # no sums; the tallies of the first one
        *[ONE, ONE, ONE, "fa00000000000000", ONE],  # percentile: 1 key, 1 column, exact; 250 once
        *[ONE, ONE, ONE, "5c1fa31910bd759b", ONE],  # distinct: the mix of 250 once
        *[ONE, "0300000000000000", ONE, "8017b20100000000"],  # decay: 1 key, 3 columns; the half-life since the epoch
        *["0000fa0000000000", "0000010000000000", ONE],  # 250 * 2^16, 2^16, and one value
        # of the second one, in which one row has a price
        *[ONE, ONE, ONE, "9cffffffffffffff", ONE],
        *[ONE, ONE, ONE, "98665a6dcd3e0199", ONE],
        *[ONE, "0300000000000000", ONE, "8117b20100000000"],
        *["00009cffffffffff", "0000010000000000", ONE],
    ]
    assert {start: shown(body) for start, body in found.chunks.items()} == {
        START: [ONE, *ROW[1]],
        START + MINUTE: ["0200000000000000", *ROW[2], *ROW[-3]],
    }


def test_a_head_keeps_one_sum_for_all_that_is_made_of_it() -> None:
    features = [count("1min"), std("price", "1min", "3min"), mean("price", "3min"), last("price", "3min")]
    found = laid(stall(1, features), SOLD[:2], cut=START)
    assert shown(found.head) == [
        *["0200000000000000", NOTHING, "0200000000000000"],
        *[MINUTE_ZERO, MINUTE_ONE],
        *["0087930300000000", "0087930300000000"],
        *[ONE, ONE],
        *["0000000000000080", "0000000000000080"],
        *[NOTHING, NOTHING],
        # numbers of counts, prices and last prices, their totals, and 250² = 62,500 above 32 bits and below
        *[ONE, ONE, ONE, ONE, "fa00000000000000", "fa00000000000000", NOTHING, "24f4000000000000"],
        *[ONE, NOTHING, NOTHING, ONE, NOTHING, NOTHING, NOTHING, NOTHING],
    ]


def test_a_chunk_with_ids_that_are_texts() -> None:
    view = Windows("stall", of="stall", over=VISITS, leaf=1, features=[count("1min")])
    texts = ("é", "b", "longer than a word")
    seen = [Version("visits", text, START, {"stall": 1}, hash=1, known=START) for text in texts]
    assert (
        laid(view, seen, cut=START).chunks[START]
        == bytes.fromhex(
            "0300000000000000"  # 3 rows: time, the first bytes of the id as a number in the order of texts, flags
            "0080e4e86e100600 00000000000000e2 0000000000000040"
            "0080e4e86e100600 74207265676e6fec 0000000000000040"
            "0080e4e86e100600 000000000000a943 0000000000000040"
        )
        + '["b","longer than a word","é"]'.encode()
    )
