"""nn.functional against PyTorch: values, gradients, and the texts of errors."""

import numpy as np
import pytest

import rushlight
import rushlight.nn.functional as ours

torch = pytest.importorskip("torch")
theirs = torch.nn.functional

RANDOM = np.random.default_rng(0)


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def probabilities(*shape):
    return RANDOM.random(shape).astype(np.float32)


def classes(high, *shape):
    return RANDOM.integers(0, high, shape)


def outcome(t, functional, name, arrays, options):
    """The value and the gradients of the float inputs; or the type and text of an error."""
    tensors = [t.from_numpy(np.array(a)) if isinstance(a, np.ndarray) else a for a in arrays]
    options = {k: t.from_numpy(np.array(v)) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    leaves = [x for x in tensors if isinstance(x, t.Tensor) and x.is_floating_point()]
    for x in leaves:
        x.requires_grad_(True)
    try:
        result = getattr(functional, name)(*tensors, **options)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is compared)
        return type(error).__name__, str(error)
    if result.requires_grad:
        weight = np.linspace(-1, 1, result.numel()).reshape(tuple(result.shape)).astype(np.float32)
        (result * t.from_numpy(weight)).sum().backward()
    return result, [x.grad for x in leaves]


def agree(name, arrays, options, tolerance=3e-6):
    actual = outcome(rushlight, ours, name, arrays, options)
    expected = outcome(torch, theirs, name, arrays, options)
    if isinstance(expected[0], str) or isinstance(actual[0], str):
        assert actual == expected
        return
    pairs = [(actual[0], expected[0]), *zip(actual[1], expected[1], strict=True)]
    for a, b in pairs:
        assert (a is None) == (b is None)
        if b is not None:
            assert str(a.dtype) == str(b.dtype)
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- losses of classes

IGNORED = np.array([1, -100, 0, 2, -100])
SHAPES = {
    "rows": (floats(5, 3), classes(3, 5)),
    "ignored": (floats(5, 3), IGNORED),
    "one": (floats(3), np.array(1)),
    "pixels": (floats(2, 3, 4), classes(3, 2, 4)),
    "images": (floats(2, 3, 4, 2), classes(3, 2, 4, 2)),
    "all ignored": (floats(2, 3), np.array([-100, -100])),
    "probabilities": (floats(5, 3), probabilities(5, 3)),
    "pixel probabilities": (floats(2, 3, 4), probabilities(2, 3, 4)),
    "bytes": (floats(2, 3), np.array([0, 2], np.uint8)),
    "empty": (floats(0, 3), classes(3, 0)),
}
CLASS_OPTIONS = [
    {}, {"weight": np.float32([0.5, 2, 1])}, {"reduction": "sum"}, {"reduction": "none"}, {"label_smoothing": 0.2},
    {"label_smoothing": 0.2, "weight": np.float32([0.5, 2, 1])}, {"label_smoothing": 0.1, "reduction": "none"},
    {"label_smoothing": 0.1, "reduction": "sum"}, {"weight": np.float32([0.5, 2, 1]), "reduction": "none"},
]  # fmt: skip


@pytest.mark.parametrize("options", CLASS_OPTIONS, ids=str)
@pytest.mark.parametrize("arrays", SHAPES.values(), ids=SHAPES)
def test_cross_entropy(arrays, options):
    if arrays[1].dtype == np.uint8 and "weight" in options and "label_smoothing" in options:
        pytest.skip("PyTorch fails here: it gathers weights by the uint8 targets")
    agree("cross_entropy", arrays, options, 1e-5)


@pytest.mark.parametrize("options", [options for options in CLASS_OPTIONS if "label_smoothing" not in options], ids=str)
@pytest.mark.parametrize("name", [name for name in SHAPES if "probabilities" not in name])
def test_nll_loss(name, options):
    agree("nll_loss", SHAPES[name], options)


def test_ignore_index():
    agree("cross_entropy", SHAPES["rows"], {"ignore_index": 1})
    agree("cross_entropy", SHAPES["rows"], {"ignore_index": 1, "label_smoothing": 0.1})
    agree("nll_loss", (floats(3, 2), np.array([0, -1, 1])), {"ignore_index": -1})


