"""The table of operations: one row each, by family in the `rows*.py` here. `table.py` says what the columns are."""

from __future__ import annotations

from typing import Any

from table import BINARY, FLOATS, INTEGERS, SIGNED, UNARY, A, S, indices, row

# ---------------------------------------------------------------- elementwise: two operands

row("add", [*BINARY, S(A(2, 3), A(3), alpha=2), S(A(2, 3), 2)], in_place=True, promotes="numbers")
row("sub", [*BINARY, S(A(2, 3), A(3), alpha=2), S(A(2, 3), 2)], in_place=True, promotes="numbers")
row("rsub", [S(A(2, 3), A(3)), S(A(2, 3), 2)], ops=("sub",), method=False, promotes="numbers")
row("mul", BINARY, in_place=True, promotes="numbers")
row("div", BINARY, in_place=True, promotes="numbers", domain=(1, 4))
row("div trunc", [S(A(2, 3), A(2, 3, low=1, high=3), rounding_mode="trunc")], ops=("div_trunc",), in_place=True, promotes="numbers", domain=(-9, 9))  # fmt: skip
row("div floor", [S(A(2, 3), A(2, 3, low=1, high=3), rounding_mode="floor")], ops=("floor_divide",), in_place=True, domain=(-9, 9))  # fmt: skip
row("floor_divide", BINARY, in_place=True, promotes="numbers", domain=(1, 9), differentiable=False)
row("remainder", BINARY, in_place=True, promotes="numbers", domain=(1, 9))
row(
    "remainder signs",
    [S(A(4, 5), A(4, 5, low=-3, high=-1)), S(A(4, 5), -2)],
    ops=("remainder",),
    domain=(-9, 9),
    dtypes=SIGNED,
)
row("fmod", BINARY, in_place=True, promotes="numbers", domain=(1, 9))
row("fmod signs", [S(A(4, 5), A(4, 5, low=-3, high=-1)), S(A(4, 5), -2)], ops=("fmod",), domain=(-9, 9), dtypes=SIGNED)
row("pow", BINARY, in_place=True, promotes="numbers", domain=(1, 3), tolerance=4)
row("pow numbers", [S(A(2, 3), 2), S(A(2, 3), 3), S(A(2, 3), 0), S(A(2, 3), 1), S(2, A(2, 3))], ops=("pow", "square"), method=False)  # fmt: skip
row("pow fractions", [S(A(2, 3), 0.5), S(A(2, 3), -1.5), S(0.5, A(2, 3))], ops=("pow",), domain=(1, 3), dtypes=FLOATS, method=False)  # fmt: skip
row("pow negative", [S(A(9, values=range(-4, 5)), A(9, values=[-1, -2, -3, 0, 1, 2, 0, -1, -2]))], ops=("pow",), dtypes=("int64", "int32", "int8"), differentiable=False)  # fmt: skip
row("pow of zero", [S(A(4, values=[0.0, 0.0, 1.0, 0.0]), A(4, values=[0.0, 1.0, 0.0, 2.0]))], ops=("pow",), dtypes=FLOATS, second=False)  # fmt: skip
row("atan2", BINARY, in_place=True, promotes="tensors", domain=(1, 3))
row("maximum", BINARY, promotes="tensors")
row("minimum", BINARY, promotes="tensors")
row("maximum nan", [S(A(3, values=[1.0, float("nan"), 2.0]), A(3, values=[float("nan"), 0.0, 2.0]))], ops=("maximum", "minimum"), dtypes=FLOATS)  # fmt: skip
row("addcmul", [S(A(2, 3), A(3), A(2, 1)), S(A(2, 3), A(2, 3), A(), value=2)], in_place=True)
row("addcdiv", [S(A(2, 3), A(3), A(2, 1)), S(A(2, 3), A(2, 3), A(), value=2)], in_place=True, domain=(1, 3))
row("lerp", [S(A(2, 3), A(3), 0.3), S(A(2, 3), A(2, 3), 0.8), S(A(2, 3), A(2, 3), A(2, 3, low=0, high=1))], in_place=True, dtypes=FLOATS)  # fmt: skip
row("where", [S(indices([True, False, True], "bool"), *s.args) for s in ((S(A(2, 3), A(3))), S(A(), A(3)), S(A(3), 2.0), S(1.0, A(3)), S(A(3), True))], method=False)  # fmt: skip
row("isclose", [S(A(2, 3), A(2, 3)), S(A(2, 3), A(3), atol=1.0), S(A(2, 3), A(3), rtol=1.0, equal_nan=True)], ops=("abs", "le"), differentiable=False)  # fmt: skip

