from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice import Category, Decimal, Flag, ForeignKey, Integer, Key
from tests.sluice.declare.examples import PINGS, TRANSACTIONS, refusal

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Key("number"), "Key(type): unknown key type 'number'\n  allowed: integer, text"),
        (lambda: Decimal(scale=9), "Decimal(scale): scale 9 is out of range\n  allowed: 0 to 6"),
        (lambda: Decimal(min=5, max=1), "Decimal(min, max): min 5 is above max 1\n  allowed: min up to max"),
        (
            lambda: Decimal(scale=2, max=2**53),
            (
                "Decimal(min, max): 0…9007199254740992 in steps of 1/100 does not fit exact arithmetic\n"
                "  allowed: magnitudes below 2^53 steps (90,071,992,547,409)"
            ),
        ),
        (
            lambda: Integer(min=-(2**53)),
            (
                "Integer(min, max): -9007199254740992…1000000000 in steps of 1/1 does not fit exact arithmetic\n"
                "  allowed: magnitudes below 2^53 steps (9,007,199,254,740,992)"
            ),
        ),
        (
            lambda: Category("pos", "atm", "pos"),
            "Category: value 'pos' is declared twice\n  allowed: each once\n  next: give one another name",
        ),
        (
            lambda: Key(pattern="[0-9]+"),
            'Key(pattern): only free text has a pattern\n  allowed: Key("text", pattern=…), Category(pattern=…)',
        ),
        (
            lambda: Category("a", pattern="a"),
            'Category(pattern): only free text has a pattern\n  allowed: Key("text", pattern=…), Category(pattern=…)',
        ),
        (
            lambda: Key("text", pattern="["),
            (
                "Key(pattern): '[' is no regular expression (unterminated character set at position 0)\n"
                "  next: write it like r'[A-Z]{2}'"
            ),
        ),
        *(
            (
                lambda pattern=pattern: Category(pattern=pattern),
                (
                    f"Category(pattern): {pattern!r} looks around or back\n"
                    "  allowed: what RE2 knows, whose time is bounded: no lookahead, no lookbehind, no \\1"
                ),
            )
            for pattern in ("(?=a)a", "a(?!b)", "(?<=a)b", "(?<!a)b", r"(a)\1", "(?P<x>a)(?P=x)")
        ),
        (
            lambda: ForeignKey(None),
            "ForeignKey(to): None cannot be pointed at\n  allowed: a Stream whose events have an id",
        ),
        (
            lambda: ForeignKey(PINGS),
            "ForeignKey(to): Stream('pings') cannot be pointed at\n  allowed: a Stream whose events have an id",
        ),
    ],
)
def test_a_column_that_cannot_be_is_refused(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message


def test_bounds_are_those_a_contract_checks() -> None:
    assert Decimal(scale=2, min=-5, max=10).bounds == (-5, 10)
    assert Integer(max=7).bounds == (0, 7)
    assert Flag().bounds == (0, 1)
    assert (Key().bounds, Category().bounds) == (None, None)
    assert Integer(min=-(2**53) + 1, max=2**53 - 1).bounds == (-(2**53) + 1, 2**53 - 1)


def test_a_key_may_be_missing_and_everything_else_may_not_unless_declared_so() -> None:
    assert [column.nullable for column in (Key(), Key(nullable=False), Flag(), Flag(nullable=True))] == [
        True,
        False,
        False,
        True,
    ]


def test_a_category_is_closed_when_its_values_are_listed_and_open_when_not() -> None:
    assert Category("pos", "online").categories == ("pos", "online")
    assert Category().categories == ()
    assert Category("a") == Category("a") != Category("a", nullable=True)
    assert len({Category("a"), Category("a"), Category("b")}) == 2
    assert repr(Category("a", nullable=True)) == "Category('a', nullable=True)"


def test_a_text_without_a_pattern_means_what_it_did_before_there_were_any() -> None:
    assert Key("text").describe() == {"kind": "key", "nullable": True, "type": "text"}
    assert Category().describe() == {"kind": "category", "nullable": False, "values": []}
    assert Key("text", pattern="c[0-9]+").describe()["pattern"] == "c[0-9]+"
    assert Category(pattern="a") != Category()
    assert repr(Category(nullable=True, pattern="a+")) == "Category(nullable=True, pattern='a+')"


def test_a_description_says_all_that_changes_values_and_nothing_else() -> None:
    assert Decimal(min=0, max=5).describe() == Decimal(min=0.0, max=5.0).describe()
    assert ForeignKey(TRANSACTIONS).describe() == {"kind": "foreign_key", "nullable": False, "to": "transactions"}
    described = [
        column.describe()
        for column in (Key(), Key("text"), Flag(), Flag(nullable=True), Integer(), Integer(max=5), Category("a", "b"))
    ] + [column.describe() for column in (Category("b", "a"), Category(), Decimal(), Decimal(scale=3))]
    assert all(described.count(one) == 1 for one in described)