CLASS_FAULTS = [
    ((floats(4, 3), classes(3, 3)), {}),
    ((floats(4, 3), np.array([0, 1, 2, 3])), {}),
    ((floats(4, 3), np.array([0, 1, 2, -1])), {}),
    ((floats(4, 3), np.array([0, 1, 2, 3])), {"reduction": "sum"}),
    ((floats(4, 3), np.array([0, 1, 2, 0], np.int32)), {}),
    ((floats(4, 3), floats(4)), {}),
    ((floats(4, 3), classes(3, 1, 4)), {}),
    ((floats(3), np.array([0, 1])), {}),
    ((floats(2, 3, 4), classes(3, 1, 3)), {}),
    ((floats(2, 3, 4), classes(3, 2, 5)), {}),
    ((floats(4, 3), classes(3, 4, 3)), {}),
    ((floats(4, 3), floats(4, 3)), {"ignore_index": 1}),
    ((floats(4, 3), classes(3, 4)), {"reduction": "foo"}),
    ((floats(4, 3), classes(3, 4)), {"label_smoothing": 2}),
    ((floats(4, 3), classes(3, 4)), {"weight": np.ones(2, np.float32)}),
]


@pytest.mark.parametrize(("arrays", "options"), CLASS_FAULTS)
def test_cross_entropy_faults(arrays, options):
    agree("cross_entropy", arrays, options)


# ---------------------------------------------------------------- losses of numbers

NUMBER_LOSSES = [
    ("mse_loss", {}), ("l1_loss", {}), ("smooth_l1_loss", {}), ("smooth_l1_loss", {"beta": 0.3}),
    ("smooth_l1_loss", {"beta": 0.0}), ("huber_loss", {}), ("huber_loss", {"delta": 0.4}),
    ("binary_cross_entropy_with_logits", {}), ("kl_div", {}), ("kl_div", {"log_target": True}),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "options"), NUMBER_LOSSES)
def test_losses_of_numbers(name, options, reduction):
    agree(name, (floats(4, 3), floats(4, 3)), {**options, "reduction": reduction})


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_binary_losses(reduction):
    x, target, weight = probabilities(4, 3), probabilities(4, 3), probabilities(4, 3)
    x[0, 0], x[0, 1], target[0, 0], target[0, 1] = 0, 1, 1, 0
    for options in ({}, {"weight": weight}):
        agree("binary_cross_entropy", (x, target), {**options, "reduction": reduction})
        agree("binary_cross_entropy_with_logits", (x, target), {**options, "reduction": reduction})
    options = {"pos_weight": np.float32([1, 2, 3]), "reduction": reduction}
    agree("binary_cross_entropy_with_logits", (floats(4, 3), target), options)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weights(name):
    for reduction in ("mean", "sum", "none"):
        agree(name, (floats(4, 3), floats(4, 3)), {"weight": probabilities(4, 3), "reduction": reduction})


@pytest.mark.parametrize(
    ("name", "arrays", "options"),
    [
        ("mse_loss", (floats(3), floats(3)), {"reduction": "a"}),
        ("huber_loss", (floats(3), floats(3)), {"delta": -1}),
        ("smooth_l1_loss", (floats(3), floats(3)), {"beta": -1}),
        ("binary_cross_entropy", (floats(3) + 5, probabilities(3)), {}),
        ("binary_cross_entropy", (probabilities(3), probabilities(2)), {}),
        ("binary_cross_entropy_with_logits", (probabilities(3), probabilities(2)), {}),
    ],
)
def test_loss_faults(name, arrays, options):
    agree(name, arrays, options)


def test_sizes_that_differ_are_warned_of():
    with pytest.warns(UserWarning, match=r"Using a target size \(torch.Size\(\[3\]\)\)"):
        ours.mse_loss(rushlight.zeros(4, 3), rushlight.zeros(3))


def test_old_arguments():
    with pytest.warns(UserWarning, match="please use reduction='sum' instead"):
        loss = ours.mse_loss(rushlight.zeros(2), rushlight.ones(2), size_average=False)
    assert loss.item() == 2


# ---------------------------------------------------------------- the others