for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    row(_name, BINARY, in_place=True, promotes="numbers", differentiable=False)
for _name in ("logical_and", "logical_or", "logical_xor"):
    row(_name, BINARY, in_place=True, promotes="tensors", differentiable=False)
for _name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    row(_name, BINARY, in_place=True, promotes="numbers", differentiable=False)
for _name in ("bitwise_left_shift", "bitwise_right_shift"):
    row(_name, BINARY, in_place=True, differentiable=False, domain=(0, 3), dtypes=(*FLOATS, *INTEGERS))

# ---------------------------------------------------------------- elementwise: one operand

for _name in ("neg", "abs", "sign", "square", "floor", "ceil", "trunc", "relu", "exp", "expm1", "exp2", "sin", "cos", "sinh", "cosh", "atan", "asinh", "tanh", "erf", "sigmoid"):  # fmt: skip
    row(_name, in_place=True)
for _name in ("sqrt", "rsqrt", "reciprocal", "log", "log1p", "log2", "log10"):
    row(_name, in_place=True, domain=(0.1, 4))
for _name in ("asin", "acos", "atanh"):
    row(_name, in_place=True, domain=(-0.9, 0.9))
row("acosh", in_place=True, domain=(1.1, 4))
row("tan", in_place=True, domain=(-1.2, 1.2))
row("round", [*UNARY, S(A(4, values=[0.5, 1.5, -0.5, 2.5])), S(A(2, 3), decimals=1), S(A(2, 3), decimals=-1)], in_place=True, dtypes=FLOATS)  # fmt: skip
row("round integers", [S(A(2, 3))], ops=("round",), dtypes=(*INTEGERS, "bool"), differentiable=False)
for _name in ("logical_not", "bitwise_not"):
    row(_name, in_place=True, differentiable=False)
for _name in ("isnan", "isinf", "isfinite"):
    row(_name, [*UNARY, S(A(4, values=[0.0, float("nan"), float("inf"), -float("inf")], dtype="float32"))], differentiable=False)  # fmt: skip
row("clamp", [S(A(2, 3), -1, 1), S(A(2, 3), min=0), S(A(2, 3), max=1), S(A(), 0, 1), S(A(0, 2), 0, 1), S(A(2, 3), 0.5, 1.5)], ops=("clamp_numbers",), in_place=True)  # fmt: skip
row("clamp below", [S(A(2, 3), A(3)), S(A(2, 3), min=A())], ops=("clamp_below",), in_place=True)
row("clamp above", [S(A(2, 3), None, A(3)), S(A(2, 3), max=A(2, 1))], ops=("clamp_above",), in_place=True)
row("clamp between", [S(A(2, 3), A(3), A(2, 3)), S(A(2, 3), A(), A(3))], ops=("clamp_between",), in_place=True)

# ---------------------------------------------------------------- activations

_F = "nn.functional."
row(_F + "logsigmoid", dtypes=FLOATS, method=False)
row(_F + "leaky_relu", [*UNARY, S(A(2, 3), 0.2)], dtypes=FLOATS, method=False)
row(_F + "elu", [*UNARY, S(A(2, 3), 0.7)], dtypes=FLOATS, method=False)
row(_F + "silu", dtypes=FLOATS, method=False)
row(_F + "softplus", [*UNARY, S(A(2, 3), 2, 3)], dtypes=FLOATS, method=False)
row(_F + "gelu", dtypes=FLOATS, method=False)
row(
    _F + "gelu tanh", [S(s.args[0], approximate="tanh") for s in UNARY], ops=("gelu_tanh",), dtypes=FLOATS, method=False
)

# ---------------------------------------------------------------- reductions

