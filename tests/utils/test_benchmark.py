"""`utils.benchmark`: timing, the statistics and texts of measurements, tables; the last three against PyTorch's."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch.utils.benchmark as theirs

import rushlight
import rushlight.utils.benchmark as ours


def measurements(module: Any) -> list[Any]:
    """Of two statements, described in two ways, with times of our choice."""
    found = []
    for sub_label, (description, factor), threads in itertools.product(
        ("small", "a large one"), (("old", 1), ("new", 3)), (1, 2)
    ):
        task = module.TaskSpec("f(x)", "pass", "", "sums", sub_label, description, None, threads)
        times = [factor * 1e-4 * (1 + 0.01 * i) * len(sub_label) for i in range(8)]
        if (sub_label, description, threads) != ("small", "new", 2):
            found.append(module.Measurement(100, times, task))
    return found


def test_statistics_and_texts() -> None:
    for a, b in zip(measurements(ours), measurements(theirs), strict=True):
        for name in (
            "median",
            "mean",
            "iqr",
            "significant_figures",
            "title",
            "as_row_name",
            "has_warnings",
            "sub_label",
        ):
            assert (
                getattr(a, name) == pytest.approx(getattr(b, name))
                if name in ("median", "mean", "iqr")
                else getattr(a, name) == getattr(b, name)
            )
        assert repr(a).splitlines()[1:] == repr(b).splitlines()[1:]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = a.nothing


@pytest.mark.parametrize("times", [[1e-5], [1e-5, 2e-5, 3e-5, 9e-5, 2e-4], [1.0, 1.1, 1.2, 1.3]])
@pytest.mark.parametrize("setup", ["pass", "x = 1", "x = 1\ny = 2"])
def test_text_of_one(times: list[float], setup: str) -> None:
    texts = []
    for module in (ours, theirs):
        task = module.TaskSpec("f(x)\ng(x)", setup, sub_label="sub", description="words", num_threads=2)
        texts.append(repr(module.Measurement(10, times, task)).splitlines()[1:])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("trim", [False, True])
def test_tables(trim: bool) -> None:
    texts = []
    for module in (ours, theirs):
        table = module.Compare(measurements(module))
        if trim:
            table.trim_significant_figures()
        texts.append([line.rstrip() for line in str(table).splitlines()])
    assert texts[0] == texts[1]
    with pytest.raises(ValueError, match="Expected an instance of `Measurement`"):
        ours.Compare([1])


def test_timer(capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[int] = []
    clock = itertools.count().__next__
    threads = rushlight.get_num_threads()
    timer = ours.Timer(
        "\n    record(torch.get_num_threads())", globals={"record": calls.append}, timer=clock, num_threads=1, label="n"
    )
    measurement = timer.timeit(200)
    assert len(calls) == 202 and set(calls) == {1}  # two to warm up
    assert (measurement.number_per_run, measurement.raw_times, measurement.stmt) == (
        200,
        [1],
        "record(torch.get_num_threads())",
    )
    assert rushlight.get_num_threads() == threads
    seen: list[int] = []
    blocked = ours.Timer("x + 1", globals={"x": rushlight.ones(3)}).blocked_autorange(
        lambda n, t: seen.append(n), min_run_time=0.01
    )
    assert sum(blocked.raw_times) >= 0.01 and set(seen) == {blocked.number_per_run}
    assert 1e-8 < blocked.median < 1e-3
    adaptive = ours.Timer("x + 1", globals={"x": rushlight.ones(3)}).adaptive_autorange(
        min_run_time=0.001, max_run_time=0.3
    )
    assert len(adaptive.raw_times) > 3 or sum(adaptive.raw_times) > 0.3
    ours.Compare([blocked]).print()
    assert "Times are in" in capsys.readouterr().out


def test_timer_errors() -> None:
    for arguments in ({"stmt": 3}, {"language": "c"}, {"global_setup": "x"}):
        messages = []
        for module in (ours, theirs):
            with pytest.raises(ValueError) as caught:
                module.Timer(**arguments)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
    with pytest.raises(ValueError, match="Invalid language"):
        ours.Timer(language="c++")
