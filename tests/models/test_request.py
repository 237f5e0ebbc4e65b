from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from models.registry import registered_name
from models.request import LOGISTIC, NETWORK, Job, TrainingRequest, Variant
from models.split import DAY, Interval, Split
from sluice.errors import DeclarationError
from sluice.scoring import Input

pytestmark = pytest.mark.unit

REQUEST = TrainingRequest(
    pipeline="fraud",
    table=pa.table({}),
    inputs=(Input("amount", "number"),),
    split=Split(Interval(0, 10 * DAY), Interval(25 * DAY, 30 * DAY), 5 * DAY, Interval(15 * DAY, 20 * DAY)),
    card="customer_id",
    segments=("pos", "*"),
    data_version="vectors@1",
    definition_hash="d",
    code_version="c",
    tracking_uri="sqlite:///unused.db",
    store=Path("unused"),
)


def test_without_a_validation_part_nothing_chooses_between_two_algorithms() -> None:
    blind = replace(REQUEST.split, validation=None)
    with pytest.raises(DeclarationError, match="nothing can choose"):
        replace(REQUEST, split=blind)
    assert replace(REQUEST, split=blind, algorithms=(NETWORK,)).algorithms == (NETWORK,)


@pytest.mark.parametrize("segments", [(), ("pos", "pos")])
def test_every_segment_is_named_once(segments: tuple[str, ...]) -> None:
    with pytest.raises(DeclarationError, match="segments"):
        replace(REQUEST, segments=segments)


def test_two_variants_need_two_names() -> None:
    with pytest.raises(DeclarationError, match="variants"):
        replace(REQUEST, variants=(Variant("a"), Variant("a", seed=1)))


def test_the_seed_of_a_job_depends_on_what_is_learnt_and_on_nothing_else() -> None:
    job = Job("pos", Variant(), LOGISTIC)
    assert job.entropy(7) == Job("pos", Variant("other name"), replace(LOGISTIC, epochs=1)).entropy(7)
    others = [Job("atm", Variant(), LOGISTIC), Job("pos", Variant(seed=1), LOGISTIC), Job("pos", Variant(), NETWORK)]
    assert all(other.entropy(7) != job.entropy(7) for other in others)


def test_the_fallback_is_registered_as_all() -> None:
    assert registered_name("fraud", "pos") == "fraud-pos"
    assert registered_name("fraud", "*") == "fraud-all"


@pytest.mark.parametrize("segment", ["all", "", "a/b", "a:b", "a b"])
def test_a_segment_that_the_registry_cannot_name_is_refused(segment: str) -> None:
    with pytest.raises(DeclarationError):
        registered_name("fraud", segment)
