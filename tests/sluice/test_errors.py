"""Every error says what is wrong, where, what is allowed and the next step, and belongs to one of three families."""

from __future__ import annotations

import pickle
import sqlite3

import pytest

from sluice.errors import (
    KINDS,
    DataError,
    DeclarationError,
    GateStopped,
    Outage,
    ServiceDown,
    SettingsError,
    SluiceError,
    UserError,
    full_disk,
    kind_of,
)

pytestmark = pytest.mark.unit

TREE = {
    UserError: SluiceError,
    DeclarationError: UserError,
    SettingsError: UserError,
    DataError: SluiceError,
    GateStopped: DataError,
    Outage: SluiceError,
    ServiceDown: Outage,
}


@pytest.mark.parametrize(("error", "family"), TREE.items(), ids=lambda error: error.__name__)
def test_an_error_belongs_to_one_family(error: type[SluiceError], family: type[SluiceError]) -> None:
    assert error.__bases__ == (family,)
    assert sum(issubclass(error, one) for one in (UserError, DataError, Outage)) == 1


def test_another_process_knows_an_error_by_the_nearest_class_of_the_tree() -> None:
    class Strange(ServiceDown):
        pass

    assert {kind.__name__: kind for kind in TREE} == KINDS
    assert [kind_of(kind("x")) for kind in TREE] == [kind.__name__ for kind in TREE]
    assert kind_of(Strange("x")) == "ServiceDown"


def test_the_message_has_every_part() -> None:
    error = UserError("it is blue", where="door", allowed=["red", 3], next_step="paint it")

    assert str(error) == "door: it is blue\n  allowed: red, 3\n  next: paint it"


def test_parts_that_are_missing_leave_no_trace() -> None:
    assert str(DataError("broken")) == "broken"
    assert str(Outage("down", allowed="up")) == "down\n  allowed: up"


def test_an_unknown_name_offers_the_nearest() -> None:
    error = DeclarationError.unknown("view", "spent", {"spend", "risk"}, where="fraud")

    assert type(error) is DeclarationError
    assert str(error) == "fraud: unknown view 'spent'\n  allowed: risk, spend\n  next: did you mean 'spend'?"


def test_a_name_that_is_like_no_other_offers_none() -> None:
    assert UserError.unknown("view", "zzz", ["spend"]).next_step is None


def test_a_full_disk_is_an_outage_however_deep_it_lies() -> None:
    wrapped = RuntimeError("no commit")
    wrapped.__cause__ = OSError(28, "No space left on device")
    for error in (
        wrapped,
        sqlite3.OperationalError("database or disk is full"),
        ValueError("x: No space left on device"),
    ):
        assert str(full_disk(error)) == (
            "no space is left on a disk\n"
            "  next: make room, and run it again: what was published is whole, and the rest is done anew"
        )
    assert full_disk(OSError(13, "Permission denied")) is None


@pytest.mark.parametrize("kind", [*TREE])
def test_an_error_survives_the_way_between_processes(kind: type[SluiceError]) -> None:
    error = kind("it is blue", where="door", allowed=["red"], next_step="paint it")

    there = pickle.loads(pickle.dumps(error))  # noqa: S301 our own bytes

    assert (type(there), str(there), there.where, there.allowed) == (kind, str(error), "door", "red")
