"""Containers against PyTorch's: what they hold, how they print, what they refuse."""

from collections import OrderedDict

import pytest

import rushlight
from rushlight import nn

torch = pytest.importorskip("torch")


def both(ask):
    answers = []
    for t, n in ((rushlight, nn), (torch, torch.nn)):
        try:
            answers.append(ask(t, n))
        except Exception as error:  # noqa: BLE001  (whatever it is, it is compared)
            text = str(error).replace("rushlight.", "torch.").replace("torch.nn.module.", "torch.nn.modules.module.")
            answers.append((type(error).__name__, text))
    return answers


def parts(n):
    return [n.Linear(1, 2), n.ReLU(), n.Linear(2, 1)]


def shown(value):
    """A text to compare: of a module its repr and the names of its parameters."""
    if hasattr(value, "named_parameters"):
        return repr(value), [name for name, _ in value.named_parameters()]
    return [shown(item) for item in value] if isinstance(value, (list, tuple)) else value


def changed(container, change):
    result = change(container)
    return [container, len(container), result if result is not container else "itself"]


CASES = {
    # Sequential
    "empty": lambda t, n: n.Sequential(),
    "of a dict": lambda t, n: n.Sequential(OrderedDict(a=n.Linear(1, 2), b=n.ReLU())),
    "item": lambda t, n: [n.Sequential(*parts(n))[i] for i in (0, -1)],
    "slice": lambda t, n: [n.Sequential(*parts(n))[s] for s in (slice(1), slice(1, None), slice(None, None, -2))],
    "slice of a dict": lambda t, n: n.Sequential(OrderedDict(a=n.Linear(1, 2), b=n.ReLU()))[:1],
    "set": lambda t, n: changed(n.Sequential(*parts(n)), lambda s: s.__setitem__(1, n.Tanh())),
    "delete": lambda t, n: changed(n.Sequential(*parts(n)), lambda s: s.__delitem__(0)),
    "delete slice": lambda t, n: changed(n.Sequential(*parts(n)), lambda s: s.__delitem__(slice(0, 2))),
    "append": lambda t, n: changed(n.Sequential(*parts(n)), lambda s: s.append(n.Tanh())),
    "insert": lambda t, n: changed(n.Sequential(*parts(n)), lambda s: s.insert(1, n.Tanh())),
    "extend": lambda t, n: changed(n.Sequential(*parts(n)), lambda s: s.extend(parts(n))),
    "pop": lambda t, n: changed(n.Sequential(*parts(n)), lambda s: s.pop(1)),
    "sum": lambda t, n: n.Sequential(n.ReLU()) + n.Sequential(n.Tanh()),
    "product": lambda t, n: [n.Sequential(n.ReLU()) * 2, 2 * n.Sequential(n.Tanh())],
    "iterate": lambda t, n: list(n.Sequential(*parts(n))),
    "no index": lambda t, n: n.Sequential(*parts(n))[3],
    "name as index": lambda t, n: n.Sequential(*parts(n))["0"],
    "append number": lambda t, n: n.Sequential().append(3),
    "insert too far": lambda t, n: n.Sequential().insert(5, n.ReLU()),
    "insert number": lambda t, n: n.Sequential().insert(0, 3),
    "add number": lambda t, n: n.Sequential() + 3,
    "times zero": lambda t, n: n.Sequential() * 0,
    "times text": lambda t, n: n.Sequential() * "a",
    # ModuleList
    "list": lambda t, n: n.ModuleList(parts(n)),
    "list of equals": lambda t, n: n.ModuleList([n.Sequential(n.ReLU())] * 2 + [n.Tanh()] + [n.ReLU()] * 3),
    "empty list": lambda t, n: n.ModuleList(),
    "list slice": lambda t, n: n.ModuleList(parts(n))[1:],
    "list insert": lambda t, n: changed(n.ModuleList(parts(n)), lambda s: s.insert(1, n.Tanh())),
    "list delete": lambda t, n: changed(n.ModuleList(parts(n)), lambda s: s.__delitem__(1)),
    "list pop": lambda t, n: changed(n.ModuleList(parts(n)), lambda s: s.pop(0)),
    "list set": lambda t, n: changed(n.ModuleList(parts(n)), lambda s: s.__setitem__(-1, n.Tanh())),
    "list sum": lambda t, n: n.ModuleList(parts(n)) + n.ModuleList(parts(n)),
    "list extend": lambda t, n: changed(n.ModuleList(parts(n)), lambda s: s.extend(parts(n))),
    "list of number": lambda t, n: n.ModuleList([1]),
    "number as list": lambda t, n: n.ModuleList(3),
    "list called": lambda t, n: n.ModuleList(parts(n))(3),
    "no list index": lambda t, n: n.ModuleList(parts(n))[7],
    # ModuleDict
    "dict": lambda t, n: n.ModuleDict({"b": n.ReLU(), "a": n.Linear(1, 1)}),
    "dict of pairs": lambda t, n: n.ModuleDict([["b", n.ReLU()], ("a", n.Tanh())]),
    "dict keys": lambda t, n: [list(n.ModuleDict({"b": n.ReLU()}).keys()), "b" in n.ModuleDict({"b": n.ReLU()})],
    "dict values": lambda t, n: list(n.ModuleDict({"b": n.ReLU()}).values()),
    "dict pop": lambda t, n: changed(n.ModuleDict({"b": n.ReLU()}), lambda d: d.pop("b")),
    "dict delete": lambda t, n: changed(n.ModuleDict({"b": n.ReLU()}), lambda d: d.__delitem__("b")),
    "dict clear": lambda t, n: changed(n.ModuleDict({"b": n.ReLU()}), lambda d: d.clear()),
    "dict update": lambda t, n: changed(n.ModuleDict({"b": n.ReLU()}), lambda d: d.update({"c": n.Tanh()})),
    "dict of number": lambda t, n: n.ModuleDict([1]),
    "dict of no iterable": lambda t, n: n.ModuleDict(1),
    "dict of triples": lambda t, n: n.ModuleDict([(1, 2, 3)]),
    "dict of numbers": lambda t, n: n.ModuleDict({1: n.ReLU()}),
    "no key": lambda t, n: n.ModuleDict()["a"],
    # ParameterList
    "parameters": lambda t, n: n.ParameterList([t.ones(2), n.Parameter(t.ones(2, 3)), 7, "a"]),
    "no parameters": lambda t, n: n.ParameterList(),
    "parameter": lambda t, n: n.ParameterList([t.ones(2)])[-1].tolist(),
    "parameter slice": lambda t, n: n.ParameterList([t.ones(2), t.ones(3)])[1:],
    "parameter set": lambda t, n: changed(n.ParameterList([t.ones(2)]), lambda p: p.__setitem__(0, t.ones(5))),
    "parameter append": lambda t, n: changed(n.ParameterList([t.ones(2)]), lambda p: p.append(t.ones(5))),
    "parameter extend": lambda t, n: changed(n.ParameterList([t.ones(2)]), lambda p: p.extend([t.ones(5)])),
    "parameter state": lambda t, n: list(n.ParameterList([t.ones(2), t.ones(3)]).state_dict()),
    "no such parameter": lambda t, n: n.ParameterList([t.ones(2)])[1],
    "parameters of a tensor": lambda t, n: n.ParameterList().extend(3),
    # ParameterDict
    "named parameters": lambda t, n: n.ParameterDict({"b": t.ones(2), "a": n.Parameter(t.ones(2, 3)), "c": 3}),
    "no named parameters": lambda t, n: n.ParameterDict(),
    "named parameter": lambda t, n: n.ParameterDict({"b": t.ones(2)})["b"].tolist(),
    "named parameter keys": lambda t, n: list(n.ParameterDict({"b": t.ones(2), "a": t.ones(1)})),
    "named parameter pop": lambda t, n: len(n.ParameterDict({"b": t.ones(2)}).pop("b")),
    "named parameter get": lambda t, n: n.ParameterDict({"b": t.ones(2)}).get("c", 5),
    "named parameter or": lambda t, n: list(n.ParameterDict({"b": t.ones(2)}) | n.ParameterDict({"c": t.ones(1)})),
    "named parameter number": lambda t, n: n.ParameterDict({1: t.ones(2)}),
}


@pytest.mark.parametrize("ask", CASES.values(), ids=CASES)
def test_containers(ask):
    ours, theirs = both(ask)
    assert shown(ours) == shown(theirs)


def test_sequential_runs_in_order():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    assert model(rushlight.zeros(4, 2, 3)).shape == (4, 2)
    assert model[:1](rushlight.zeros(4, 2, 3)).shape == (4, 6)
    assert model[1] is model._modules["1"]
