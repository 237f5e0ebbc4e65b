"""The kernel against features that others computed: those that the Fraud Detection Handbook's authors published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sluice.declare.loading import load_pipeline
from sluice.engine.vectors import vectors
from tests.sluice.engine.book import book_folder, labels, transactions

pytestmark = pytest.mark.integration

OURS = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"]
"""The columns of the transactions that a feature is made of."""


@pytest.fixture(scope="module")
def book() -> Path:
    return book_folder()


@pytest.fixture(scope="module")
def rows(book: Path) -> pa.Table:
    """All transactions."""
    return pq.read_table(book / "transactions.parquet", columns=OURS)


@pytest.fixture(scope="module")
def sample(book: Path, rows: pa.Table) -> pa.Table:
    """The rows whose features are published, beside these."""
    published = pq.read_table(book / "book_features_sample.parquet")
    return rows.join(published, "TRANSACTION_ID", join_type="inner").sort_by("TRANSACTION_ID")


@pytest.fixture(scope="module")
def computed(rows: pa.Table, sample: pa.Table) -> pa.Table:
    """Our features of the same rows."""
    events = {"transactions": transactions(rows), "transactions_is_fraud": labels(rows)}
    return vectors(load_pipeline("handbook"), events, transactions(sample))


def test_every_published_row_is_compared(sample: pa.Table) -> None:
    assert len(sample) == 52_615
    assert pc.sum(sample["TX_FRAUD"]).as_py() == 418


@pytest.mark.parametrize("days", [1, 7, 30])
def test_counts_and_shares_are_equal(sample: pa.Table, computed: pa.Table, days: int) -> None:
    assert computed[f"customer__count_{days}d"].to_pylist() == sample[f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"].to_pylist()
    assert computed[f"terminal__count_{days}d"].to_pylist() == sample[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"].to_pylist()
    shares = computed[f"terminal__share_is_fraud_{days}d"].to_pylist()
    assert shares == sample[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"].to_pylist()
    assert any(0 < share < 1 for share in shares)


@pytest.mark.parametrize("days", [1, 7, 30])
def test_means_differ_by_no_more_than_the_books_running_sums_err(
    sample: pa.Table, computed: pa.Table, days: int
) -> None:
    published = sample[f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"].to_numpy()
    assert np.abs(computed[f"customer__mean_amount_{days}d"].to_numpy() - published).max() < 1e-9


def test_the_flags_of_the_moment_are_equal(sample: pa.Table, computed: pa.Table) -> None:
    assert computed["moment__is_weekend"].to_pylist() == sample["TX_DURING_WEEKEND"].to_pylist()
    assert computed["moment__is_night"].to_pylist() == sample["TX_DURING_NIGHT"].to_pylist()
