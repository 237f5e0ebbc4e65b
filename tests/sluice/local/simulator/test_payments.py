import numpy as np
import pytest

from sluice.errors import UserError
from sluice.local.simulator.payments import Payments, malformed_ids

pytestmark = pytest.mark.unit


def payments(time: list[int], injected: list[bool] | None = None) -> Payments:
    count = len(time)
    whole, small = np.arange(count), np.zeros(count, np.int8)
    flags = np.array(injected if injected is not None else [False] * count)
    return Payments(np.array(time), whole, whole, whole, small, small, flags)


def test_ids_are_the_millisecond_and_a_rank_in_it():
    ids, ordered = payments([7, 3, 7]).in_time_order()
    assert ids.tolist() == [3_000, 7_000, 7_001]
    assert ordered.customer.tolist() == [1, 0, 2]


def test_an_injected_payment_ranks_behind_those_it_shares_a_millisecond_with():
    ids, ordered = payments([7, 7], [True, False]).in_time_order()
    assert ids.tolist() == [7_000, 7_001]
    assert ordered.injected.tolist() == [False, True]


def test_a_malformed_row_has_an_id_that_no_payment_can_have():
    ids, _ = payments([7] * 500).in_time_order()
    assert not set(ids.tolist()) & set(malformed_ids(ids).tolist())


def test_a_full_millisecond_is_refused():
    with pytest.raises(UserError, match="too many payments in one millisecond"):
        payments([7] * 501).in_time_order()


def test_no_payments_have_no_ids():
    assert payments([]).in_time_order()[0].tolist() == []
