"""What a profiler records of a program, tables beside PyTorch's, schedules, traces; and that nothing is left behind."""

from __future__ import annotations

import gzip
import json
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch as pytorch

import rushlight as torch
from rushlight.profiler import ProfilerAction, ProfilerActivity, profile, record_function, schedule


def step(model: Any, x: Any) -> None:
    loss = torch.nn.functional.relu(model(x)).sum()
    loss.backward()


def profiled(**options: Any) -> profile:
    torch.manual_seed(0)
    model, x = torch.nn.Linear(4, 3), torch.ones(2, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with profile(activities=[ProfilerActivity.CPU], **options) as prof:
        with record_function("model"):
            step(model, x)
        optimizer.step()
    return prof


def by_key(prof: Any, **options: Any) -> dict[str, Any]:
    return {event.key: event for event in prof.key_averages(**options)}


def test_events_of_a_training_step() -> None:
    events = by_key(profiled(record_shapes=True, profile_memory=True))
    names = {"model", "aten::linear", "aten::relu", "aten::sum", "SumBackward0", "ReluBackward0", "AddmmBackward0"}
    assert names | {"Optimizer.step#SGD.step"} <= set(events)
    assert events["model"].is_user_annotation
    for event in events.values():
        assert 0 <= event.self_cpu_time_total <= event.cpu_time_total
        assert event.count == 1 or event.cpu_time == event.cpu_time_total / event.count
    assert events["model"].cpu_time_total >= sum(events[name].cpu_time_total for name in names - {"model"})
    assert events["aten::linear"].self_cpu_memory_usage == 2 * 3 * 4
    assert events["aten::relu"].cpu_memory_usage == 2 * 3 * 4


def test_shapes_and_memory() -> None:
    x = torch.ones(100, 10)
    with profile(record_shapes=True, profile_memory=True) as prof:
        y = x * 2
        y.t()
        del y
        with record_function("inside"):
            z = x + 1
            del z
        x @ x.t()
    events = prof.events()
    shapes = {event.name: event.input_shapes for event in events}
    assert shapes["aten::mul"] == [[100, 10], []]
    assert shapes["aten::matmul"] == [[100, 10], [10, 100]]
    memory = {event.name: (event.cpu_memory_usage, event.self_cpu_memory_usage) for event in events}
    assert memory["aten::mul"] == (4000, 4000)
    assert memory["aten::t"] == (0, 0)  # a view
    assert memory["inside"] == (0, -4000)  # made inside, and gone again
    assert memory["aten::matmul"] == (40000, 40000)
    grouped = prof.key_averages(group_by_input_shape=True)
    assert "Input Shapes" in grouped.table() and "CPU Mem" in grouped.table()


def test_nested_events() -> None:
    with profile() as prof:
        with record_function("outer"), record_function("inner"):
            torch.zeros(3)
        torch.nn.functional.cross_entropy(torch.ones(2, 3), torch.tensor([0, 1]))
    tree = {event.name: event.cpu_parent.name if event.cpu_parent else None for event in prof.events()}
    assert tree["outer"] is None and tree["inner"] == "outer" and tree["aten::zeros"] == "inner"
    assert tree["aten::cross_entropy"] is None and "aten::cross_entropy" in set(tree.values())
    top = prof.key_averages().table(top_level_events_only=True)
    assert "outer" in top and "inner" not in top


def test_names_of_methods_and_of_functions_with_several_names() -> None:
    x = torch.ones(2, 3)
    with profile() as prof:
        x.expand(4, 2, 3).permute(2, 0, 1)
        torch.linalg.solve_triangular(torch.eye(2), x, upper=False)
        torch.concat([x, x])
        x.add_(1)
    names = set(by_key(prof))
    assert {"aten::expand", "aten::permute", "aten::linalg_solve_triangular", "aten::cat", "aten::add_"} <= names
    assert not any(name.endswith("_copy") for name in names)


def test_derivatives_of_every_kind_of_node() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return 2 * grad

    x = torch.ones(3, requires_grad=True)
    with profile() as prof:
        (Double.apply(x) * x + x.half().exp() - torch.stack([x, x])[0]).real.sum().backward()
    backward = {name for name in by_key(prof) if "Backward" in name}
    assert {"DoubleBackward", "MulBackward0", "ExpBackward0", "StackBackward0", "AddBackward0"} <= backward


def test_compiled_steps_are_one_event() -> None:
    compiled = torch.compile(lambda x: (x * 2 + 1).sum())
    compiled(torch.ones(3))
    with profile() as prof:
        compiled(torch.ones(3))
    assert "Torch-Compiled Region" in by_key(prof)
    assert "aten::mul" not in by_key(prof)


def test_exceptions_close_what_they_leave() -> None:
    with profile() as prof:
        with pytest.raises(RuntimeError), record_function("block"):
            torch.ones(2) + torch.ones(3)
        torch.ones(2)
    events = prof.events()
    assert [event.name for event in events if event.cpu_parent is None] == ["block", "aten::ones"]
    assert all(event.time_range.end >= event.time_range.start > 0 for event in events)


def test_threads_have_trees_of_their_own() -> None:
    x = torch.ones(3)
    with profile() as prof, record_function("main"):
        thread = threading.Thread(target=lambda: x * 2)
        thread.start()
        thread.join()
    (event,) = [event for event in prof.events() if event.name == "aten::mul"]
    assert event.thread == 2 and event.cpu_parent is None


def test_threads_that_outlive_the_profile_are_left_alone() -> None:
    go_on, hooks = threading.Event(), []

    def work() -> None:
        go_on.wait()
        torch.ones(3)
        hooks.append(sys.getprofile())

    with profile() as prof:
        thread = threading.Thread(target=work)
        thread.start()
    count = len(prof.events())
    go_on.set()
    thread.join()
    assert hooks == [None] and len(prof.events()) == count


def test_nothing_is_left_behind() -> None:
    assert sys.getprofile() is None
    with profile():
        assert sys.getprofile() is not None
        with pytest.raises(RuntimeError, match="Profiler is already enabled on this thread"), profile():
            pass
    assert sys.getprofile() is None
    with record_function("no profiler"):
        torch.ones(2)


def test_record_function_as_decorator() -> None:
    @record_function("mine")
    def double(x: Any) -> Any:
        """Twice."""
        return 2 * x

    assert double.__doc__ == "Twice."
    with profile() as prof:
        double(torch.ones(2))
        double(torch.ones(2))
    assert by_key(prof)["mine"].count == 2


# ---------------------------------------------------------------- tables and files


def replica(module: Any, events: list[dict[str, Any]], with_flops: bool = False) -> Any:
    """A list of events as a module has it, with times of our choice."""
    averages = []
    for fields in events:
        if module is pytorch:
            average = pytorch.autograd.profiler_util.FunctionEventAvg()
            average.node_id, average.stack, average.overload_name = -1, [], ""
        else:
            average = torch.profiler.FunctionEventAvg()
        for name, value in fields.items():
            setattr(average, name, value)
        averages.append(average)
    kind = pytorch.autograd.profiler_util.EventList if module is pytorch else torch.profiler.EventList
    return kind(averages, profile_memory=True, with_flops=with_flops)


EVENTS: list[dict[str, Any]] = [
    {
        "key": "aten::mul", "count": 3, "cpu_time_total": 5.25, "self_cpu_time_total": 5.25, "cpu_memory_usage": 2048,
        "self_cpu_memory_usage": 100, "input_shapes": [[2, 3], []], "flops": 4000,
        "stack": ["/a/very/long/path/" * 6 + "file.py(3): f", "g.py(4): g"],
    },
    {
        "key": "a name that is longer than the fifty-five columns it may have in the table", "count": 1,
        "cpu_time_total": 2.5e6, "self_cpu_time_total": 1234.5, "cpu_memory_usage": -5 * 1024**2,
        "self_cpu_memory_usage": 3 * 1024**3, "input_shapes": "",
    },
    {
        "key": "aten::add", "count": 0, "cpu_time_total": 0.0, "self_cpu_time_total": 0.0, "input_shapes": [[1] * 40],
        "flops": 2_500_000,
    },
]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sort_by": "self_cpu_time_total"},
        {"sort_by": "self_cpu_memory_usage", "row_limit": 2},
        {"header": "a header", "top_level_events_only": True},
        {"time_unit": "ms", "max_name_column_width": 20, "max_shapes_column_width": 15, "max_src_column_width": 30},
    ],
)
def test_table_is_pytorchs(options: dict[str, Any]) -> None:
    without_stack = [{**event, "stack": []} for event in EVENTS]
    for events in (EVENTS, EVENTS[:1], without_stack, without_stack[1:2], []):
        # with both, PyTorch puts the numbers of floating-point operations under the heading of the locations
        with_flops = not any(event.get("stack") for event in events)
        theirs, ours = replica(pytorch, events, with_flops), replica(torch, events, with_flops)
        assert ours.table(**options) == theirs.table(**options)
    assert [repr(event) for event in replica(torch, EVENTS)] == [repr(event) for event in replica(pytorch, EVENTS)]