REDUCED = [
    S(A(2, 3)), S(A(2, 3), 1), S(A(2, 3), -2, True), S(A(2, 3, 4), (0, 2)), S(A(2, 3, 4), dim=(0, -1), keepdim=True),
    S(A()), S(A(), 0), S(A(4, 2, layout="transposed"), 0), S(A(2, 3, layout="strided"), 1), S(A(2, 0, 3), 0),
]  # fmt: skip
ALONG = [
    S(A(2, 3), 1), S(A(2, 3), -2, True), S(A(3, 4, 2), dim=1, keepdim=True), S(A(), 0), S(A(4, 2, layout="transposed"), 0),
]  # fmt: skip
row("sum", [*REDUCED, S(A(0)), S(A(2, 0), 1), S(A(2, 3), ()), S(A(2, 3), dtype="torch.float64"), S(A(2, 3), [0, 1])])
row("mean", [*REDUCED, S(A(0)), S(A(2, 0), 1), S(A(2, 3), dtype="torch.float64")])
row("prod", [S(A(2, 3)), *ALONG, S(A(0)), S(A(2, 0), 1), S(A(4, 3, values=[[0, 1, 2]] * 2 + [[0, 0, 2], [1, 2, 3]]), 1)], domain=(1, 3), second=False)  # fmt: skip
row("prod twice", [S(A(2, 3)), S(A(2, 3), 1)], ops=("prod",), domain=(1, 3), dtypes=FLOATS)
row("amax", [S(A(2, 3)), *REDUCED, S(A(4, values=[2, 1, 2, 0]))], domain=(-9, 9))
row("amin", [S(A(2, 3)), *REDUCED, S(A(4, values=[0, 1, 2, 0]))], domain=(-9, 9))
row("max", [S(A(2, 3)), S(A()), *ALONG, S(A(4, values=[2, 1, 2, 0]), 0), S(A(2, 3), A(3))], ops=("amax", "gather", "maximum"), domain=(-9, 9))  # fmt: skip
row("min", [S(A(2, 3)), S(A()), *ALONG, S(A(4, values=[0, 1, 2, 0]), 0), S(A(2, 3), A(3))], ops=("amin", "gather", "minimum"), domain=(-9, 9))  # fmt: skip
row("argmax", [S(A(2, 3)), S(A()), *ALONG, S(A(2, 3), None, True)], differentiable=False, domain=(-99, 99))
row("argmin", [S(A(2, 3)), S(A()), *ALONG, S(A(2, 3), None, True)], differentiable=False, domain=(-99, 99))
row("any", [*REDUCED, S(A(0)), S(A(2, 0), 1)], differentiable=False)
row("all", [*REDUCED, S(A(0)), S(A(2, 0), 1)], differentiable=False)
row("var", [*REDUCED[:5], *REDUCED[7:], S(A(5), 0, unbiased=False), S(A(2, 5), dim=1, correction=0), S(A(2, 5), 1, correction=2), S(A(2, 3), False)])  # fmt: skip
row("std", [S(A(2, 3)), S(A(2, 3), 1), S(A(2, 5), (0, 1), True), S(A(2, 5), dim=1, correction=0), S(A(5), 0, unbiased=False)])  # fmt: skip
row("logsumexp", [S(A(2, 3), 1), S(A(2, 3), -2, True), S(A(2, 3, 4), (0, 2)), S(A(), 0), S(A(2, 0), 1), S(A(3, values=[-float("inf")] * 3), 0)], dtypes=FLOATS)  # fmt: skip
row("softmax", [S(A(2, 3), 1), S(A(2, 3), -2), S(A(2, 0, 3), 1), S(A(), 0), S(A(4, 2, layout="transposed"), 0), S(A(3), 0, dtype="torch.float64")])  # fmt: skip
row("log_softmax", [S(A(2, 3), 1), S(A(2, 3), -2), S(A(2, 0, 3), 1), S(A(), 0), S(A(4, 2, layout="transposed"), 0), S(A(3), 0, dtype="torch.float64")])  # fmt: skip
row("cumsum", [S(A(2, 3), 1), S(A(2, 3), -2), S(A(0, 3), 0), S(A(), 0), S(A(4, 2, layout="transposed"), 0), S(A(3), 0, dtype="torch.float64")], in_place=True)  # fmt: skip

