"""Neural networks: activations, normalisation, attention, tables, losses, dropout."""

from __future__ import annotations

from typing import Any

from table import EVERY, FLOATS, UNARY, A, S, indices, row

_F = "nn.functional."
_DOUBLE = ("float32", "float64")
_ONCE = {"compiled": "manual_seed acts while a program is recorded, not when it runs"}


def _row(name: str, samples: Any = UNARY, dtypes: Any = FLOATS, **options: Any) -> None:
    row(_F + name, samples, dtypes=dtypes, method=False, **options)


# ---------------------------------------------------------------- activations

for _name in ("hardsigmoid", "hardswish", "mish"):
    _row(_name, dtypes=EVERY)
for _name in ("softsign", "tanhshrink"):
    _row(_name, ops=(), dtypes=_DOUBLE)
_row("relu twice", ops=("_depending",))
_row("hardtanh", [*UNARY, S(A(2, 3), -0.5, 2)])
_row("hardtanh integers", [S(A(2, 3), 0, 2)], dtypes=("int64", "int8", "uint8"), ops=("hardtanh",), domain=(-9, 9))
_row("relu6", [S(A(2, 3))], ops=("hardtanh",), dtypes=("float32", "int64", "uint8"), domain=(-9, 9))
_row("threshold", [S(A(2, 3), 0.5, 9.0), S(A(0, 3), 1, 0)], dtypes=(*FLOATS, "int64", "uint8"))
_row("hardshrink", [*UNARY, S(A(2, 3), 1.5)])
_row("softshrink", [*UNARY, S(A(2, 3), 1.5)])
_row("prelu", [S(A(2, 3, 4), A(3)), S(A(2, 3), A(1)), S(A(2, 3), A()), S(A(), A()), S(A(4), A(1))])
_row("celu", [*UNARY, S(A(2, 3), 0.7)], ops=("elu",))
_row("selu", ops=("elu",))
_row("glu", [S(A(2, 4)), S(A(4, 3), 0), S(A(2, 0))], ops=("sigmoid",))
row("rrelu", [S(A(3, 7), 0.1, 0.5, True), S(A(3, 7))], call=lambda t, *args: (t.manual_seed(0), t.rrelu(*args))[1], ops=("prelu",), dtypes=_DOUBLE, method=False, skips=_ONCE)  # fmt: skip
_row("softmin", [S(A(2, 3), 1)], ops=("softmax",))

# ---------------------------------------------------------------- normalisation

_row("layer_norm one weight", [S(A(2, 3), (3,), A(3))], ops=("layer_norm",), dtypes=_DOUBLE, tolerance=4)
_row("rms_norm", [S(A(4, 3), (3,)), S(A(2, 3, 4), (3, 4), A(3, 4)), S(A(0, 3), (3,), A(3), 0.1)], domain=(1, 3), tolerance=4)  # fmt: skip
_row("group_norm", [S(A(2, 4, 3), 2), S(A(2, 4), 1, A(4), A(4)), S(A(2, 6, 2, 2), 3, A(6))], ops=("normalize",), dtypes=_DOUBLE, tolerance=9)  # fmt: skip
_row("instance_norm", [S(A(2, 3, 4)), S(A(2, 3, 4), None, None, A(3), A(3))], ops=("normalize",), dtypes=_DOUBLE, tolerance=9)  # fmt: skip
_row("batch_norm", [S(A(4, 3, 2), None, None, A(3), A(3), training=True), S(A(4, 3), None, None, training=True)], ops=("normalize",), dtypes=_DOUBLE, tolerance=9)  # fmt: skip
_row("batch_norm evaluated", [S(A(4, 3, 2), indices([1, 2, 3], "float64"), indices([1, 2, 3], "float64"), A(3), A(3))], ops=("mul",), dtypes=("float64",))  # fmt: skip
row("native_group_norm", [S(A(2, 4, 3), A(4), A(4), 2, 4, 3, 2, 1e-5)], ops=("normalize",), dtypes=_DOUBLE, method=False, tolerance=9)  # fmt: skip
_row("local_response_norm", [S(A(2, 5, 3), 3), S(A(2, 5, 3, 2), 2, 0.1)], ops=(), dtypes=_DOUBLE)

# ---------------------------------------------------------------- recurrent layers

_OPTIONS = (True, 1, 0.0, False, False, False)  # biases, layers, dropout, training, both directions, batch first


def _weights(gates: int, *more: Any) -> list[Any]:
    return [A(gates * 5, 3), A(gates * 5, 4 if more else 5), A(gates * 5), A(gates * 5), *more]


