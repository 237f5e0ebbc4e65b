from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.durations import MINUTE
from sluice.engine.asof import Lookups, repeated
from sluice.engine.read import answer
from sluice.engine.store import MemoryStore
from sluice.engine.vectors import as_values, pack, vectors
from sluice.errors import DataError
from tests.sluice.engine.folding import assert_same_bits, fold_all
from tests.sluice.engine.lookups import LookupWorld, encoded_rows, lookup_worlds, lookups_of, market
from tests.sluice.engine.oracle import Asked, packed_vector
from tests.sluice.engine.worlds import START, asked_table, many, several, tables

pytestmark = pytest.mark.unit
MARKET = market()
HOLIDAYS = MARKET.tables["holidays"]
FRANCE, SPAIN = 7, 2**63 - 1
BLANK: dict[str, Any] = dict.fromkeys(MARKET.events.columns)
EMPTY = {name: [] for name in MARKET.tables}


def bits(world: LookupWorld) -> list[bytes]:
    lookups = lookups_of(MARKET, world.tables)
    found = vectors(MARKET, tables(MARKET, world.versions), asked_table(MARKET, world.requests), lookups)
    return pack(MARKET, as_values(MARKET, found))


@many
@given(world=lookup_worlds(MARKET))
def test_every_vector_has_the_bits_of_its_definition(world: LookupWorld) -> None:
    expected = [packed_vector(MARKET, asked, world.versions, world.tables) for asked in world.requests]
    assert_same_bits(MARKET, bits(world), expected)


@several
@given(data=st.data())
def test_the_order_of_a_tables_rows_changes_no_bit(data: st.DataObject) -> None:
    world = data.draw(lookup_worlds(MARKET))
    shuffled = {name: data.draw(st.permutations(rows)) for name, rows in world.tables.items()}
    assert bits(LookupWorld(world.versions, world.requests, shuffled)) == bits(world)


@several
@given(world=lookup_worlds(MARKET))
def test_the_split_of_requests_changes_no_bit(world: LookupWorld) -> None:
    alone = [bits(LookupWorld(world.versions, [asked], world.tables))[0] for asked in world.requests]
    assert alone == bits(world)


@several
@given(world=lookup_worlds(MARKET))
def test_the_read_path_has_the_bits_of_the_batch_and_says_which_versions_it_looked_at(world: LookupWorld) -> None:
    store, versions = MemoryStore(), {"holidays": 3, "price_index": 0, "terms": 12}
    fold_all(MARKET, store, [world.versions])
    found = answer(MARKET, store, asked_table(MARKET, world.requests), lookups_of(MARKET, world.tables, versions))
    assert_same_bits(MARKET, pack(MARKET, found.values), bits(world))
    assert found.tables == versions
    assert found.known() == {**found.knowledge.describe(), "tables": versions}


def test_what_is_known_says_nothing_of_tables_where_there_are_none() -> None:
    from tests.sluice.engine.pipelines import shop

    found = answer(shop(), MemoryStore(), asked_table(shop(), []))
    assert found.known() == {"base": -1, "positions": {}}


def at(time: int, rows: list[dict[str, Any]], table: str = "holidays", **values: Any) -> dict[str, Any]:
    """What is looked up at a moment, without the names of the table's other views."""
    lookups = lookups_of(MARKET, {**EMPTY, table: rows})
    asked = asked_table(MARKET, [Asked(time, None, BLANK | values)])
    return vectors(MARKET, tables(MARKET, []), asked, lookups).to_pylist()[0]


def holiday(valid_from: int, is_holiday: int, country: int = FRANCE, days: int | None = 5) -> dict[str, Any]:
    return {"country": country, "valid_from": valid_from, "is_holiday": is_holiday, "days_to_next": days}


CHANGES = [holiday(START, 0), holiday(START + MINUTE, 1), holiday(START - 9 * MINUTE, 1, country=SPAIN, days=None)]