def test_chrome_trace(tmp_path: Path) -> None:
    prof = profiled(record_shapes=True, with_stack=True)
    prof.add_metadata("mine", "yes")
    for name, opener in (("trace.json", open), ("trace.json.gz", gzip.open)):
        prof.export_chrome_trace(str(tmp_path / name))
        with opener(tmp_path / name, "rt") as file:
            trace = json.load(file)
        assert trace["mine"] == "yes"
        events = {event["name"]: event for event in trace["traceEvents"] if event["ph"] == "X"}
        model, linear = events["model"], events["aten::linear"]
        assert model["cat"] == "user_annotation" and linear["cat"] == "cpu_op"
        assert model["ts"] <= linear["ts"] and linear["ts"] + linear["dur"] <= model["ts"] + model["dur"]
        assert linear["args"]["Input Dims"][0] == [2, 4]


def test_stacks(tmp_path: Path) -> None:
    prof = profiled(with_stack=True)
    (linear,) = [event for event in prof.events() if event.name == "aten::linear"]
    assert linear.stack[0].startswith(__file__) and linear.stack[0].endswith(": step")
    assert "Source Location" in prof.key_averages(group_by_stack_n=2).table()
    prof.export_stacks(str(tmp_path / "stacks"), "self_cpu_time_total")
    lines = (tmp_path / "stacks").read_text().splitlines()
    assert any("test_profiler.py" in line and line.rsplit(" ", 1)[1].isdigit() for line in lines)
    with pytest.raises(ValueError, match="metric should be one of"):
        prof.export_stacks(str(tmp_path / "stacks"), "no_metric")


