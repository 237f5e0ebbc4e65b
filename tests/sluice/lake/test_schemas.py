"""Schemas in the lake: there before a row is judged, once each, and what the registry did not know stays unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sluice.errors import UserError
from sluice.lake.decoding import UNKNOWN, Schema
from sluice.lake.schemas import MemoryRegistry, RegistryDown, Schemas, kept
from sluice.lake.tables import Lake
from tests.sluice.lake.messages import avro, file_of, head, protobuf
from tests.sluice.lake.test_contract import ORDERS

pytestmark = pytest.mark.unit

STREAM = replace(ORDERS, format="avro")
AVRO = replace(avro(), subject="shop.orders-value", references=(("a", '{"type": "int"}'),))


class Down:
    """A registry that does not answer."""

    def schema(self, number: int) -> Schema | None:
        raise RegistryDown("gone", where=str(number))


class Late(MemoryRegistry):
    """A registry whose machines learn of a schema only after they were asked for it."""

    def schema(self, number: int) -> Schema | None:
        found = super().schema(number)
        self.schemas[number] = AVRO
        return found


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), "shop")


def test_a_schema_is_in_the_lake_before_anyone_gets_it_and_the_registry_is_not_asked_again(lake: Lake) -> None:
    first = Schemas(lake, MemoryRegistry({7: AVRO, 8: protobuf(file_of())}))
    found = first.of(STREAM, [head(7), head(8), head(7), None])
    assert found == kept(lake) == {7: AVRO, 8: protobuf(file_of())}
    assert Schemas(lake, Down()).of(STREAM, [head(7)])[7] == AVRO
    assert first.of(STREAM, [head(7)]) is found


def test_a_stream_of_json_asks_nobody(lake: Lake) -> None:
    assert Schemas(lake, Down()).of(ORDERS, [head(7)]) == {}
    assert lake.open("schemas") is None


def test_a_registry_that_is_away_leaves_nothing_behind(lake: Lake) -> None:
    with pytest.raises(RegistryDown):
        Schemas(lake, Down()).of(STREAM, [head(7)])
    assert lake.open("schemas") is None


def test_without_a_registry_a_new_schema_is_the_callers_mistake(lake: Lake) -> None:
    with pytest.raises(UserError, match="next: set SLUICE_SCHEMA_REGISTRY_URL"):
        Schemas(lake, None).of(STREAM, [head(7)])


def test_an_id_that_the_registry_does_not_know_stays_unknown_whatever_is_registered_later(lake: Lake) -> None:
    registry = MemoryRegistry()
    assert Schemas(lake, registry, again_s=()).of(STREAM, [head(9)]) == {9: Schema(UNKNOWN, "")}
    registry.schemas[9] = AVRO
    assert Schemas(lake, registry).of(STREAM, [head(9)])[9].kind == UNKNOWN


def test_an_id_is_asked_for_again_before_it_is_called_unknown(lake: Lake) -> None:
    assert Schemas(lake, Late(), again_s=(0, 0)).of(STREAM, [head(9)]) == {9: AVRO}


def test_of_two_processes_that_learn_of_an_id_the_first_ones_answer_stays(lake: Lake) -> None:
    one, other = (Schemas(lake, registry, again_s=()) for registry in (MemoryRegistry({7: AVRO}), MemoryRegistry()))
    assert other.of(STREAM, [head(6)])[6].kind == UNKNOWN
    assert one.of(STREAM, [head(7)])[7] == AVRO
    assert other.of(STREAM, [head(7)])[7] == AVRO
    assert sorted(lake.read("schemas").column("id").to_pylist()) == [6, 7]