@pytest.mark.parametrize(
    ("name", "arrays", "options"),
    [
        ("relu", (floats(3, 4),), {}),
        ("leaky_relu", (floats(3, 4), 0.1), {}),
        ("elu", (floats(3, 4), 0.7), {}),
        ("gelu", (floats(3, 4),), {"approximate": "tanh"}),
        ("gelu", (floats(3, 4),), {"approximate": "a"}),
        ("softplus", (floats(3, 4) * 30,), {}),
        ("softmax", (floats(3, 4), 1), {"dtype": None}),
        ("linear", (floats(4, 3), floats(5, 3), floats(5)), {}),
        ("linear", (floats(4, 3), floats(5, 4), floats(5)), {}),
        ("linear", (floats(2, 4, 3), floats(5, 4)), {}),
        ("layer_norm", (floats(4, 3), (3,), floats(3), floats(3)), {}),
        ("layer_norm", (floats(4, 3), (4, 3)), {}),
        ("layer_norm", (floats(4, 3), (3,)), {"weight": floats(3)}),
        ("layer_norm", (floats(4, 3), (3,)), {"bias": floats(3)}),
        ("layer_norm", (floats(4, 3), (4,)), {}),
        ("layer_norm", (floats(4, 3), ()), {}),
        ("layer_norm", (floats(4, 3), (3,)), {"weight": floats(4)}),
        ("normalize", (floats(4, 3),), {}),
        ("normalize", (floats(4, 3),), {"p": 1.0, "dim": 0}),
        ("embedding", (classes(5, 2, 3), floats(5, 2)), {}),
        ("embedding", (classes(5, 2, 3), floats(5, 2)), {"padding_idx": 1}),
        ("embedding", (np.array([7]), floats(5, 2)), {}),
        ("embedding", (np.array([-1]), floats(5, 2)), {}),
        ("embedding", (floats(1), floats(5, 2)), {}),
        ("embedding", (np.array([1]), floats(5, 2)), {"padding_idx": 9}),
        ("one_hot", (classes(5, 2, 3),), {}),
        ("one_hot", (classes(5, 2, 3), 7), {}),
        ("one_hot", (np.array([1, -1]),), {}),
        ("one_hot", (np.array([1, 3]), 2), {}),
        ("one_hot", (floats(2),), {}),
        ("dropout", (floats(3), 2.0), {}),
    ],
)
def test_functions(name, arrays, options):
    agree(name, arrays, options)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(3,), (100, 7)])
def test_dropout_draws_pytorchs_mask(p, shape):
    x = np.ones(shape, np.float32)
    rushlight.manual_seed(3)
    torch.manual_seed(3)
    for _ in range(2):
        actual, expected = ours.dropout(rushlight.from_numpy(x), p), theirs.dropout(torch.from_numpy(x), p)
        np.testing.assert_array_equal(actual.numpy(), expected.numpy())
    assert ours.dropout(rushlight.from_numpy(x), p, training=False).numpy() is x


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("pad", [(1, 2), (2, 0), (1, 1, 2, 0)])
def test_pad(mode, pad):
    agree("pad", (floats(2, 3, 4, 5)[: 2 if len(pad) > 2 else 1, ..., :], pad), {"mode": mode}) if len(pad) > 2 else (
        agree("pad", (floats(2, 3, 5), pad), {"mode": mode})
    )


@pytest.mark.parametrize(
    ("pad", "options"),
    [
        ((1, -2), {}), ((-1, 0, 0, 3), {"value": 2.5}), ((1,), {}), ((1, 1, 1, 1, 1, 1), {}), ((-3, -3), {}),
        ((1, 1), {"mode": "foo"}), ((3, 3), {"mode": "reflect"}),
    ],
)  # fmt: skip
def test_pad_with_limits(pad, options):
    if pad == (-3, -3):
        with pytest.raises(RuntimeError, match="length must be non-negative"):
            ours.pad(rushlight.zeros(4, 3), pad)
        return
    agree("pad", (floats(4, 3), pad), options)


def test_softmax_guesses_the_dimension_with_a_warning():
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax has been deprecated"):
        assert ours.softmax(rushlight.zeros(2, 4)).tolist() == [[0.25] * 4] * 2


