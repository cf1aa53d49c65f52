"""The contract of Module: registration, the tree, modes, state, hooks, errors. PyTorch is asked what is right."""

import copy
import gc
import io
import pickle
import subprocess
import sys
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import rushlight
from rushlight import nn

torch = pytest.importorskip("torch")


def net(t, n):
    """A model with a bit of everything."""

    class Block(n.Module):
        def __init__(self):
            super().__init__()
            self.fc = n.Linear(3, 3)
            self.scale = n.Parameter(t.ones(3))
            self.register_buffer("mean", t.zeros(3))
            self.register_buffer("scratch", t.zeros(1), persistent=False)
            self.register_parameter("absent", None)
            self.word = "plain"

        def forward(self, x):
            return self.fc(x) * self.scale + self.mean

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.first = Block()
            self.rest = n.Sequential(n.Linear(3, 4), n.ReLU(), n.Linear(4, 2))
            self.again = self.first
            self.none = None

        def forward(self, x):
            return self.rest(self.again(self.first(x)))

        def extra_repr(self):
            return "width=3\ndepth=2"

    t.manual_seed(0)
    return Net()


def pair():
    return net(rushlight, nn), net(torch, torch.nn)


def both(ask):
    """What a question gives with either library: a value, or the type and text of an error."""
    answers = []
    for t, n in ((rushlight, nn), (torch, torch.nn)):
        try:
            answers.append(ask(t, n))
        except Exception as error:  # noqa: BLE001  (whatever it is, it is compared)
            text = error.args[0] if isinstance(error, KeyError) else str(error)
            answers.append((type(error).__name__, str(text).replace("rushlight.", "torch.")))
    return answers


def agree(ask):
    ours, theirs = both(ask)
    assert ours == theirs
    return ours


# ---------------------------------------------------------------- the tree


def names_of(model):
    return [
        repr(model),
        [name for name, _ in model.named_parameters()],
        [name for name, _ in model.named_parameters(remove_duplicate=False)],
        [name for name, _ in model.named_parameters("p", recurse=False)],
        [name for name, _ in model.first.named_parameters(prefix="p")],
        [name for name, _ in model.named_buffers()],
        [name for name, _ in model.named_modules()],
        [name for name, _ in model.named_modules(prefix="x", remove_duplicate=False)],
        [name for name, _ in model.named_children()],
        [type(m).__name__ for m in model.modules()],
        list(model.state_dict()),
        list(model.state_dict(prefix="p.")),
        dict(model.state_dict()._metadata),
        [p.requires_grad for p in model.requires_grad_(False).parameters()],
        [m.training for m in model.eval().modules()],
        [m.training for m in model.train().modules()],
        type(model.get_submodule("rest.0")).__name__,
        tuple(model.get_parameter("rest.0.weight").shape),
        tuple(model.get_buffer("first.mean").shape),
        model.get_submodule("") is model,
        "first" in dir(model),
    ]


def test_the_tree():
    ours, theirs = pair()
    for a, b in zip(names_of(ours), names_of(theirs), strict=True):
        assert a == b


def test_apply_goes_up_from_the_leaves():
    def visits(t, n):
        seen = []
        net(t, n).apply(lambda m: seen.append(type(m).__name__))
        return seen

    agree(visits)


@pytest.mark.parametrize("name", ["double", "half", "bfloat16", "float", "cpu"])
def test_conversions(name):
    def dtypes_after(t, n):
        model = net(t, n)
        model.register_buffer("count", t.zeros(1, dtype=t.int64))
        parameter = model.first.scale
        model.first.scale.grad = t.ones(3)
        converted = getattr(model, name)()
        kept = parameter is model.first.scale and converted is model
        return [str(x.dtype) for x in model.state_dict().values()] + [str(parameter.grad.dtype), kept]

    agree(dtypes_after)


def test_to():
    agree(lambda t, n: [str(x.dtype) for x in net(t, n).to(t.float64).parameters()])
    agree(lambda t, n: [str(x.dtype) for x in net(t, n).to("cpu", t.float16).parameters()])
    agree(lambda t, n: [str(x.dtype) for x in net(t, n).to(dtype=t.float64).parameters()])
    agree(lambda t, n: [str(x.dtype) for x in net(t, n).to(t.zeros(1, dtype=t.float64)).parameters()])
    agree(lambda t, n: [x.is_meta for x in net(t, n).to("meta").parameters()])
    agree(lambda t, n: [x.is_meta for x in net(t, n).to("meta").to_empty(device="cpu").parameters()])
    agree(lambda t, n: net(t, n).to(t.int64))


