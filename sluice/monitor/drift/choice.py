"""Detectors by name: one setting chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sluice.errors import SettingsError, UserError
from sluice.monitor.drift.calibration import Calibration
from sluice.monitor.drift.detector import CalibratedColumn, ClockOnly
from sluice.monitor.drift.protocol import Detector
from sluice.monitor.drift.twin import TwinTwoSample

DEFAULT = "alibi"


def detector(name: str, calibration: Calibration) -> Detector:
    """A fresh detector of that name (`alibi`, `twin`, `clock`); SettingsError for another name."""
    if name not in DETECTORS:
        unknown = UserError.unknown("detector", name, DETECTORS, where="SLUICE_DETECTOR")
        raise SettingsError(
            unknown.what, where="SLUICE_DETECTOR", allowed=sorted(DETECTORS), next_step=unknown.next_step
        )
    return DETECTORS[name](calibration)


def _alibi(calibration: Calibration) -> Detector:
    from sluice.monitor.drift.alibi import AlibiTwoSample

    return CalibratedColumn(AlibiTwoSample(), calibration)


def _twin(calibration: Calibration) -> Detector:
    return CalibratedColumn(TwinTwoSample(), calibration)


def _clock(calibration: Calibration) -> Detector:
    return ClockOnly(every=calibration.run_length)


DETECTORS: Mapping[str, Callable[[Calibration], Detector]] = {"alibi": _alibi, "twin": _twin, "clock": _clock}