# ---------------------------------------------------------------- order

row("argsort", [S(A(7)), S(A(3, 5), 0), S(A(3, 5), dim=1, descending=True, stable=True), S(A())], domain=(-99, 99), differentiable=False, dtypes=FLOATS)  # fmt: skip
row("sort", [S(A(7)), S(A(3, 5), 0), S(A(3, 5), dim=1, descending=True), S(A())], ops=("argsort", "gather"), domain=(-99, 99), dtypes=FLOATS)  # fmt: skip
row("topk", [S(A(7), 3), S(A(3, 5), 2, 0), S(A(3, 5), 2, dim=1, largest=False), S(A(), 1)], ops=("top_indices", "gather"), domain=(-99, 99), dtypes=FLOATS)  # fmt: skip

# ---------------------------------------------------------------- products

_ALL_BUT_BOOL = (*FLOATS, *INTEGERS)
row("matmul", [
    S(A(2, 3), A(3, 4)), S(A(3), A(3)), S(A(2, 3), A(3)), S(A(3), A(3, 4)), S(A(2, 3, 4), A(4, 2)), S(A(4), A(2, 4, 3)),
    S(A(2, 3, 4), A(4)), S(A(3, 4), A(2, 4, 2)), S(A(2, 1, 3, 4), A(5, 4, 2)), S(A(3, 2, layout="transposed"), A(2, 2)),
    S(A(0, 3), A(3, 2)), S(A(2, 0), A(0, 3)), S(A(2, 2, layout="strided"), A(2, 3)),
], dtypes=_ALL_BUT_BOOL)  # fmt: skip
row("mm", [S(A(2, 3), A(3, 4)), S(A(0, 3), A(3, 2))], ops=("matmul",), dtypes=_ALL_BUT_BOOL)
row("bmm", [S(A(2, 2, 3), A(2, 3, 4)), S(A(0, 2, 3), A(0, 3, 2))], ops=("matmul",), dtypes=_ALL_BUT_BOOL)
row("mv", [S(A(2, 3), A(3)), S(A(0, 3), A(3))], ops=("matmul",), dtypes=_ALL_BUT_BOOL)
row("dot", [S(A(3), A(3)), S(A(0), A(0))], ops=("matmul",), dtypes=_ALL_BUT_BOOL)
row("outer", [S(A(2), A(3)), S(A(0), A(3))], ops=("mul",))
row("addmm", [S(A(2, 4), A(2, 3), A(3, 4)), S(A(4), A(2, 3), A(3, 4), beta=2, alpha=3), S(A(), A(2, 3), A(3, 4))], ops=("matmul",), in_place=False, dtypes=_ALL_BUT_BOOL)  # fmt: skip
row(_F + "linear", [S(A(2, 3), A(4, 3), A(4)), S(A(2, 5, 3), A(4, 3), A(4)), S(A(3), A(4, 3), A(4)), S(A(0, 3), A(4, 3), A(4))], dtypes=FLOATS, method=False)  # fmt: skip
row(_F + "linear without bias", [S(A(2, 3), A(4, 3)), S(A(2, 5, 3), A(4, 3)), S(A(3), A(4, 3))], ops=("linear_without_bias", "_of_columns"), dtypes=FLOATS, method=False)  # fmt: skip

# ---------------------------------------------------------------- views