def test_zero_grad():
    def grads(t, n, **options):
        model = net(t, n)
        model(t.ones(2, 3)).sum().backward()
        model.zero_grad(**options)
        return [p.grad if p.grad is None else p.grad.tolist() for p in model.parameters()]

    agree(lambda t, n: grads(t, n))
    agree(lambda t, n: grads(t, n, set_to_none=False))


# ---------------------------------------------------------------- attributes


FAULTS = {
    "parameter before init": lambda t, n: setattr(object.__new__(n.Module), "x", n.Parameter(t.ones(1))),
    "module before init": lambda t, n: setattr(object.__new__(n.Module), "x", n.ReLU()),
    "tensor as parameter": lambda t, n: setattr(net(t, n).first, "scale", t.ones(3)),
    "number as parameter": lambda t, n: setattr(net(t, n).first, "scale", 3),
    "module as parameter": lambda t, n: setattr(net(t, n).first, "scale", n.ReLU()),
    "buffer as module": lambda t, n: setattr(net(t, n), "rest", n.Buffer(t.ones(1))),
    "number as module": lambda t, n: setattr(net(t, n), "rest", 3),
    "number as buffer": lambda t, n: setattr(net(t, n).first, "mean", 3),
    "missing": lambda t, n: net(t, n).nothing,
    "missing of a module": lambda t, n: n.ReLU().weight,
    "deleted": lambda t, n: delattr(net(t, n), "nothing"),
    "dotted parameter": lambda t, n: net(t, n).register_parameter("a.b", None),
    "dotted buffer": lambda t, n: net(t, n).register_buffer("a.b", None),
    "dotted module": lambda t, n: net(t, n).add_module("a.b", None),
    "empty parameter": lambda t, n: net(t, n).register_parameter("", None),
    "empty module": lambda t, n: net(t, n).add_module("", None),
    "parameter exists": lambda t, n: net(t, n).first.register_parameter("word", None),
    "buffer exists": lambda t, n: net(t, n).first.register_buffer("word", None),
    "module exists": lambda t, n: net(t, n).first.add_module("word", n.ReLU()),
    "no parameter": lambda t, n: net(t, n).register_parameter("x", 3),
    "no buffer": lambda t, n: net(t, n).register_buffer("x", 3),
    "no module": lambda t, n: net(t, n).add_module("x", 3),
    "no name": lambda t, n: net(t, n).register_buffer(3, None),
    "computed": lambda t, n: net(t, n).register_parameter("x", n.Parameter(t.ones(1)) * 2),
    "train": lambda t, n: net(t, n).train("yes"),
    "no forward": lambda t, n: n.Module()(1),
    "unknown argument": lambda t, n: n.Module(a=1),
    "no submodule": lambda t, n: net(t, n).get_submodule("rest.7"),
    "no such module": lambda t, n: net(t, n).get_submodule("first.word"),
    "no such parameter": lambda t, n: net(t, n).get_parameter("first.mean"),
    "no such buffer": lambda t, n: net(t, n).get_buffer("first.scale"),
    "state of no dict": lambda t, n: net(t, n).load_state_dict([1]),
}


@pytest.mark.parametrize("ask", FAULTS.values(), ids=FAULTS)
def test_faults(ask):
    ours, theirs = both(ask)
    assert ours[0] == theirs[0]
    ignored = str.maketrans("", "", "`'")
    assert ours[1].translate(ignored) == theirs[1].translate(ignored)


def test_what_an_attribute_becomes():
    def story(t, n):
        m = net(t, n).first
        texts = []

        steps = [
            ("x", n.Parameter(t.ones(1))), ("x", None), ("x", n.Parameter(t.ones(2))), ("x", "deleted"), ("x", n.ReLU()),
            ("x", None), ("x", "deleted"), ("x", 3), ("x", n.Parameter(t.ones(1))), ("mean", t.ones(3)), ("mean", None),
            ("scratch", n.Parameter(t.ones(1))), ("new", n.Buffer(t.ones(1))),
            ("loose", n.Buffer(t.ones(1), persistent=False)),
        ]  # fmt: skip
        for name, value in steps:
            delattr(m, name) if isinstance(value, str) else setattr(m, name, value)
            texts.append((list(m._parameters), list(m._buffers), list(m._modules)))
        texts.append(list(m.state_dict()))
        return texts

    agree(story)


def test_registries_and_attributes_stay_in_step():
    model = net(rushlight, nn)
    other = nn.Linear(3, 3)
    model.first._modules["fc"] = other
    assert model.first.fc is other
    del model.first._parameters["scale"]
    assert not hasattr(model.first, "scale")
    model.first._parameters.update(scale=nn.Parameter(rushlight.ones(3)))
    assert model.first.scale is model.first._parameters["scale"]
    model.rest._modules.clear()
    assert not hasattr(model.rest, "0")
    assert model.first._buffers.pop("mean") is not None
    assert not hasattr(model.first, "mean")


