"""Values computed from files to a file: every event's, of a file of one stream and of a folder with several."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import deltalake
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.engine.vectors import vectors
from sluice.engine.versions import settled
from sluice.errors import DataError, UserError
from sluice.lake import slices
from sluice.lake.computing import Computed, compute, request, sliced
from sluice.lake.event_tables import enter_all
from sluice.lake.pieces import Piece
from sluice.lake.workers import Here
from tests.sluice.stream.feeds import feed
from tests.sluice.stream.histories import FILE
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Payments and disputes of a feed as parquet files, those that can be read at all."""
    messages = [message for message in feed(seed=5, size=300) if not message.headers]
    for stream in pipeline.streams:
        rows = [found for one in messages if one.stream == stream.name and (found := readable(one.payload))]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{stream.name}.parquet")
    return tmp_path


def readable(payload: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(row, dict) or any(isinstance(row.get(name), str) for name in ("card", "amount")):
        return None
    return row


def test_every_event_of_a_folder_gets_the_kernels_vector(folder: Path) -> None:
    out = folder / "deep" / "values.parquet"
    done = compute(Here(), request(str(FILE), folder, out, str(folder / "lake")))

    tables = {stream.name: pq.read_table(folder / f"{stream.name}.parquet") for stream in pipeline.streams}
    events = {name: found.events for name, found in enter_all(pipeline, tables).items()}
    scored = settled(events["payments"])
    expected = vectors(pipeline, events, scored)
    written = pq.read_table(out)
    assert written.column_names == ["payment_id", *(place.name for place in pipeline.features)]
    assert written.column("payment_id").to_pylist() == scored.column("_id").to_pylist()
    assert written.drop(["payment_id"]).equals(expected)
    assert done.events == len(written) > 150
    assert done.rows == {name: len(table) for name, table in tables.items()}


def test_refused_rows_are_written_beside_the_values_with_the_reason(folder: Path) -> None:
    payments = pq.read_table(folder / "payments.parquet")
    place = payments.schema.get_field_index("amount")
    amounts = payments.column("amount").to_pylist()
    amounts[7] = 1e9
    pq.write_table(payments.set_column(place, "amount", pa.array(amounts)), folder / "payments.parquet")

    done = compute(Here(), request(str(FILE), folder, folder / "values.parquet", str(folder / "lake")))

    refused = pq.read_table(folder / "values.refused.parquet").to_pylist()
    assert {
        "stream": "payments",
        "row": 7,
        "column": "amount",
        "rule": "range",
        "value": "1000000000.0",
        "allowed": "0 to 10000",
    } in refused
    assert done.refused["payments"]["range amount"] >= 1
    assert done.refused_file == str(folder / "values.refused.parquet")
    assert sum(sum(reasons.values()) for reasons in done.refused.values()) == len(refused)


def test_a_pipeline_of_several_streams_needs_a_folder(folder: Path) -> None:
    with pytest.raises(UserError, match=r"one file is not enough(.|\n)*name a folder with payments.parquet, disputes"):
        request(str(FILE), folder / "payments.parquet", folder / "out.parquet", "lake")
    (folder / "disputes.parquet").unlink()
    with pytest.raises(UserError, match=r"disputes.parquet: there is no such file"):
        request(str(FILE), folder, folder / "out.parquet", "lake")


def test_what_is_no_parquet_file_is_told_and_nothing_is_written(folder: Path) -> None:
    (folder / "payments.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="it is no parquet file"):
        compute(Here(), request(str(FILE), folder, folder / "out.parquet", "lake"))
    assert not (folder / "out.parquet").exists()


def test_what_is_computed_in_slices_is_what_is_computed_at_once(folder: Path) -> None:
    """Events of all sorts: some sent twice, some with two payloads, with disputes in a file of their own."""
    payments = pq.read_table(folder / "payments.parquet")
    dearer = payments.column("amount").to_pylist()[30:90]
    other = payments.slice(30, 60).set_column(
        payments.schema.get_field_index("amount"), "amount", pa.array(dearer[::-1])
    )
    everything = pa.concat_tables([payments, payments.slice(50, 60), other])
    pq.write_table(everything, folder / "payments.parquet", row_group_size=40)
    whole = compute(Here(), request(str(FILE), folder, folder / "whole.parquet", "lake"))

    dealt = compute(Here(), request(str(FILE), folder, folder / "dealt.parquet", "lake"), at_once=0, size=70)

    written = pq.read_table(folder / "dealt.parquet")
    assert written.equals(pq.read_table(folder / "whole.parquet"))
    assert replace(dealt, refused_file=None) == replace(whole, refused_file=None)
    assert min(whole.fates["payments"][fate] for fate in ("conflicts", "copies")) > 0
    refused = [pq.read_table(folder / f"{name}.refused.parquet") for name in ("whole", "dealt")]
    assert refused[0].equals(refused[1])
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_slices_hold_so_many_rows_at_most_whatever_the_row_groups(tmp_path: Path) -> None:
    rows = cards(900)
    pq.write_table(rows.slice(0, 700), tmp_path / "cards.parquet", row_group_size=350)
    asked = request("handbook", tmp_path / "cards.parquet", tmp_path / "out.parquet", "lake")
    assert [(piece.first, piece.rows) for piece in sliced(asked, 250)] == [(0, 175), (175, 175), (350, 175), (525, 175)]
    assert [(piece.first, piece.rows) for piece in sliced(asked, 400)] == [(0, 350), (350, 350)]
    assert [(piece.first, piece.rows) for piece in sliced(asked, 700)] == [(0, 700)]
    ids = [slices.read_slice(piece, ["TRANSACTION_ID"]) for piece in sliced(asked, 99)]
    assert pa.concat_tables(ids).equals(rows.slice(0, 700).select(["TRANSACTION_ID"]))


def test_a_delta_table_with_the_label_inside_is_computed_in_slices_to_a_delta_table(tmp_path: Path) -> None:
    rows = cards(900)
    pq.write_table(rows, tmp_path / "all.parquet")
    for begin in (300, 0, 600):
        deltalake.write_deltalake(tmp_path / "cards", rows.slice(begin, 300), mode="append")
    compute(Here(), request("handbook", tmp_path / "all.parquet", tmp_path / "whole.parquet", "lake"))

    for _ in range(2):
        done = compute(Here(), request("handbook", tmp_path / "cards", tmp_path / "out", "lake"), at_once=0, size=250)

    found = deltalake.DeltaTable(tmp_path / "out").to_pyarrow_table().sort_by("transaction_id")
    assert found.equals(pq.read_table(tmp_path / "whole.parquet"))
    assert done.events == 899
    assert done.refused == {"transactions": {"range amount": 1}}


def test_an_entity_with_more_rows_than_a_task_holds_is_computed_by_spans_of_time(tmp_path: Path) -> None:
    rows = cards(900, customers=1)
    pq.write_table(rows, tmp_path / "cards.parquet", row_group_size=100)
    compute(Here(), request("handbook", tmp_path / "cards.parquet", tmp_path / "whole.parquet", "lake"))
    workers = Counting()

    done = compute(
        workers, request("handbook", tmp_path / "cards.parquet", tmp_path / "cut.parquet", "lake"), at_once=0, size=100
    )

    assert pq.read_table(tmp_path / "cut.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))
    assert done.events == 899
    spans = [piece for piece in workers.work if isinstance(piece, Piece) and piece.number]
    assert [piece.number for piece in spans if piece.view == "customer"] == [1, 2, 3, 4]


CORNER = """
from sluice import Decimal, Integer, Key, Label, Pipeline, Stream, Windows, count, mean, position

sales = Stream(
    "sales", id="sale", time="at", columns={"shop": Key(), "price": Decimal(), "pieces": Integer(max=9, nullable=True)}
)
returned = Label("returned", of=sales, column="RET", known_after="1d")
spend = Windows("spend", of="shop", over=sales, features=[count("7d"), mean("price", "7d")])
basket = Windows("basket", of="shop", over=sales, include_request=True, features=[count("7d"), mean("pieces", "7d")])
pipeline = Pipeline("corner", views=[spend, basket], label=returned)
"""
"""A shop whose rows hold the label."""
MORNING = dt.datetime(2024, 1, 1, 9, tzinfo=dt.UTC)


@pytest.fixture
def corner(tmp_path: Path) -> Path:
    """The declaration of the corner shop, in an empty folder."""
    (tmp_path / "corner.py").write_text(CORNER)
    return tmp_path


def sales(count: int = 4, **columns: Any) -> pa.Table:
    usual = {
        "sale": list(range(count)),
        "at": [MORNING + dt.timedelta(hours=number) for number in range(count)],
        "shop": [7] * count,
        "price": [number + 0.5 for number in range(count)],
        "pieces": [1] * count,
        "RET": [number % 2 for number in range(count)],
    }
    return pa.table({**usual, **columns})


def computed(folder: Path, rows: pa.Table, **sizes: int) -> Computed:
    pq.write_table(rows, folder / "sales.parquet", row_group_size=3)
    asked = request(str(folder / "corner.py"), folder / "sales.parquet", folder / "out.parquet", str(folder / "lake"))
    return compute(Here(), asked, **sizes)


SLICED = {"at_once": 0, "size": 3}
engines = pytest.mark.parametrize("sizes", [{}, SLICED], ids=["at once", "in slices"])


def test_rows_that_are_requests_too_count_the_same_beside_slices_where_they_are_not(corner: Path) -> None:
    """A sale of no shop is a request that is no row: its slice leaves both, the others leave one for both."""
    shops = [7, 8, 7, 8, None, 7, 7, 8, None, 8, 7]
    rows = sales(11, shop=shops, pieces=[2, None, 3, 1, 5, 9, None, 4, 4, 1, 6])
    computed(corner, rows)
    once = pq.read_table(corner / "out.parquet")
    computed(corner, rows, **SLICED)
    assert pq.read_table(corner / "out.parquet") == once
    assert once.column("basket__count_7d").to_pylist() == [1, 1, 2, 2, 0, 3, 4, 3, 0, 4, 5]


@engines
def test_every_row_that_is_read_is_told_once(corner: Path, sizes: dict[str, int]) -> None:
    chance = random.Random(11)
    for _ in range(4):
        count = chance.randrange(1, 30)
        some = [chance.randrange(12) for _ in range(count)] if chance.random() < 0.8 else list(range(count))
        rows = sales(
            count,
            sale=some,
            at=[MORNING] * count,
            price=[chance.choice([1.5, 2.5, -1.0]) for _ in range(count)],
            RET=[chance.choice([0, 1, None, 7]) for _ in range(count)],
            _revision=[chance.choice([None, 0, 1, -1]) for _ in range(count)],
            _op=[chance.choice([None, "put", "put", "delete"]) for _ in range(count)],
        )
        done = computed(corner, rows, **sizes)
        told = done.fates["sales"], done.refused.get("sales", {})
        assert sum(sum(counts.values()) for counts in told) == done.rows["sales"] == count
        assert done.fates["sales"]["events"] == done.events == len(pq.read_table(corner / "out.parquet"))


def test_what_became_of_rows_is_the_same_at_once_and_in_slices(corner: Path) -> None:
    rows = sales(6, sale=[1, 1, 1, 2, 1, 3], _revision=[0, 1, 0, 0, 0, 0], _op=["put"] * 5 + ["delete"])
    once = pa.concat_tables([rows, rows.slice(3, 1)])
    expected = {"events": 2, "deleted": 1, "replaced": 1, "conflicts": 2, "copies": 1}
    for sizes in ({}, SLICED):
        done = computed(corner, once, **sizes)
        assert done.fates == {"sales": expected, "sales_returned": expected | {"conflicts": 0, "copies": 3}}


@engines
def test_a_deleted_event_is_gone_and_its_label_with_it(corner: Path, sizes: dict[str, int]) -> None:
    rows = sales(5, sale=[0, 1, 2, 3, 1], RET=[0, 1, 0, 1, None], _revision=[0] * 4 + [1], _op=["put"] * 4 + ["delete"])
    done = computed(corner, rows, **sizes)
    assert pq.read_table(corner / "out.parquet").column("sale").to_pylist() == [0, 2, 3]
    gone = {"events": 3, "deleted": 1, "replaced": 1, "conflicts": 0, "copies": 0}
    assert done.fates == {"sales": gone, "sales_returned": gone}


@engines
@pytest.mark.parametrize("name", ["sale", "shop", "pieces"])
def test_a_whole_number_beyond_63_bits_is_refused_and_the_others_are_not(
    corner: Path, name: str, sizes: dict[str, int]
) -> None:
    done = computed(corner, sales(**{name: pa.array([1, 2**63, 3, 4], pa.uint64())}), **sizes)
    assert (done.events, done.refused) == (3, {"sales": {f"type {name}": 1}})
    (row,) = pq.read_table(corner / "out.refused.parquet").to_pylist()
    assert (row["row"], row["value"]) == (1, "9223372036854775808")
    assert row["allowed"] == ("a whole number from 0 to 9" if name == "pieces" else "a whole number below 2^63")


@engines
def test_refused_rows_say_in_the_words_of_the_declaration_what_is_allowed(corner: Path, sizes: dict[str, int]) -> None:
    rows = sales(at=["2024-01-01", "soon", None, "2024-01-02"], price=["x", "1", "2", "3.5"])
    computed(corner, rows, **sizes)
    told = pq.read_table(corner / "out.refused.parquet").to_pylist()
    assert [(row["column"], row["value"], row["allowed"]) for row in told] == [
        ("price", "x", "a number with 2 decimals"),
        ("at", "soon", "a time such as 2024-01-01T13:00:00Z"),
        ("at", None, "a value"),
    ]


@engines
def test_revisions_that_are_texts_are_read_and_those_that_are_none_are_refused(
    corner: Path, sizes: dict[str, int]
) -> None:
    done = computed(corner, sales(_revision=["0", "new", None, "2"]), **sizes)
    assert (done.events, done.refused) == (3, {"sales": {"type _revision": 1}})


def test_a_file_without_a_column_or_with_two_of_a_name_is_told_before_anything_is_computed(corner: Path) -> None:
    rows = sales()
    for table, said in (
        (rows.drop(["RET"]), r"sales\.parquet: no column RET, which tells the label(.|\n)*allowed: sale, at"),
        (rows.drop(["sale"]), r"sales\.parquet: no column sale\n(.|\n)*in `sources` of stream sales"),
        (rows.append_column("price", rows["price"]), r"sales\.parquet: more than one column is called price"),
    ):
        with pytest.raises(DataError, match=said):
            computed(corner, table)


def test_no_rows_at_all_are_told_and_no_rows_that_tell_about_others_are_none(folder: Path) -> None:
    nothing = pq.read_schema(folder / "disputes.parquet")
    pq.ParquetWriter(folder / "disputes.parquet", nothing).close()
    done = compute(Here(), request(str(FILE), folder, folder / "out.parquet", "lake"))
    assert (done.rows["disputes"], done.events > 0) == (0, True)
    pq.ParquetWriter(folder / "payments.parquet", pq.read_schema(folder / "payments.parquet")).close()
    with pytest.raises(DataError, match="there are no rows of payments"):
        compute(Here(), request(str(FILE), folder, folder / "out.parquet", "lake"))


@engines
def test_when_every_row_is_refused_there_are_no_values(corner: Path, sizes: dict[str, int]) -> None:
    done = computed(corner, sales(price=[-1.0] * 4), **sizes)
    assert (done.events, done.refused) == (0, {"sales": {"range price": 4}})
    expected = ["sale", "spend__count_7d", "spend__mean_price_7d", "basket__count_7d", "basket__mean_pieces_7d"]
    assert pq.read_table(corner / "out.parquet").column_names == expected


def test_equal_rows_without_ids_are_events_of_their_own_in_slices_as_at_once(corner: Path) -> None:
    visits = 'visits = Stream("visits", id=position, time="at", columns={"shop": Key()})'
    busy = 'busy = Windows("busy", of="shop", over=visits, features=[count("7d")])'
    views = "views=[spend, basket, busy]"
    declared = CORNER.replace("pipeline =", f"{visits}\n{busy}\npipeline =").replace("views=[spend, basket]", views)
    (corner / "corner.py").write_text(declared)
    pq.write_table(sales(), corner / "sales.parquet")
    same = pa.table({"at": [MORNING - dt.timedelta(hours=1)] * 8, "shop": [7] * 8})
    pq.write_table(same, corner / "visits.parquet", row_group_size=3)

    whole, dealt = (
        compute(Here(), request(str(corner / "corner.py"), corner, corner / f"{name}.parquet", "lake"), **sizes)
        for name, sizes in (("whole", {}), ("dealt", SLICED))
    )

    assert whole.fates["visits"]["events"] == 8
    assert dealt.fates == whole.fates
    written = pq.read_table(corner / "dealt.parquet")
    assert written.column("busy__count_7d").to_pylist() == [8.0] * 4
    assert written.equals(pq.read_table(corner / "whole.parquet"))


def test_the_input_is_never_the_output(corner: Path) -> None:
    pq.write_table(sales(), corner / "sales.parquet")
    before = (corner / "sales.parquet").read_bytes()
    for events in (corner / "sales.parquet", corner):
        with pytest.raises(UserError, match=r"would destroy the events in .*sales\.parquet"):
            request(str(corner / "corner.py"), events, corner / "sales.parquet", "lake")
    assert (corner / "sales.parquet").read_bytes() == before


class Counting(Here):
    """Keeps what it was given to do."""

    def __init__(self) -> None:
        self.work: list[Any] = []

    def each(self, task, work, *, rows):
        self.work += work
        return super().each(task, work, rows=rows)


def cards(count: int, customers: int = 9) -> pa.Table:
    """Transactions as in the Handbook, one of them with an amount that nobody can have paid."""
    chance = random.Random(3)
    moments = sorted(chance.randrange(60 * 86_400) for _ in range(count))
    return pa.table(
        {
            "TRANSACTION_ID": pa.array(range(count)),
            "TX_DATETIME": pa.array([1_522_540_800_000_000 + one * 1_000_000 for one in moments], pa.timestamp("us")),
            "CUSTOMER_ID": pa.array([chance.randrange(customers) for _ in moments]),
            "TERMINAL_ID": pa.array([chance.randrange(5) for _ in moments]),
            "TX_AMOUNT": pa.array([chance.randrange(10_000) / 100 if place != 77 else -1.0 for place in range(count)]),
            "TX_FRAUD": pa.array([int(chance.random() < 0.1) for _ in moments]),
        }
    )