def test_flops() -> None:
    a, b = torch.ones(5, 4), torch.ones(4, 3)
    with profile(with_flops=True) as prof:
        a @ b
        a * 2
    assert by_key(prof)["aten::matmul"].flops == 2 * 5 * 4 * 3
    assert by_key(prof)["aten::mul"].flops == 20
    assert "FLOPs" in prof.key_averages().table()


# ---------------------------------------------------------------- schedules

ARGUMENTS: list[dict[str, int]] = [
    {"wait": 1, "warmup": 1, "active": 2},
    {"wait": 2, "warmup": 1, "active": 1, "repeat": 2, "skip_first": 3},
    {"wait": 1, "warmup": 2, "active": 3, "repeat": 1, "skip_first_wait": 1},
    {"wait": 0, "warmup": 0, "active": 1},
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_schedule_is_pytorchs(arguments: dict[str, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = schedule(**arguments), pytorch.profiler.schedule(**arguments)
    assert [ours(i).name for i in range(20)] == [theirs(i).name for i in range(20)]


def test_scheduled_profile(tmp_path: Path) -> None:
    traces: list[list[str]] = []

    def ready(prof: Any) -> None:
        traces.append([event.name for event in prof.events() if event.name.startswith("ProfilerStep")])
        torch.profiler.tensorboard_trace_handler(str(tmp_path / "folder"), "worker")(prof)

    with profile(schedule=schedule(wait=1, warmup=1, active=2, repeat=2), on_trace_ready=ready) as prof:
        for _ in range(10):
            torch.ones(2) * 2
            prof.step()
    assert traces == [["ProfilerStep#2", "ProfilerStep#3"], ["ProfilerStep#6", "ProfilerStep#7"]]
    files = list((tmp_path / "folder").iterdir())
    assert len(files) == 2 and all(
        file.name.startswith("worker.") and file.name.endswith(".pt.trace.json") for file in files
    )


def test_events_of_all_cycles() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = schedule(wait=0, warmup=0, active=1)
    for accumulate, count in ((False, 1), (True, 3)):
        with profile(schedule=every, acc_events=accumulate) as prof:
            for i in range(3):
                torch.ones(2) * 2
                if i < 2:
                    prof.step()
        assert by_key(prof)["aten::mul"].count == count


def test_errors() -> None:
    with pytest.raises(AssertionError, match="No valid profiler activities found"):
        profile(activities=[])
    with pytest.raises(AssertionError, match="Profiler must be initialized"):
        profile().events()
    with pytest.raises(AssertionError, match="Invalid profiler schedule arguments"):
        schedule(wait=-1, warmup=0, active=1)
    with pytest.warns(UserWarning, match="warmup"):
        schedule(wait=0, warmup=0, active=1)
    with (
        pytest.warns(UserWarning, match="Incorrect schedule: RECORD followed by NONE"),
        profile(schedule=lambda i: ProfilerAction.RECORD if i == 0 else ProfilerAction.NONE) as prof,
    ):
        prof.step()


def test_autograd_profiler() -> None:
    with torch.autograd.profiler.profile(record_shapes=True) as prof:
        assert str(prof) == "<unfinished torch.autograd.profile>"
        with torch.autograd.profiler.record_function("block"):
            torch.ones(2) * 2
    assert "block" in str(prof) and "aten::mul" in prof.table(sort_by="count")
    assert prof.self_cpu_time_total == pytest.approx(prof.total_average().self_cpu_time_total)
    assert prof.key_averages(group_by_input_shape=True)[0].key == "block"
    with torch.autograd.profiler.profile(enabled=False) as nothing:
        torch.ones(2)
    with pytest.raises(RuntimeError, match="Profiler didn't finish running"):
        nothing.events()