row("reshape", [S(A(2, 6), (3, 4)), S(A(2, 6), (-1,)), S(A(2, 6), [4, -1]), S(A(), (1, 1)), S(A(0, 3), (3, 0)), S(A(2, 3, layout="strided"), (1, 2, 3))])  # fmt: skip
row("reshape copies", [S(A(3, 4, layout="transposed"), (2, 6))], call=lambda t, x, s: t.reshape(x, s), ops=("reshape_copy",), method=False)  # fmt: skip
row("Tensor.view", [S(A(2, 6), 3, 4), S(A(2, 6), -1), S(A(2, 6), (4, -1)), S(A(), 1), S(A(2, 6, layout="strided"), 2, 2, 3)], ops=("reshape",), method=False)  # fmt: skip
row("Tensor.view_as", [S(A(2, 6), A(3, 4, dtype="float32"))], ops=("reshape",), method=False)
row("Tensor.reshape_as", [S(A(2, 6), A(3, 4, dtype="float32"))], ops=("reshape",), method=False)
row("flatten", [S(A(2, 3, 4)), S(A(2, 3, 4), 1), S(A(2, 3, 4), 0, 1), S(A(2, 3, 4), start_dim=-2), S(A()), S(A(3))], ops=("reshape",))  # fmt: skip
row("unflatten", [S(A(2, 6), 1, (2, 3)), S(A(2, 6), -1, (-1, 3))], ops=("reshape",))
row("ravel", [S(A(2, 3)), S(A()), S(A(2, 3, layout="transposed"))], ops=("reshape",))
row("permute", [S(A(2, 3, 4), (2, 0, 1)), S(A(2, 3), (-1, 0)), S(A(), ()), S(A(0, 2), (1, 0))])
row("transpose", [S(A(2, 3, 4), 0, 2), S(A(2, 3), -1, 0), S(A(), 0, -1)], ops=("transpose", "alias"), in_place=True)
row("t", [S(A(2, 3)), S(A(3)), S(A())], in_place=True)
row("movedim", [S(A(2, 3, 4), 0, 2), S(A(2, 3, 4), (0, 1), (1, 2)), S(A(2, 3, 4), -1, 0)], ops=("permute",))
row("Tensor.mT", [S(A(2, 3)), S(A(2, 3, 4))], call=lambda t, x: x.mT, ops=("transpose",), method=False)
row("Tensor.T", [S(A(2, 3))], call=lambda t, x: x.T, ops=("permute",), method=False)
row("Tensor.expand", [S(A(1, 3), 2, 3), S(A(3), (2, -1)), S(A(), 2, 3), S(A(1, 3), -1, 3), S(A(0, 1), 0, 2)], method=False)  # fmt: skip
row("broadcast_to", [S(A(1, 3), (2, 3)), S(A(), (2,))], ops=("expand",))
row("Tensor.expand_as", [S(A(1, 3), A(2, 3, dtype="float32"))], ops=("expand",), method=False)
row("broadcast_tensors", [S(A(2, 1), A(3), A())], ops=("expand",), method=False)
row("squeeze", [S(A(1, 2, 1)), S(A(1, 2, 1), 0), S(A(1, 2, 1), 1), S(A(1, 2, 1), (0, -1)), S(A()), S(A(), 0)], in_place=True)  # fmt: skip
row("unsqueeze", [S(A(2, 3), 0), S(A(2, 3), -1), S(A(2, 3), 1), S(A(), 0)], in_place=True)
row("select", [S(A(2, 3), 0, 1), S(A(2, 3), -1, -2), S(A(3), 0, 1)])
row("narrow", [S(A(2, 5), 1, 1, 3), S(A(5), 0, -3, 2), S(A(2, 5), 0, 1, 0)], ops=("slice_",))
row("unbind", [S(A(2, 3)), S(A(2, 3), 1), S(A(3))], ops=("select",))
row("split", [S(A(5, 2), 2), S(A(5, 2), [1, 4]), S(A(2, 5), 3, 1), S(A(2, 5), (0, 5), -1), S(A(0), 2)], ops=("slice_",))
row("chunk", [S(A(5, 2), 2), S(A(2, 5), 3, 1), S(A(3), 5), S(A(0), 2)], ops=("slice_",))
row("Tensor.__getitem__ basic", [
    S(A(3, 4), 1), S(A(3, 4), -1), S(A(3, 4), slice(1, None)), S(A(3, 4), (slice(None), 2)), S(A(3, 4), (..., None, 0)),
    S(A(3, 4), None), S(A(3, 4), ...), S(A(6), slice(None, None, 2)), S(A(3, 4), (slice(0, 0), 1)), S(A(), ...),
    S(A(3, 4), (1, 2)), S(A(3), 0), S(A(), None), S(A(3, 4), (slice(-2, 99), slice(3, 1))),
], call=lambda t, x, i: x[i], ops=("slice_",), method=False)  # fmt: skip
row("Tensor.contiguous", [S(A(2, 3, layout="transposed")), S(A(2, 3))], ops=("clone",), method=False)
row("clone", [S(A(2, 3)), S(A(2, 3, layout="transposed")), S(A())])
row("flip", [S(A(2, 3), (0,)), S(A(2, 3), (0, -1)), S(A(), ()), S(A(0, 2), (0,))])
row("roll", [S(A(2, 3), 1), S(A(2, 3), 1, 0), S(A(2, 3), (1, -5), (0, 1)), S(A(0), 1)], ops=("concat",))
row("cat", [
    S([A(2, 3), A(1, 3)]), S([A(2, 3), A(2, 1)], 1), S([A(2), A(0)]), S([A(0), A(2, 3)], 1), S((A(2, 3), A(2, 3, dtype="float64")), -1),
], ops=("concat",), method=False)  # fmt: skip
row("stack", [S([A(2, 3), A(2, 3)]), S([A(2), A(2)], 1), S([A(), A()]), S((A(2), A(2)), -1)], method=False)
row("Tensor.repeat", [S(A(2), 3), S(A(2, 3), 2, 1), S(A(2), 2, 2), S(A(2), (1,)), S(A(2), 0), S(A(), ())], ops=("expand", "reshape_copy"), method=False)  # fmt: skip
row("tile", [S(A(2, 3), (2,)), S(A(2), (2, 2))], ops=("expand",))
row("triu", [S(A(3, 4)), S(A(3, 4), 1), S(A(2, 3, 3), diagonal=-1), S(A(0, 3))], in_place=True)
row("tril", [S(A(3, 4)), S(A(3, 4), 1), S(A(2, 3, 3), diagonal=-1), S(A(0, 3))], in_place=True)
for _dtype in ("float64", "float16", "bfloat16", "int32", "uint8", "bool"):
    row(f"Tensor.to {_dtype}", [S(A(2, 3), f"torch.{_dtype}"), S(A(), f"torch.{_dtype}")], ops=("cast",), method=False, second=False, domain=(0, 9))  # fmt: skip