for _name, _gates, _op in (
    ("rnn_tanh", 1, "rnn_sequence"),
    ("rnn_relu", 1, "rnn_sequence"),
    ("gru", 3, "gru_sequence"),
):
    row(
        _name,
        [S(A(4, 2, 3), A(1, 2, 5), _weights(_gates), *_OPTIONS)],
        ops=(_op,),
        dtypes=_DOUBLE,
        method=False,
        tolerance=9,
    )
row("lstm", [S(A(4, 2, 3), [A(1, 2, 5), A(1, 2, 5)], _weights(4), *_OPTIONS)], ops=("lstm_sequence",), dtypes=_DOUBLE, method=False, tolerance=9)  # fmt: skip
row("lstm projected", [S(A(4, 2, 3), [A(1, 2, 4), A(1, 2, 5)], _weights(4, A(4, 5)), *_OPTIONS)], ops=("lstm_sequence_projected",), dtypes=_DOUBLE, method=False, tolerance=9)  # fmt: skip

# ---------------------------------------------------------------- attention, tables

_row("scaled_dot_product_attention", [
    S(A(2, 3, 4), A(2, 5, 4), A(2, 5, 3)), S(A(3, 4), A(3, 4), A(3, 4), is_causal=True),
    S(A(3, 4), A(3, 4), A(3, 4), indices([[True, False, True], [False] * 3, [True] * 3], "bool")),
    S(A(2, 4, 3, 4), A(2, 2, 3, 4), A(2, 2, 3, 4), enable_gqa=True, scale=0.3),
], ops=("attention_weights", "softmax", "matmul"), dtypes=_DOUBLE, tolerance=4)  # fmt: skip
_row("embedding by frequency", [S(indices([0, 2, 0]), A(3, 4), scale_grad_by_freq=True)], ops=("embedding",), dtypes=_DOUBLE, second=False)  # fmt: skip
_row("embedding_bag", [
    S(indices([[0, 2], [1, 1]]), A(3, 4)), S(indices([0, 2, 1, 1]), A(3, 4), indices([0, 0, 3]), mode="sum"),
    S(indices([0, 2, 1, 1]), A(3, 4), indices([0, 3]), mode="max"), S(indices([0, 2, 1]), A(3, 4), indices([0, 2]), padding_idx=2),
    S(indices([[0, 2], [1, 1]]), A(3, 4), mode="sum", per_sample_weights=A(2, 2)),
], ops=("embedding",), dtypes=_DOUBLE)  # fmt: skip

# ---------------------------------------------------------------- distances, losses

_PAIR = [S(A(4, 3), A(4, 3)), S(A(4, 3), A(4, 3), reduction="sum"), S(A(4, 3), A(4, 3), reduction="none")]
_SIGNS = indices([1, -1, 1, -1], "float64")
_row("cosine_similarity", [S(A(2, 3), A(2, 3)), S(A(2, 3), A(3), dim=-1)], ops=("vector_norm",), dtypes=_DOUBLE)
_row("pairwise_distance", [S(A(2, 3), A(2, 3)), S(A(2, 3), A(3), 1, keepdim=True)], ops=("vector_norm",), dtypes=_DOUBLE)  # fmt: skip
_row("pdist", [S(A(4, 3)), S(A(4, 3), 1)], ops=("vector_norm",), dtypes=_DOUBLE, second=False)
_row("binary_cross_entropy of", _PAIR, ops=("binary_cross_entropy_of",), domain=(0.1, 0.9), dtypes=_DOUBLE)
_row("poisson_nll_loss", [*_PAIR, S(A(3), A(3), full=True), S(A(3), A(3), log_input=False)], ops=(), domain=(0.5, 3), dtypes=_DOUBLE)  # fmt: skip
_row("gaussian_nll_loss", [S(A(4, 3), A(4, 3), A(4, 1)), S(A(4, 3), A(4, 3), 2.0, full=True)], ops=(), domain=(0.5, 3), dtypes=_DOUBLE)  # fmt: skip
_row("soft_margin_loss", _PAIR, ops=("logsigmoid",), dtypes=_DOUBLE)
_row("multilabel_soft_margin_loss", _PAIR, ops=("logsigmoid",), dtypes=_DOUBLE)
_row("hinge_embedding_loss", [S(A(4), _SIGNS), S(A(4), _SIGNS, 2.0, reduction="none")], ops=(), dtypes=("float64",))
_row("margin_ranking_loss", [S(A(4), A(4), _SIGNS, 0.5)], ops=(), dtypes=("float64",))
_row("cosine_embedding_loss", [S(A(4, 3), A(4, 3), _SIGNS, 0.1)], ops=(), dtypes=("float64",))
_row("triplet_margin_loss", [S(A(4, 3), A(4, 3), A(4, 3)), S(A(4, 3), A(4, 3), A(4, 3), 0.5, 1, swap=True)], ops=(), dtypes=_DOUBLE)  # fmt: skip
_row("multi_margin_loss", [S(A(4, 3), indices([0, 2, 1, 1])), S(A(4, 3), indices([0, 2, 1, 1]), 2, 0.5, A(3)), S(A(3), indices(1))], ops=(), dtypes=_DOUBLE, second=False)  # fmt: skip
_row("multilabel_margin_loss", [S(A(2, 4), indices([[3, 0, -1, 1], [2, -1, 0, 0]])), S(A(4), indices([3, 0, -1, 1]))], ops=(), dtypes=_DOUBLE, second=False)  # fmt: skip
_row("linear_cross_entropy", [S(A(4, 3), A(5, 3), indices([0, 4, 1, 1])), S(A(4, 3), A(2, 3, 3), indices([[0, 1, 1]] * 4), linear_bias=A(2, 3))], ops=("log_softmax",), dtypes=_DOUBLE)  # fmt: skip
_row("linear_cross_entropy chunked", [
    S(A(4, 3), A(5, 3), indices([0, 4, -100, 1]), reduction="sum"), S(A(4, 3), A(5, 3), indices([0, 4, 1, 1]), weight=A(5, low=1, high=2)),
], call=lambda t, x, w, y, **options: t.nn.functional.linear_cross_entropy(
    x, w, y, options=t.nn.LinearCrossEntropyOptions(allow_retain_graph=True, batch_chunk_size=3), **options
), ops=("linear_cross_entropy",), dtypes=_DOUBLE, second=False)  # fmt: skip


