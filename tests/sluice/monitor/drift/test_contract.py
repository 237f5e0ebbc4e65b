"""What every detector promises; a new one in `DETECTORS` is held to all of it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import sluice.monitor.drift
from sluice.errors import SettingsError, UserError
from sluice.monitor.drift.calibration import Calibration
from sluice.monitor.drift.choice import DETECTORS, detector
from sluice.monitor.drift.columns import Column
from sluice.monitor.drift.protocol import Detector

from .conftest import Draw, Shape

WEIGHTY = {"alibi"}
BLIND = {"clock"}
SHAPES: list[Shape] = ["plain", "zeros", "missing", "codes"]


def marked(names: list[str]) -> list[object]:
    marks = {name: pytest.mark.integration if name in WEIGHTY else pytest.mark.unit for name in names}
    return [pytest.param(name, marks=marks[name]) for name in names]


every = pytest.mark.parametrize("name", marked(sorted(DETECTORS)))
seeing = pytest.mark.parametrize("name", marked(sorted(set(DETECTORS) - BLIND)))
shaped = pytest.mark.parametrize("shape", SHAPES)


@pytest.mark.unit
def test_every_detector_in_the_package_is_in_the_list() -> None:
    modules = [item.name for item in pkgutil.iter_modules(sluice.monitor.drift.__path__) if item.name not in WEIGHTY]
    found = {
        kind
        for name in modules
        for kind in vars(importlib.import_module(f"sluice.monitor.drift.{name}")).values()
        if inspect.isclass(kind) and kind is not Detector and hasattr(kind, "fit") and hasattr(kind, "score")
    }
    listed = {type(build(Calibration())) for name, build in DETECTORS.items() if name not in WEIGHTY}
    assert found == listed


@pytest.mark.unit
def test_an_unknown_detector_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingsError, match="did you mean 'twin'"):
        detector("twins", Calibration())


@every
@shaped
def test_fitting_returns_the_detector_itself(draw: Draw, name: str, shape: Shape) -> None:
    made = detector(name, Calibration())
    assert made.fit(draw(shape, 30, 40)) is made


@every
@shaped
def test_an_answer_is_in_range_and_names_its_column_and_its_detector(draw: Draw, name: str, shape: Shape) -> None:
    drift = detector(name, Calibration()).fit(draw(shape, 30, 40)).score(draw(shape, 2, 40, seed=1, first=200))
    assert 0 <= drift.distance <= 1
    assert 0 < drift.threshold <= 1
    assert 0 <= drift.p_value <= 1
    assert (drift.features, drift.rows) == (("amount",), 80)
    assert drift.detector.startswith(f"{name}.")


@every
@shaped
def test_scoring_changes_nothing(draw: Draw, name: str, shape: Shape) -> None:
    reference, batch = draw(shape, 30, 40), draw(shape, 1, 60, seed=1, first=200)
    kept = [reference.values.copy(), batch.values.copy()]
    fitted = detector(name, Calibration()).fit(reference)
    first = fitted.score(batch)
    fitted.score(draw(shape, 1, 60, seed=2, shift=1.0, first=201))
    assert fitted.score(batch) == first
    assert np.array_equal(reference.values, kept[0], equal_nan=reference.kind == "numeric")
    assert np.array_equal(batch.values, kept[1], equal_nan=batch.kind == "numeric")


@every
@shaped
def test_the_order_of_rows_means_nothing(draw: Draw, name: str, shape: Shape) -> None:
    reference, batch = draw(shape, 30, 40), draw(shape, 2, 40, seed=1, shift=0.3, first=200)
    mixed = np.random.default_rng(0).permutation(len(batch))
    shuffled = Column(batch.name, batch.values[mixed], batch.days[mixed])
    fitted = detector(name, Calibration()).fit(reference)
    assert fitted.score(shuffled) == fitted.score(batch)


@every
def test_two_detectors_fitted_alike_answer_alike(draw: Draw, name: str) -> None:
    batch = draw("plain", 1, 60, seed=1, shift=0.3, first=200)
    first, second = (detector(name, Calibration()).fit(draw("plain", 30, 40)) for _ in range(2))
    assert first.score(batch) == second.score(batch)


@every
def test_a_second_fit_forgets_the_first(draw: Draw, name: str) -> None:
    batch = draw("plain", 1, 60, seed=1, first=203)
    again = detector(name, Calibration()).fit(draw("plain", 40, 40, shift=5.0)).fit(draw("plain", 30, 40, first=150))
    assert again.score(batch) == detector(name, Calibration()).fit(draw("plain", 30, 40, first=150)).score(batch)


@every
def test_no_reference_no_answer(draw: Draw, name: str) -> None:
    with pytest.raises(UserError):
        detector(name, Calibration()).score(draw("plain", 1, 40))


@seeing
@shaped
def test_a_great_shift_alarms_and_none_does_not(draw: Draw, name: str, shape: Shape) -> None:
    fitted = detector(name, Calibration()).fit(draw(shape, 30, 100))
    assert fitted.score(draw(shape, 1, 200, seed=1, shift=2.0, first=200)).alarm
    assert not fitted.score(draw(shape, 1, 200, seed=1, first=200)).alarm


@seeing
def test_it_beats_the_clock(draw: Draw, name: str) -> None:
    rule = Calibration(run_length=20, k=1, n=1)
    reference = draw("plain", 30, 100)
    fitted, clock = detector(name, rule).fit(reference), detector("clock", rule).fit(reference)
    days = range(130, 190)
    batches = [draw("plain", 1, 100, seed=day, shift=1.5 if day >= 150 else 0.0, first=day) for day in days]
    early = [batch for batch in batches if batch.days[0] < 150]
    late = [batch for batch in batches if batch.days[0] >= 150]
    assert sum(fitted.score(item).alarm for item in early) <= sum(clock.score(item).alarm for item in early)
    assert sum(fitted.score(item).alarm for item in late) == 40
    assert sum(clock.score(item).alarm for item in late) == 2