row("Tensor.type_as", [S(A(2, 3), A(1, dtype="float32"))], ops=("cast",), method=False)

# ---------------------------------------------------------------- indexing

row("Tensor.__getitem__ arrays", [
    S(A(3, 4), indices([0, 2, 0])), S(A(3, 4), [2, 0]), S(A(3, 4), (indices([0, 1]), indices([1, 1]))),
    S(A(3, 4), (slice(None), indices([[0, 1], [3, 3]]))), S(A(3, 4), (indices([[0], [2]]), indices([1, 3]))),
    S(A(2, 3, 4), (indices([0, 1]), slice(None), indices([1, 1]))), S(A(3, 4), (indices([-1, 0]), 1)),
    S(A(3, 4), (None, indices([1]))), S(A(3, 4), (..., indices([1, 0]))), S(A(3, 4), indices([], "int64")),
    S(A(3, 4), indices([1, 2], "int32")), S(A(3, 4), indices(1)),
], call=lambda t, x, i: x[i], ops=("index_get",), method=False)  # fmt: skip
row("Tensor.__getitem__ masks", [
    S(A(3, 2), indices([True, False, True], "bool")), S(A(2, 2), indices([[True, False], [True, True]], "bool")),
    S(A(3, 2), (indices([True, False, True], "bool"), 1)), S(A(2, 3), (slice(None), indices([True, False, True], "bool"))),
    S(A(3), indices([False] * 3, "bool")), S(A(2, 3), True), S(A(2, 3), False),
], call=lambda t, x, i: x[i], ops=("index_get",), method=False, skips={
    "compiled": "the shape of the result depends on the mask's values",
})  # fmt: skip


def _set(t: Any, x: Any, index: Any, value: Any) -> Any:
    x = x.clone()
    x[index] = value
    return x