def test_wrappers_may_forward_attributes():
    class Wrapper(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(self.inner, name)

    assert Wrapper(nn.Linear(3, 2)).in_features == 3


def test_a_model_goes_with_its_last_reference():
    model = net(rushlight, nn)
    gone = weakref.ref(model), weakref.ref(model.first)
    gc.disable()
    try:
        del model
        assert gone[0]() is None
        assert gone[1]() is None
    finally:
        gc.enable()


def test_copies_are_independent():
    model = net(rushlight, nn)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(net_for_pickle()))):
        names = dict(copied.named_parameters())
        assert all(p is not q for p, q in zip(names.values(), model.parameters(), strict=False))
    deep = copy.deepcopy(model)
    assert deep.first is deep.again
    assert deep.first is not model.first
    deep.first.scale = nn.Parameter(rushlight.zeros(3))
    assert deep.first._parameters["scale"] is deep.first.scale
    assert model.first.scale.sum().item() == 3
    shallow = copy.copy(model.first)
    shallow.scale = nn.Parameter(rushlight.zeros(3))
    assert shallow._parameters["scale"] is shallow.scale
    assert model.first.scale.sum().item() == 3


def net_for_pickle():
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))


# ---------------------------------------------------------------- state


def loaded(t, n, change, **options):
    model = net(t, n)
    before = [p.tolist() for p in model.state_dict().values()]
    state = OrderedDict((name, x + 1) for name, x in net(t, n).state_dict().items())
    change(t, state)
    try:
        result = model.load_state_dict(state, **options)
        text = str(result), result.missing_keys, result.unexpected_keys
    except RuntimeError as error:
        assert t is torch or [p.tolist() for p in model.state_dict().values()] == before
        return str(error)
    return text, [p.tolist() for p in model.state_dict().values()]


def _rename(t, state):
    state["rest.0.wait"] = state.pop("rest.0.weight")
    state["foo"] = state.pop("first.scale")
    state["rest.9.weight"] = t.ones(1)
    state["first.fc.weight"] = t.ones(2, 2)


CHANGES = {
    "nothing": lambda t, state: None,
    "names and a shape": _rename,
    "missing": lambda t, state: state.pop("first.mean"),
    "unexpected": lambda t, state: state.update({"first.fc.x.y": t.ones(1), "z": t.ones(1)}),
    "shape": lambda t, state: state.update({"first.mean": t.ones(4)}),
    "dtype": lambda t, state: state.update({"first.mean": t.ones(3, dtype=t.float64)}),
}


@pytest.mark.parametrize("options", [{}, {"strict": False}, {"assign": True}], ids=str)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_load_state_dict(change, options):
    agree(lambda t, n: loaded(t, n, change, **options))


def test_load_state_dict_wants_tensors():
    with pytest.raises(RuntimeError, match=r'While copying the parameter named "weight", expected torch.Tensor'):
        nn.Linear(1, 1).load_state_dict({"weight": 3, "bias": rushlight.ones(1)})


def test_assign_takes_the_tensors_themselves():
    def story(t, n):
        model, x = n.Linear(2, 2), t.ones(2, 2, dtype=t.float64)
        model.load_state_dict({"weight": x, "bias": t.ones(2)}, assign=True)
        x[0] = 5
        return str(model.weight.dtype), model.weight.tolist(), model.weight.requires_grad, type(model.weight).__name__

    agree(story)


def test_state_shares_memory_and_keep_vars_keeps_history():
    def story(t, n):
        model = n.Linear(2, 2)
        model.state_dict()["weight"].fill_(7.0)
        return model.weight.tolist(), model.state_dict()["weight"].requires_grad, [
            x.requires_grad for x in model.state_dict(keep_vars=True).values()
        ]  # fmt: skip

    agree(story)


def test_extra_state():
    def story(t, n):
        class Counting(n.Module):
            count = 0

            def get_extra_state(self):
                return {"count": self.count}

            def set_extra_state(self, state):
                self.count = state["count"]

        a, b = n.Sequential(Counting()), n.Sequential(Counting())
        a[0].count = 5
        state = a.state_dict()
        b.load_state_dict(state)
        try:
            b.load_state_dict({})
        except RuntimeError as error:
            return dict(state), b[0].count, str(error)

    agree(story)


def test_state_through_a_file():
    from rushlight.serialization import load, save

    file = io.BytesIO()
    save(net(rushlight, nn).state_dict(), file)
    file.seek(0)
    theirs = net(torch, torch.nn)
    assert str(theirs.load_state_dict(torch.load(file))) == "<All keys matched successfully>"
    file.seek(0)
    assert str(net(rushlight, nn).load_state_dict(load(file))) == "<All keys matched successfully>"