def _ctc(t: Any, x: Any, targets: Any, inputs: Any, lengths: Any, **options: Any) -> Any:
    return t.nn.functional.ctc_loss(x.log_softmax(-1), targets, inputs, lengths, **options)


_LABELS = indices([[1, 2, 2], [3, 1, 9]])
_row("ctc_loss", [
    S(A(8, 2, 4), _LABELS, indices([8, 5]), indices([3, 2])), S(A(8, 4), indices([1, 3]), indices(8), indices(2), reduction="sum"),
    S(A(8, 2, 4), _LABELS, indices([2, 5]), indices([3, 0]), blank=3, reduction="none", zero_infinity=True),
], call=_ctc, ops=("ctc",), dtypes=_DOUBLE, second=False, tolerance=4)  # fmt: skip

# ---------------------------------------------------------------- recurrent layers


def _recurrent(name: str, op: str, gates: int, num_states: int = 1, width: int = 4) -> None:
    """One direction and both; `width` is that of an LSTM's projection if it is not 4. Packed rows: tests/nn/test_rnn.py."""
    shapes = [(4 * gates, 3), (4 * gates, width), (4 * gates,), (4 * gates,), *[(width, 4)] * (width != 4)]
    weights = [A(*shape) for shape in shapes]

    def call(t: Any, x: Any, *tensors: Any, bidirectional: bool = False) -> Any:
        states, parameters = list(tensors[:num_states]), list(tensors[num_states:])
        hx = states if num_states > 1 else states[0]
        found = getattr(t, name)(x, hx, parameters, True, 1, 0.0, False, bidirectional, False)
        return t.cat([part.reshape(-1) for part in found])

    def states(directions: int, batch: int) -> list[Any]:
        return [A(directions, batch, features) for features in (width, 4)[:num_states]]

    row(f"{name} {width}", [
        S(A(5, 2, 3), *states(1, 2), *weights), S(A(4, 1, 3), *states(2, 1), *weights, *weights, bidirectional=True),
    ], call=call, ops=(op,), dtypes=_DOUBLE, method=False, tolerance=9)  # fmt: skip


_recurrent("rnn_tanh", "rnn_sequence", 1)
_recurrent("rnn_relu", "rnn_sequence", 1)
_recurrent("gru", "gru_sequence", 3)
_recurrent("lstm", "lstm_sequence", 4, 2)
_recurrent("lstm", "lstm_sequence_projected", 4, 2, width=2)

# ---------------------------------------------------------------- dropout


def _seeded(name: str) -> Any:
    return lambda t, *args: (t.manual_seed(0), getattr(t.nn.functional, name)(*args))[1]


for _name in ("dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"):
    _row(_name, [S(A(2, 3, 4), 0.4, True), S(A(2, 3, 4), 1.0, True), S(A(2, 3, 4), 0.4, False)][: 2 + (_name != "dropout3d")], call=_seeded(_name), ops=(), dtypes=_DOUBLE, skips=_ONCE)  # fmt: skip