row("Tensor.__setitem__", [
    S(A(3, 4), 1, A(4)), S(A(3, 4), (slice(None), 2), A(3)), S(A(3, 4), ..., A()), S(A(3, 4), slice(0, 2), 5),
    S(A(3, 4), (1, 2), A()), S(A(6), slice(None, None, 2), A(3)), S(A(3, 4), (None, slice(1, 2)), A(4)),
], call=_set, ops=("copied", "view_scatter", "slice_scatter"), method=False)  # fmt: skip
row("Tensor.__setitem__ arrays", [
    S(A(3, 4), indices([0, 2]), A(2, 4)), S(A(3, 4), (indices([0, 1]), indices([1, 1])), A(2)), S(A(3, 4), [2, 0], 7),
    S(A(3, 4), (slice(None), indices([0, 3])), A(3, 2)), S(A(3, 4), (indices([0, 2]), slice(1, 3)), A(2)),
], call=_set, ops=("index_put",), method=False)  # fmt: skip
row("Tensor.__setitem__ masks", [S(A(3), indices([True, False, True], "bool"), 2), S(A(3, 2), indices([True, False, True], "bool"), A())], call=_set, ops=("index_put",), method=False)  # fmt: skip
row("Tensor.index_put", [S(A(3, 4), (indices([0, 2, 0]),), A(3, 4), True), S(A(3, 4), (indices([0, 2]), indices([1, 3])), A(2))], ops=("index_put",), method=False, in_place=True)  # fmt: skip
row("gather", [S(A(3, 4), 0, indices([[0, 2, 1, 0], [1, 1, 1, 1]])), S(A(3, 4), 1, indices([[0, 3], [1, 1], [2, 2]])), S(A(), 0, indices(0)), S(A(3, 4), -1, indices([[3]]))])  # fmt: skip
row("index_select", [S(A(3, 4), 0, indices([2, 0, 2])), S(A(3, 4), 1, indices([1])), S(A(3), -1, indices(0))], ops=("take",))  # fmt: skip
row("take_along_dim", [S(A(3, 4), indices([[0, 1, 2, 0]]), 0), S(A(3, 4), indices([5, 1]))], ops=("gather",))
row("masked_fill", [S(A(3, 4), indices([True, False, True, True], "bool"), 1), S(A(3), indices([True, False, True], "bool"), A())], ops=("where",), in_place=True)  # fmt: skip
row("masked_select", [S(A(3, 4), indices([True, False, True, True], "bool"))], ops=("index_get",), skips={"compiled": "the shape of the result depends on the mask's values"})  # fmt: skip
row("nonzero", [S(A(3, 4)), S(A()), S(A(0)), S(A(3), as_tuple=True)], ops=(), differentiable=False, skips={"compiled": "the shape of the result depends on values"})  # fmt: skip
row("scatter", [S(A(3, 4), 0, indices([[0, 2, 1, 0]]), A(1, 4)), S(A(3, 4), 1, indices([[1], [3], [0]]), 2), S(A(), 0, indices(0), A())], ops=("index_put",), in_place=True)  # fmt: skip
row("scatter_add", [S(A(3, 4), 0, indices([[0, 2, 1, 0], [0, 2, 1, 0]]), A(2, 4)), S(A(3, 4), 1, indices([[1, 1], [3, 3], [0, 1]]), A(3, 2))], ops=("index_put",), in_place=True)  # fmt: skip
row(_F + "one_hot", [S(indices([0, 2, 1])), S(indices([[0, 2], [1, 1]]), 5), S(indices(1), 3)], ops=("eq", "cast"), differentiable=False, dtypes=("int64",), method=False, skips={"compiled": "without num_classes the shape depends on values"})  # fmt: skip
row(_F + "embedding", [S(indices([0, 2, 0]), A(3, 4)), S(indices([[1, 2], [0, 1]]), A(3, 4), padding_idx=1), S(indices([[1]], "int32"), A(3, 4), -1)], dtypes=FLOATS, method=False)  # fmt: skip

# ---------------------------------------------------------------- random: the numbers are PyTorch's


_ONCE = {"compiled": "manual_seed acts while a program is recorded, not when it runs"}


def _seeded(name: str) -> Any:
    return lambda t, *args, **kwargs: (t.manual_seed(0), getattr(t, name)(*args, **kwargs))[1]


