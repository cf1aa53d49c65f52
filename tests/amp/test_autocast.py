"""autocast: the dtypes of results are PyTorch's, inside the block and outside of it, in every thread."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

import rushlight

WORK = [
    lambda t, x, y: x @ y,
    lambda t, x, y: t.mm(x, y),
    lambda t, x, y: t.addmm(x, x, y),
    lambda t, x, y: t.bmm(x[None], y[None]),
    lambda t, x, y: t.nn.functional.linear(x, y, x[0]),
    lambda t, x, y: t.nn.functional.conv1d(x[None], y[:, :, None]),
    lambda t, x, y: t.nn.functional.scaled_dot_product_attention(x[None], y[None], x[None]),
    lambda t, x, y: x @ y.bfloat16(),
    lambda t, x, y: t.matmul(x @ y, x),
    lambda t, x, y: x.double() @ y.double(),
    lambda t, x, y: (x @ y) + x,
    lambda t, x, y: t.relu(x @ y),
    lambda t, x, y: t.softmax(x @ y, 1),
    lambda t, x, y: t.nn.functional.layer_norm(x, (3,)),
    lambda t, x, y: t.nn.functional.mse_loss(x @ y, x),
    lambda t, x, y: t.nn.functional.l1_loss(x @ y, x @ y),
    lambda t, x, y: t.nn.functional.cross_entropy(x @ y, t.tensor([0, 1, 2])),
    lambda t, x, y: t.nn.functional.binary_cross_entropy_with_logits(x @ y, (x > 0).float()),
    lambda t, x, y: t.nn.functional.kl_div(x @ y, x, reduction="sum"),
    lambda t, x, y: t.prod(x @ y),
    lambda t, x, y: (x @ y).prod(),
    lambda t, x, y: t.cdist(x @ y, x),
    lambda t, x, y: t.linalg.inv(x @ y),
    lambda t, x, y: t.trace(x @ y),
    lambda t, x, y: t.cat([x @ y, x]),
    lambda t, x, y: t.stack([x @ y, x]),
    lambda t, x, y: (x @ y).sum(),
    lambda t, x, y: t.nn.Linear(3, 2)(x),
]


def matrices(library):
    x = np.random.default_rng(0).standard_normal((2, 3, 3)).astype(np.float32)
    return [library.from_numpy(part) for part in x]


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_dtypes_and_values(work, dtype):
    results = []
    for library in (rushlight, torch):
        with library.autocast("cpu", dtype=getattr(library, dtype)):
            results.append(work(library, *matrices(library)))
    mine, theirs = results
    assert str(mine.dtype) == str(theirs.dtype) and mine.shape == theirs.shape
    if "Linear" not in work.__code__.co_names:
        np.testing.assert_allclose(mine.detach().double().numpy(), theirs.double().numpy(), rtol=0.05, atol=0.05)


def test_training_gives_gradients_in_the_parameters_precision():
    losses = []
    for library in (rushlight, torch):
        x, y = matrices(library)
        w = y.clone().requires_grad_()
        with library.autocast("cpu"):
            loss = library.nn.functional.mse_loss(library.relu(x @ w), x)
        loss.backward()
        losses.append((loss.item(), w.grad))
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-2)
    assert losses[0][1].dtype is rushlight.float32
    np.testing.assert_allclose(losses[0][1].numpy(), losses[1][1].numpy(), rtol=0.05, atol=0.02)


def test_blocks_nest_and_end():
    x, y = matrices(rushlight)
    with rushlight.autocast("cpu"):
        assert rushlight.is_autocast_enabled("cpu") and (x @ y).dtype is rushlight.bfloat16
        with rushlight.autocast("cpu", enabled=False):
            assert (x @ y).dtype is rushlight.float32 and not rushlight.is_autocast_enabled("cpu")
        with rushlight.autocast("cpu", rushlight.float16):
            assert (x @ y).dtype is rushlight.float16
        assert (x @ y).dtype is rushlight.bfloat16
        with pytest.raises(ZeroDivisionError), rushlight.autocast("cpu", enabled=False):
            raise ZeroDivisionError
    assert (x @ y).dtype is rushlight.float32 and not rushlight.is_autocast_enabled("cpu")
    from rushlight.ops import observers

    assert observers.count == 0  # the short paths are open again


def test_as_a_decorator_and_by_functions():
    x, y = matrices(rushlight)
    assert rushlight.autocast("cpu")(lambda: x @ y)().dtype is rushlight.bfloat16
    rushlight.set_autocast_dtype("cpu", rushlight.float16)
    rushlight.set_autocast_enabled("cpu", True)
    try:
        assert (x @ y).dtype is rushlight.float16 is rushlight.get_autocast_dtype("cpu")
    finally:
        rushlight.set_autocast_enabled("cpu", False)
        rushlight.set_autocast_dtype("cpu", rushlight.bfloat16)
    assert (x @ y).dtype is rushlight.float32


def test_other_threads_do_not_see_it():
    x, y = matrices(rushlight)
    found = []
    with rushlight.autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append((x @ y).dtype))
        thread.start()
        thread.join()
    assert found == [rushlight.float32]


def test_compiled_functions_know_it():
    x, y = matrices(rushlight)
    product = rushlight.compile(lambda: (x @ y).float() + 1, fullgraph=True)
    plain = product()
    with rushlight.autocast("cpu"):
        lowered, eager = product(), (x @ y).float() + 1
    np.testing.assert_allclose(lowered.numpy(), eager.numpy(), rtol=1e-2)
    assert not np.array_equal(lowered.numpy(), plain.numpy())
    np.testing.assert_array_equal(product().numpy(), plain.numpy())


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda t: t.autocast("meta", t.bfloat16), RuntimeError),
        (lambda t: t.autocast(3), ValueError),
        (lambda t: t.autocast("cpu")(3), TypeError),
        (lambda t: t.autocast("cpu", dtype=t.float64), UserWarning),
        (lambda t: t.autocast("cuda"), UserWarning),
        (lambda t: t.cpu.amp.autocast(), FutureWarning),
        (lambda t: t.cpu.amp.GradScaler(), FutureWarning),
    ],
)
def test_errors_and_warnings_as_pytorchs(call, kind, without_gpu):
    messages = []
    for library in (rushlight, torch):
        catch = pytest.warns if issubclass(kind, Warning) else pytest.raises
        with catch(kind) as caught:
            call(library)
        messages.append(str(caught[0].message if issubclass(kind, Warning) else caught.value)[:60])
    assert messages[0] == messages[1]


def test_custom_functions():
    class Context:
        pass

    @rushlight.amp.custom_fwd(device_type="cpu", cast_inputs=rushlight.float32)
    def forward(context, x, y):
        return x @ y

    @rushlight.amp.custom_bwd(device_type="cpu")
    def backward(context, x, y):
        return x @ y

    x, y = matrices(rushlight)
    context = Context()
    with rushlight.autocast("cpu"):
        assert forward(context, x.bfloat16(), y).dtype is rushlight.float32
    assert backward(context, x, y).dtype is rushlight.float32


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "GRUCell", "RNNCell"])
def test_recurrent_layers(kind):
    results = []
    for library in (rushlight, torch):
        library.manual_seed(0)
        layer, x = getattr(library.nn, kind)(3, 2), matrices(library)[0]
        with library.autocast("cpu", dtype=library.bfloat16):  # PyTorch has no float16 LSTM on the CPU
            found = layer(x)
        results.append(found if kind.endswith("Cell") else found[0])
    mine, theirs = results
    assert str(mine.dtype) == str(theirs.dtype)
    np.testing.assert_allclose(mine.detach().double().numpy(), theirs.detach().double().numpy(), rtol=0.05, atol=0.02)