# ---------------------------------------------------------------- hooks


def test_forward_hooks():
    def story(t, n):
        calls, model = [], n.Linear(2, 1)
        with t.no_grad():
            model.weight.fill_(1.0), model.bias.fill_(0.0)
        x = t.ones(1, 2)
        handles = [
            model.register_forward_pre_hook(lambda m, args: calls.append("pre") or (args[0] * 2,)),
            model.register_forward_pre_hook(lambda m, args: calls.append("first") or args[0] + 1, prepend=True),
            model.register_forward_pre_hook(
                lambda m, args, kwargs: calls.append(sorted(kwargs)) or (args, kwargs), with_kwargs=True
            ),
            model.register_forward_hook(lambda m, args, out: calls.append(out.item())),
            model.register_forward_hook(lambda m, args, kwargs, out: out * 10, with_kwargs=True),
        ]
        results = [model(x).item()]
        for handle in handles:
            handle.remove()
            results.append(model(x).item())
        return calls, results

    agree(story)


def test_hooks_that_are_always_called():
    def story(t, n):
        calls, model = [], n.Linear(2, 1)
        model.register_forward_hook(lambda m, args, out: calls.append(out), always_call=True)
        model.register_forward_hook(lambda m, args, out: calls.append("not"))
        try:
            model(t.ones(1, 3))
        except RuntimeError as error:
            calls.append(str(error))
        return calls

    agree(story)


def test_backward_hooks():
    def story(t, n):
        calls = []

        class Product(n.Module):
            def forward(self, x, y, z):
                return x * y, y * 2 + z

        def plain(grads):
            return [None if g is None else g.tolist() for g in grads]

        model = Product()
        model.register_full_backward_hook(lambda m, gi, go: calls.append((plain(gi), plain(go))))
        model.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10, *gi[1:]))
        model.register_full_backward_pre_hook(lambda m, go: calls.append(plain(go)))
        x = t.tensor([2.0], requires_grad=True)
        y = t.tensor([3.0], requires_grad=True)
        a, b = model(x * 1, y * 1, 4.0)
        (a + b * b).sum().backward()
        return calls, x.grad.tolist(), y.grad.tolist()

    agree(story)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_backward_hooks_where_no_input_has_a_gradient():
    def story(t, n):
        calls, model = [], n.Linear(1, 1)
        model.register_full_backward_hook(lambda m, gi, go: calls.append((gi, go[0].tolist())))
        model(t.ones(2, 1)).sum().backward()
        return calls, model.bias.grad.tolist()

    agree(story)


def test_state_hooks():
    def story(t, n):
        calls, model = [], n.Sequential(n.Linear(1, 1))
        model[0].register_state_dict_pre_hook(lambda m, prefix, keep: calls.append(prefix))
        model[0].register_state_dict_post_hook(lambda m, state, prefix, meta: state.pop(prefix + "bias") and None)
        model[0].register_load_state_dict_pre_hook(
            lambda m, state, prefix, *rest: state.setdefault(prefix + "bias", t.ones(1)) is None
        )
        model.register_load_state_dict_post_hook(lambda m, keys: calls.append(list(keys.missing_keys)))
        state = model.state_dict()
        model.load_state_dict(state)
        return list(state), calls, model[0].bias.tolist()

    agree(story)


# ---------------------------------------------------------------- where an error came from


def test_an_error_names_the_module_once():
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(5, 2)))
    with pytest.raises(RuntimeError) as caught:
        model(rushlight.zeros(1, 3))
    notes = [note for note in caught.value.__notes__ if note.startswith("in ")]
    assert notes == ["in model.1.1 (Linear)"]
    with pytest.raises(RuntimeError) as caught:
        nn.Linear(1, 1)(rushlight.zeros(1, 3))
    assert [note for note in caught.value.__notes__ if note.startswith("in ")] == ["in model (Linear)"]


def test_a_call_costs_little():
    """A call without hooks is two functions of Python, its own and `forward`: nothing searches for hooks."""
    program = """
import sys
from rushlight import nn
identity, called = nn.Identity(), []
identity(1)
sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == "call" else None)
identity(1)
sys.setprofile(None)
assert called[-1] == "forward" and len(called) <= 2, called
"""
    subprocess.run(
        [sys.executable, "-c", program], check=True
    )  # alone: hooks of all modules may be left by other tests


def test_forward_as_numpy_value():
    model = net(rushlight, nn)
    theirs = net(torch, torch.nn)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(
        model(rushlight.from_numpy(x)).detach().numpy(), theirs(torch.from_numpy(x)).detach().numpy(), rtol=1e-6
    )