row("normal", [S(A(3, 4), A(4)), S(A(20), 2.0), S(1.0, A(3))], ops=("sampled",), call=_seeded("normal"), domain=(0.5, 2), dtypes=("float32", "float64"), method=False, second=False, skips=_ONCE)  # fmt: skip
row("bernoulli", [S(A(30)), S(A(3, 4)), S(A())], call=_seeded("bernoulli"), domain=(0, 1), dtypes=("float32", "float64"), method=False, second=False, skips=_ONCE)  # fmt: skip

# Their derivatives, which PyTorch approximates: tests/arrays/test_implicit.py, tests/distributions.
row("_standard_gamma", [S(A(30)), S(A(3, 4))], ops=("gamma_sample",), call=_seeded("_standard_gamma"), domain=(0.5, 5), dtypes=("float32", "float64"), method=False, differentiable=False, tolerance=4, skips={"compiled": "how many numbers are drawn depends on values"})  # fmt: skip
row("_sample_dirichlet", [S(A(3, 4)), S(A(5))], ops=("dirichlet_sample",), call=_seeded("_sample_dirichlet"), domain=(0.5, 5), dtypes=("float32", "float64"), method=False, differentiable=False, tolerance=4, skips={"compiled": "how many numbers are drawn depends on values"})  # fmt: skip
row("_standard_gamma_grad", [S(A(3, 4), A(3, 4))], domain=(0.5, 5), dtypes=("float32",), method=False, differentiable=False, tolerance=500)  # fmt: skip
row("_dirichlet_grad", [S(A(3, 4, low=0.1, high=0.9), A(3, 4, low=0.5, high=2), A(3, 4, low=3, high=6))], dtypes=("float32",), method=False, differentiable=False, tolerance=500)  # fmt: skip

# ---------------------------------------------------------------- losses, normalisation

_LOSS = [S(A(4, 3), A(4, 3)), S(A(4, 3), A(4, 3), reduction="sum"), S(A(4, 3), A(4, 3), reduction="none"), S(A(), A())]
row(_F + "mse_loss", _LOSS, ops=("squared_error",), dtypes=FLOATS, method=False)
row(_F + "l1_loss", _LOSS, ops=("absolute_error",), dtypes=FLOATS, method=False)
row(_F + "huber_loss", [*_LOSS, S(A(4, 3), A(4, 3), delta=0.5)], ops=("huber_error",), dtypes=FLOATS, method=False)
row(_F + "smooth_l1_loss", [*_LOSS, S(A(4, 3), A(4, 3), beta=0.5)], ops=("huber_error",), dtypes=FLOATS, method=False)
row(_F + "binary_cross_entropy_with_logits", [*_LOSS, S(A(4, 3), A(4, 3), A(3))], ops=("logistic_error",), domain=(0.1, 0.9), dtypes=FLOATS, method=False)  # fmt: skip
row(_F + "binary_cross_entropy", [S(A(4, 3), A(4, 3, dtype="float64", low=0, high=1))], ops=(), domain=(0.1, 0.9), dtypes=("float64",), method=False)  # fmt: skip
row(_F + "nll_loss", [S(A(4, 3), indices([0, 2, 1, 1])), S(A(4, 3), indices([0, 2, 1, 1]), reduction="none"), S(A(3), indices(1))], ops=("nll_rows",), dtypes=FLOATS, method=False)  # fmt: skip
row(_F + "cross_entropy", [
    S(A(4, 3), indices([0, 2, 1, 1])), S(A(4, 3), indices([0, 2, -100, 1])), S(A(4, 3), indices([0, 2, 1, 1]), A(3, low=1, high=2)),
    S(A(4, 3), indices([0, 2, 1, 1]), label_smoothing=0.1), S(A(4, 3), A(4, 3, low=0, high=1)), S(A(2, 3, 4), indices([[0, 1, 2, 0]] * 2)),
], ops=("cross_entropy_mean", "log_softmax"), dtypes=FLOATS, method=False)  # fmt: skip
row(_F + "kl_div", [S(A(4, 3), A(4, 3, low=0.1, high=1), reduction="batchmean")], ops=(), dtypes=FLOATS, method=False)
row(_F + "layer_norm", [S(A(4, 3), (3,), A(3), A(3)), S(A(2, 3, 4), (3, 4)), S(A(2, 3, 4), (4,), A(4))], dtypes=FLOATS, method=False)  # fmt: skip
