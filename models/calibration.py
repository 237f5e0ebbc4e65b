"""Platt scaling: two numbers that turn a model's logit into a probability that means what it says."""

from __future__ import annotations

import numpy as np

from models.split import Int8s
from sluice.scoring import Calibration, Float64s

_LEAST_SCALE = 0.05
_STEPS = 50


def probabilities(logits: Float64s, calibration: Calibration) -> Float64s:
    """sigmoid(scale · logit + shift), without overflow at either end."""
    result: Float64s = 0.5 * (1.0 + np.tanh(0.5 * (calibration.scale * logits + calibration.shift)))
    return result


def platt(logits: Float64s, labels: Int8s) -> Calibration:
    """The calibration of least log-loss, by Newton's method on Platt's smoothed targets; both labels must occur.

    The scale stays positive, so that calibration never turns a ranking round: a model without any signal gets nearly
    the same probability everywhere. Source: Platt 1999; Lin, Lin and Weng 2007 for the targets.
    """
    frauds = float(labels.sum())
    targets: Float64s = np.where(labels == 1, (frauds + 1) / (frauds + 2), 1 / (len(labels) - frauds + 2))
    found = _newton(logits, targets, free_scale=True)
    if found.scale >= _LEAST_SCALE:
        return found
    shift = _newton(_LEAST_SCALE * logits, targets, free_scale=False).shift
    return Calibration(_LEAST_SCALE, shift)


def _newton(logits: Float64s, targets: Float64s, *, free_scale: bool) -> Calibration:
    """Minimise the log-loss over (scale, shift), or over the shift alone with the scale at 1."""
    point: Float64s = np.array([1.0, 0.0])
    design = np.stack([logits, np.ones_like(logits)])
    loss = _loss(point, design, targets)
    for _ in range(_STEPS):
        step = _newton_step(point, design, targets, free_scale=free_scale)
        size = 1.0
        while size > 1e-10 and _loss(point - size * step, design, targets) > loss:
            size /= 2
        point = np.asarray(point - size * step, dtype=np.float64)
        before, loss = loss, _loss(point, design, targets)
        if before - loss < 1e-12:
            break
    return Calibration(float(point[0]), float(point[1]))


def _newton_step(point: Float64s, design: Float64s, targets: Float64s, *, free_scale: bool) -> Float64s:
    chances = 0.5 * (1.0 + np.tanh(0.5 * (point @ design)))
    gradient = design @ (chances - targets)
    spread = chances * (1 - chances)
    hessian = (design * spread) @ design.T + 1e-9 * np.eye(2)
    if free_scale:
        return np.asarray(np.linalg.solve(hessian, gradient), dtype=np.float64)
    return np.array([0.0, gradient[1] / hessian[1, 1]])


def _loss(point: Float64s, design: Float64s, targets: Float64s) -> float:
    lines = point @ design
    return float(np.mean(np.logaddexp(0.0, lines) - targets * lines))
