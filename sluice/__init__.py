"""Sluice: a machine-learning pipeline declared in one Python file. These names are the vocabulary it is written in."""

from sluice.declare.asof import AsOf
from sluice.declare.columns import Category, Decimal, Flag, ForeignKey, Integer, Key
from sluice.declare.functions import count, mean, share, since_last, sum_
from sluice.declare.operate import Gates, Rollout, Training
from sluice.declare.pipeline import Pipeline
from sluice.declare.request import (
    cross,
    difference,
    hour,
    is_night,
    is_weekend,
    minutes_since_midnight,
    month,
    ratio,
    season,
    value,
    weekday,
    zscore,
)
from sluice.declare.retraining import (
    Budget,
    ComplianceCritical,
    DriftRule,
    HybridRetraining,
    PerformanceRule,
    VolumeRule,
)
from sluice.declare.streams import Label, Stream, position
from sluice.declare.views import Request, Windows

__all__ = [
    "AsOf",
    "Budget",
    "Category",
    "ComplianceCritical",
    "Decimal",
    "DriftRule",
    "Flag",
    "ForeignKey",
    "Gates",
    "HybridRetraining",
    "Integer",
    "Key",
    "Label",
    "PerformanceRule",
    "Pipeline",
    "Request",
    "Rollout",
    "Stream",
    "Training",
    "VolumeRule",
    "Windows",
    "count",
    "cross",
    "difference",
    "hour",
    "is_night",
    "is_weekend",
    "mean",
    "minutes_since_midnight",
    "month",
    "position",
    "ratio",
    "season",
    "share",
    "since_last",
    "sum_",
    "value",
    "weekday",
    "zscore",
]