# ---------------------------------------------------------------- what keeps state, and attention


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics(name):
    x, mean, variance = floats(4, 3, 5), floats(3), probabilities(3)
    results = []
    for t, functional in ((rushlight, ours), (torch, theirs)):
        kept = t.from_numpy(mean.copy()), t.from_numpy(variance.copy())
        for _ in range(2):
            getattr(functional, name)(t.from_numpy(x), *kept, None, None, True, 0.3)
        results.append([a.numpy() for a in kept])
    np.testing.assert_allclose(*results, 1e-5, 1e-6)


MASKS = [
    {},
    {"need_weights": False},
    {"attn_mask": np.triu(np.ones((4, 5), bool), 2)},
    {"attn_mask": floats(4, 4, 5), "average_attn_weights": False},
    {"key_padding_mask": np.array([[False] * 5, [False, True, False, False, True]])},
    {
        "key_padding_mask": np.array([[False] * 5, [True] * 4 + [False]]),
        "attn_mask": floats(4, 5),
        "need_weights": False,
    },
]


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize("options", MASKS, ids=lambda options: ", ".join(options))
@pytest.mark.parametrize("more", [(None, None, False), (floats(1, 1, 6), floats(1, 1, 6), True)], ids=["", "more keys"])
def test_multi_head_attention(more, options):
    tensors = floats(4, 2, 6), floats(5, 2, 6), floats(5, 2, 6)
    weights = floats(18, 6), floats(18), floats(6, 6), floats(6)
    results = []
    for t, functional in ((rushlight, ours), (torch, theirs)):

        def make(a, t=t):
            return t.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a

        q, k, v = (make(a).requires_grad_() for a in tensors)
        w, b, out_w, out_b = map(make, weights)
        bias_k, bias_v, adds_zeros = map(make, more)
        chosen = {name: make(value) for name, value in options.items()}
        out, shares = functional.multi_head_attention_forward(
            q, k, v, 6, 2, w, b, bias_k, bias_v, adds_zeros, 0.0, out_w, out_b, **chosen
        )
        out.sum().backward()
        results.append([out, shares, q.grad, k.grad, v.grad])
    for mine, expected in zip(*results, strict=True):
        assert (mine is None) == (expected is None)
        if expected is not None:
            np.testing.assert_allclose(mine.detach().numpy(), expected.detach().numpy(), 1e-4, 1e-4)


def test_labels_one_after_the_other():
    x, labels, lengths = floats(9, 3, 5), classes(4, 7) + 1, [3, 0, 4]
    results = []
    for t, functional in ((rushlight, ours), (torch, theirs)):
        leaf = t.from_numpy(x).requires_grad_()
        loss = functional.ctc_loss(leaf.log_softmax(-1), t.from_numpy(labels), [9, 4, 7], lengths)
        loss.backward()
        results.append([loss.detach().numpy(), leaf.grad.numpy()])
    for mine, expected in zip(*results, strict=True):
        np.testing.assert_allclose(mine, expected, 1e-5, 1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("norm", ["BatchNorm2d", "GroupNorm", "LayerNorm"])
def test_norms_of_half_precision_with_float32_weights(norm: str, dtype: str) -> None:
    """As PyTorch computes them in float64 of the same numbers: statistics and weights' gradients are float32."""
    values = np.random.default_rng(0).standard_normal((32, 4, 6, 6)).astype(np.float32) * 1.7 + 5
    values = torch.tensor(values).to(getattr(torch, dtype)).float().numpy()
    found = []
    for library, kind, weights in ((rushlight, dtype, "float32"), (torch, "float64", "float64")):
        arguments = {"BatchNorm2d": (4,), "GroupNorm": (2, 4), "LayerNorm": (6,)}[norm]
        module = getattr(library.nn, norm)(*arguments).to(getattr(library, weights))
        x = library.tensor(values).to(getattr(library, kind)).requires_grad_()
        out = module(x)
        (out * library.arange(6).to(out.dtype)).sum().backward()
        assert out.dtype is x.grad.dtype is getattr(library, kind)
        assert module.weight.grad.dtype is getattr(library, weights)
        found.append([t.detach().double().numpy() for t in (x.grad, module.weight.grad, *module.buffers())])
    step = torch.finfo(getattr(torch, dtype)).eps
    for i, (got, expected) in enumerate(zip(*found, strict=True)):
        tolerance = 1e-4 if i else step
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * abs(expected).max())
