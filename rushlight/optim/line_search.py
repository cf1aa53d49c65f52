"""A line search for the strong Wolfe conditions (Nocedal & Wright, Numerical Optimization, algorithms 3.5 and 3.6).

Along x + t d, with loss f(t) and slope f'(t), a step t is wanted with

    f(t) <= f(0) + c1 t f'(0)        and        |f'(t)| <= c2 |f'(0)|

First the step grows until an interval is known to hold one; then the interval shrinks. Both go by the minimum of the cubic
through two points and their slopes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rushlight.tensor import Tensor

ENOUGH_DESCENT, FLAT_ENOUGH = 1e-4, 0.9  # c1 and c2


@dataclass(frozen=True, slots=True)
class Point:
    """A step, and the loss, the gradient and the slope there."""

    step: Any
    loss: float
    grad: Tensor
    slope: Any


def strong_wolfe(
    evaluate: Callable[[Any], tuple[float, Tensor]], step: Any, direction: Tensor, loss: float, grad: Tensor,
    slope: Any, max_evaluations: int, tolerance_change: float = 1e-9,
) -> tuple[float, Tensor, Any, int]:  # fmt: skip
    """A step that fulfils the conditions, or the best one found.

    Args:
        evaluate: loss and gradient at a step.
        step: the first one to try.
        direction: d.
        loss, grad, slope: at 0.

    Returns:
        Loss and gradient at the step, the step, and how many evaluations it took.
    """
    count = 0

    def at(step: Any) -> Point:
        nonlocal count
        count += 1
        found_loss, found_grad = evaluate(step)
        return Point(step, found_loss, found_grad, found_grad.dot(direction))

    start = Point(0, loss, grad, slope)
    bracket, rounds, is_done = _find_bracket(at, start, step, max_evaluations)
    if is_done:
        (best,) = bracket
    else:
        best = _shrink(at, start, bracket, rounds, max_evaluations, direction.abs().max(), tolerance_change)
    return best.loss, best.grad, best.step, count


def _is_flat(point: Point, start: Point) -> bool:
    return bool(abs(point.slope) <= -FLAT_ENOUGH * start.slope)


def _is_high(point: Point, start: Point) -> bool:
    return bool(point.loss > start.loss + ENOUGH_DESCENT * point.step * start.slope)


def _find_bracket(at: Callable[[Any], Point], start: Point, step: Any, most: int) -> tuple[list[Point], int, bool]:
    """Two points with a good step between them, or one that is good; the rounds it took; whether one is good."""
    before, now, rounds = start, at(step), 0
    while rounds < most:
        if _is_high(now, start) or rounds > 1 and now.loss >= before.loss:
            return [before, now], rounds, False
        if _is_flat(now, start):
            return [now], rounds, True
        if now.slope >= 0:
            return [before, now], rounds, False
        bounds = now.step + 0.01 * (now.step - before.step), now.step * 10
        before, now = now, at(_cubic_minimum(before, now, bounds))
        rounds += 1
    return [start, now], rounds, False


def _shrink(
    at: Callable[[Any], Point], start: Point, bracket: list[Point], rounds: int, most: int, size: Any, tolerance: float
) -> Point:
    """A good point between two, found by drawing them together; or the lower one of those that are left."""
    first, second = bracket
    low, high = (0, 1) if first.loss <= second.loss else (1, 0)
    points, was_near_an_end = [first, second], False
    while rounds < most:
        ends = points[0].step, points[1].step
        if abs(ends[1] - ends[0]) * size < tolerance:
            break
        step = _cubic_minimum(points[0], points[1], None)
        step, was_near_an_end = _away_from_ends(step, min(ends), max(ends), was_near_an_end)
        now = at(step)
        rounds += 1
        if _is_high(now, start) or now.loss >= points[low].loss:
            points[high] = now
            low, high = (0, 1) if points[0].loss <= points[1].loss else (1, 0)
            continue
        is_done = _is_flat(now, start)
        if not is_done and now.slope * (points[high].step - points[low].step) >= 0:
            points[high] = points[low]
        points[low] = now
        if is_done:
            break
    return points[low]


def _away_from_ends(step: Any, left: Any, right: Any, was_near: bool) -> tuple[Any, bool]:
    """A step that is a tenth of the interval from its ends, if it is the second one near them or beyond one."""
    margin = 0.1 * (right - left)
    if not min(right - step, step - left) < margin:
        return step, False
    if not (was_near or step >= right or step <= left):
        return step, True
    return (right - margin if abs(step - right) < abs(step - left) else left + margin), False


def _cubic_minimum(a: Point, b: Point, bounds: tuple[Any, Any] | None) -> Any:
    """Where the cubic through two points and their slopes is lowest, within bounds (by default the two points)."""
    left, right = bounds or (min(a.step, b.step), max(a.step, b.step))
    middle = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.step - b.step)
    square = middle * middle - a.slope * b.slope
    if not square >= 0:
        return (left + right) / 2.0
    root = square**0.5
    if not a.step <= b.step:
        a, b = b, a
    lowest = b.step - (b.step - a.step) * ((b.slope + root - middle) / (b.slope - a.slope + 2 * root))
    return min(max(lowest, left), right)