@pytest.mark.parametrize(
    ("after", "holds", "known_a_minute_later"),
    [
        (-1, None, None),
        (0, 0.0, None),
        (MINUTE - 1, 0.0, None),
        (MINUTE, 1.0, 0.0),
        (2 * MINUTE - 1, 1.0, 0.0),
        (2 * MINUTE, 1.0, 1.0),
        # two minutes are all that `calendar` lets a row hold; `eve` lets it hold for ever
        (3 * MINUTE - 1, 1.0, 1.0),
        (3 * MINUTE, None, 1.0),
    ],
)
def test_a_row_holds_from_the_microsecond_it_is_valid_and_known_until_it_is_stale(
    after: int, holds: float | None, known_a_minute_later: float | None
) -> None:
    found = at(START + after, CHANGES, country=FRANCE)
    assert (found["calendar__is_holiday"], found["eve__is_holiday"]) == (holds, known_a_minute_later)


def test_another_key_a_missing_one_and_an_empty_table_have_nothing() -> None:
    assert at(START, CHANGES, country=3)["calendar__is_holiday"] is None
    assert at(START, CHANGES, country=None)["calendar__is_holiday"] is None
    assert at(START, [], country=FRANCE)["calendar__is_holiday"] is None


def test_a_null_of_the_row_that_holds_is_null_and_not_the_value_before() -> None:
    rows = [*CHANGES, holiday(START + 2 * MINUTE, 0, days=None)]
    found = at(START + 2 * MINUTE, rows, country=FRANCE)
    assert (found["calendar__is_holiday"], found["calendar__days_to_next"]) == (0.0, None)


def test_a_key_of_several_columns_is_all_of_them_and_without_any_there_is_one_row_for_everybody() -> None:
    terms = [
        {"owner": owner, "sold_by": channel, "card": 4, "valid_from": START, "fee": fee, "plan": fee}
        for owner, channel, fee in (("é", 0, 1), ("é", 1, 2), ("", 0, 3))
    ]
    found = [
        at(START + MINUTE, terms, "terms", seller=seller, channel=channel, card=4)["terms__fee"]
        for seller, channel in (("é", 0), ("é", 1), ("", 0), ("", 1), (None, 0), ("e", 0))
    ]
    assert found == [0.001, 0.002, 0.003, None, None, None]
    level = {"valid_from": START, "level": 9_000_000_000_000_001, "regime": 1}
    found = at(START + MINUTE, [level], "price_index")
    assert (found["prices__level"], found["prices__regime"]) == (9000000000.000002, 1)


def test_two_rows_for_one_moment_of_a_key_are_refused() -> None:
    twice = [holiday(START, 0), holiday(START, 0, country=SPAIN), holiday(START, 1), holiday(START + 1, 1)]
    with pytest.raises(DataError, match="table 'holidays': two rows of one key have the same valid_from"):
        lookups_of(MARKET, {**EMPTY, "holidays": twice})
    found = repeated(HOLIDAYS.keys, encoded_rows(HOLIDAYS, twice))
    assert found.tolist() == [True, False, True, False]


@pytest.mark.parametrize("missing", ["country", "valid_from"])
def test_a_row_that_nobody_can_find_is_refused(missing: str) -> None:
    with pytest.raises(DataError, match="a row has no key or no valid_from"):
        lookups_of(MARKET, {**EMPTY, "holidays": [{**holiday(START, 0), missing: None}]})


def test_without_its_tables_a_pipeline_computes_nothing() -> None:
    next_step = re.escape("pass the tables: sluice.lake.asof.load(lake, pipeline)")
    with pytest.raises(DataError, match=f"pipeline 'market': table 'holidays' was not given(.|\n)*{next_step}"):
        vectors(MARKET, tables(MARKET, []), asked_table(MARKET, [Asked(START, 1, BLANK)]))
    assert Lookups().versions == {}
