"""Every function of the vocabulary has values that were worked out by hand, in every form that it has."""

from __future__ import annotations

from types import ModuleType
from typing import get_args

import pytest

from sluice.declare.functions import OF_LABELS, Function
from sluice.declare.request import Moment
from tests.golden import test_decays, test_labels, test_picks, test_request_features, test_sketches, test_sums
from tests.golden.sales import FORMS

pytestmark = pytest.mark.unit

MODULES = (test_decays, test_picks, test_sketches, test_sums)


def made(module: ModuleType) -> set[str]:
    return {feature.function for name, make in module.MAKERS.items() for feature in make("1min", name=name)}


def test_every_function_is_among_them() -> None:
    assert set[str]().union(*map(made, MODULES)) == set(get_args(Function))
    assert made(test_labels) == OF_LABELS


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.split(".")[-1])
def test_every_one_has_a_value_in_every_form(module: ModuleType) -> None:
    tests = [test for name, test in vars(module).items() if name.startswith("test_")]
    assert {frozenset(row[0] for row in mark.args[1]) for test in tests for mark in test.pytestmark} == {
        frozenset(FORMS)
    }


def test_every_feature_of_a_request_is_among_them() -> None:
    assert {feature.function for feature in test_request_features.MOMENT.features} == set(get_args(Moment))
