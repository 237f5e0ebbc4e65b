"""What published history says of a moment, and of which it cannot say anything any more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import DAY
from sluice.errors import UserError
from sluice.feast.history import History
from sluice.lake.keeping.keep import apply
from tests.sluice.lake.keeping.test_retiring import FILE, PIPELINE
from tests.spark_jobs.deliveries import AT, Shop, order

pytestmark = pytest.mark.integration


def test_a_moment_whose_windows_would_miss_dropped_events_is_refused(tmp_path: Path) -> None:
    """Orders are kept for sixty days, and a window reaches seven days back."""
    shop, (view,) = Shop(tmp_path, file=FILE), PIPELINE.windows
    rows = [order(3 * day, ordered_at=rfc3339(AT + day * DAY)) for day in range(62)]
    assert shop.deliver("a", at=AT + 62 * DAY, orders=rows) is None
    since = AT + 62 * DAY - 60 * DAY + 7 * DAY
    asked = pa.array(["c0", "c0"]), pa.array([since, since - 1])
    before = History(shop.uri, PIPELINE).at_moments(view, *asked)

    apply(shop.lake, PIPELINE, AT + 62 * DAY, ())
    left = History(shop.uri, PIPELINE)
    with pytest.raises(UserError, match=f"'buying' was at {rfc3339(since - 1)} cannot be computed") as refused:
        left.at_moments(view, *asked)
    assert refused.value.next_step == f"ask about moments from {rfc3339(since)} on"
    after = left.at_moments(view, *(column.slice(0, 1) for column in asked))
    assert {name: values[0][0] for name, values in after.items()} == {
        name: values[0][0] for name, values in before.items()
    }
    assert np.array([values[0][0] for values in after.values()]).tolist() == [1.0, 7.0]
