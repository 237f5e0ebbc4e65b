"""docs/reference/tables.md has the columns that the code writes."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from serve.promotions import PROMOTIONS
from serve.rollbacks import ROLLBACKS
from sluice.lake.backfills import BACKFILL
from sluice.lake.baselines.shapes import SHAPES
from sluice.lake.contract import BRONZE, QUARANTINE, conflicts_schema, silver_schema
from sluice.lake.delivered import FILES
from sluice.lake.forgetting.erasures import ERASED, ERASURES
from sluice.lake.imports import IMPORTS
from sluice.lake.keeping.holds import LEGAL_HOLDS
from sluice.lake.keeping.retired import RETIRED, RETIREMENTS
from sluice.lake.publish import BATCHES, PUBLICATIONS, VERDICTS
from sluice.lake.replays import REPLAYED, REPLAYS
from sluice.lake.schemas import SCHEMAS
from sluice.lake.touched import TOUCHED
from sluice.lake.training_sets import TRAINING_SETS
from sluice.lake.waivers import WAIVERS
from sluice.local.replay import FRESHNESS, REQUESTS
from sluice.monitor.audit import AUDITS
from sluice.monitor.tables import DECISIONS, DRIFT, PERFORMANCE
from sluice.stream.predictions import PREDICTIONS, REFUSED_PREDICTIONS
from tests.sluice.lake.shop import orders

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "tables.md"
OWN = pa.schema([field for field in silver_schema(orders) if field.name.startswith("_")])
SCHEMAS_OF = {
    "audits": AUDITS,
    "backfills": BACKFILL,
    "baselines/<stream>": SHAPES,
    "batches": BATCHES,
    "conflicts/<stream>": conflicts_schema(orders),
    "decisions": DECISIONS,
    "drift": DRIFT,
    "erased": ERASED,
    "erasures": ERASURES,
    "events/<stream>": BRONZE,
    "files": FILES,
    "freshness": FRESHNESS,
    "imports": IMPORTS,
    "legal_holds": LEGAL_HOLDS,
    "performance": PERFORMANCE,
    "predictions": PREDICTIONS,
    "predictions_refused": REFUSED_PREDICTIONS,
    "promotions": PROMOTIONS,
    "rollbacks": ROLLBACKS,
    "publications": PUBLICATIONS,
    "quarantine/<stream>": QUARANTINE,
    "replayed": REPLAYED,
    "replays": REPLAYS,
    "requests": REQUESTS,
    "retired": RETIRED,
    "retirements": RETIREMENTS,
    "schemas": SCHEMAS,
    "silver/<stream>": OWN,
    "touched": TOUCHED,
    "training_sets": TRAINING_SETS,
    "verdicts": VERDICTS,
    "waivers": WAIVERS,
}


def told() -> dict[str, str]:
    """What the page says of the columns of each table."""
    rows = re.findall(r"^\| `([\w/<>]+)`[^|]*\|[^|]*\|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("table", SCHEMAS_OF)
def test_the_page_has_every_column_of_a_table(table: str) -> None:
    columns = set(re.findall(r"`(\w+)`", told()[table]))

    assert set(SCHEMAS_OF[table].names) - columns == set()
