"""Hooks of every kind, beside PyTorch: when they are called, with what, and what their results do."""

import importlib

import pytest

import rushlight

torch = pytest.importorskip("torch")


def module_functions(t):
    return importlib.import_module(("rushlight" if t is rushlight else "torch") + ".nn.modules.module")


def test_hooks_on_all_modules_come_first(same):
    def ask(t):
        everywhere, calls = module_functions(t), []
        model = t.nn.Sequential(t.nn.Linear(2, 3), t.nn.Tanh())

        def note(name):
            return lambda module, *rest: calls.append((name, type(module).__name__, len(rest)))

        handles = [
            everywhere.register_module_forward_pre_hook(note("every pre")),
            everywhere.register_module_forward_hook(note("every forward")),
            everywhere.register_module_forward_hook(lambda m, a, k, out: calls.append(sorted(k)), with_kwargs=True),
            everywhere.register_module_full_backward_pre_hook(note("every backward pre")),
            everywhere.register_module_full_backward_hook(note("every backward")),
        ]
        model[0].register_forward_pre_hook(note("own pre"))
        model[0].register_forward_hook(note("own forward"))
        model[0].register_full_backward_hook(note("own backward"))
        try:
            model(t.ones(1, 2, requires_grad=True)).sum().backward()
        finally:
            for handle in handles:
                handle.remove()
        before = len(calls)
        model(t.ones(1, 2))
        return calls, len(calls) - before

    assert same(ask)[1] == 2


def test_hooks_on_registration(same):
    def ask(t):
        everywhere, calls = module_functions(t), []
        handles = [
            everywhere.register_module_parameter_registration_hook(lambda m, name, p: calls.append(name)),
            everywhere.register_module_buffer_registration_hook(lambda m, name, b: b + 1),
            everywhere.register_module_module_registration_hook(lambda m, name, c: calls.append(type(c).__name__)),
        ]
        try:
            model = t.nn.Sequential(t.nn.Linear(2, 3))
            model.register_buffer("count", t.zeros(()))
        finally:
            for handle in handles:
                handle.remove()
        t.nn.Linear(2, 3)
        return calls, model.count

    same(ask)


def test_the_two_kinds_of_backward_hooks_do_not_mix(same):
    def ask(t, first, second):
        layer = t.nn.Linear(2, 2)
        getattr(layer, first)(lambda *args: None)
        getattr(layer, second)(lambda *args: None)

    both = "register_backward_hook", "register_full_backward_hook"
    assert same(lambda t: ask(t, *both))["error"] == "RuntimeError"
    assert same(lambda t: ask(t, *both[::-1]))["error"] == "RuntimeError"


def test_tables_of_hooks_have_pytorchs_names(same):
    def ask(t):
        layer = t.nn.Linear(2, 2)
        hook = layer.extra_repr
        layer.register_forward_pre_hook(hook)
        layer.register_forward_hook(hook, with_kwargs=True)
        layer.register_full_backward_hook(hook)
        layer.register_full_backward_pre_hook(hook)
        layer._register_load_state_dict_pre_hook(hook)
        tables = (
            layer._forward_pre_hooks, layer._forward_hooks, layer._backward_hooks, layer._backward_pre_hooks,
            layer._state_dict_hooks,
        )  # fmt: skip
        return [[value == hook for value in table.values()] for table in tables], len(layer._load_state_dict_pre_hooks)

    same(ask)


def test_taken_from_the_table_a_hook_is_gone():
    layer, calls = rushlight.nn.Identity(), []
    handle = layer.register_forward_pre_hook(lambda *args: calls.append(1))
    del layer._forward_pre_hooks[handle.id]
    layer(rushlight.ones(1))
    assert not calls


def test_set_submodule(same):
    def ask(t, target, strict=False, what=None):
        model = t.nn.Sequential(t.nn.Sequential(t.nn.Linear(1, 2)), t.nn.ReLU())
        model.set_submodule(target, t.nn.Tanh() if what is None else what, strict)
        return repr(model)

    for arguments in (
        ("0.0",),
        ("1",),
        ("0.new",),
        ("0.new", True),
        ("",),
        ("9.1",),
        ("0.0", False, 3),
        ("0.0.weight",),
    ):
        same(lambda t, arguments=arguments: ask(t, *arguments))


def test_arguments_of_module(same):
    class Base:
        def __init__(self, word="none"):
            self.word = word

    def ask(t, *args, **kwargs):
        return type("Mixed", (t.nn.Module, Base), {"call_super_init": True})(*args, **kwargs).word

    same(lambda t: ask(t, "given"))
    same(lambda t: ask(t, word="named"))
    same(lambda t: t.nn.Module(3))
    same(lambda t: t.nn.Module(word=3))
