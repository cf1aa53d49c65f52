"""Rows of the table of operations: scans, order, searching, statistics, masked reductions."""

from __future__ import annotations

from typing import Any

from table import FLOATS, SIGNED, A, S, indices, row

NAN, INF = float("nan"), float("inf")
_ALONG = [S(A(2, 3), 1), S(A(2, 3), -2), S(A(0, 3), 0), S(A(2, 0), 0), S(A(), 0), S(A(4, 2, layout="transposed"), 0)]
_OF_VALUES = "the shape of the result depends on the elements"

# ---------------------------------------------------------------- scans

row("cumprod", [*_ALONG, S(A(3), 0, dtype="torch.float64"), S(A(6, values=[1, 2, 0, 3, 0, 1]), 0), S(A(6, values=[0, 2, 1, 3, 1, 2]), 0)], in_place=True)  # fmt: skip
row("logcumsumexp", [*_ALONG, S(A(4, values=[1, -INF, 2, -INF]), 0), S(A(3, values=[100, -100, 99]), 0)], dtypes=FLOATS)
row("cummax", [*_ALONG, S(A(7, values=[1, 3, 3, 2, NAN, 4, NAN]), 0)], ops=("cumulative_argmax", "gather"), dtypes=FLOATS, second=False)  # fmt: skip
row("cummin", [*_ALONG, S(A(7, values=[4, 3, 3, 5, NAN, 1, NAN]), 0)], ops=("cumulative_argmin", "gather"), dtypes=FLOATS, second=False)  # fmt: skip
row("cummax integers", [S(A(2, 9), 1)], ops=(), dtypes=("int64", "int32", "int16", "int8", "uint8", "bool"), differentiable=False)  # fmt: skip
row("prod zeros", [S(A(4, 3, values=[[0, 1, 2], [3, 1, 2], [0, 0, 2], [0, 0, 0]]), 1), S(A(3, values=[0, 2, 3])), S(A(0))], ops=("prod",), dtypes=("float64",))  # fmt: skip

# ---------------------------------------------------------------- order


def _values(name: str) -> Any:
    """The values that a function gives: which of equal elements its indices name is open."""
    return lambda torch, *args, **kwargs: getattr(torch, name)(*args, **kwargs)[0]


_ORDER: dict[str, Any] = {"method": False, "dtypes": SIGNED, "domain": (-99, 99)}
row("kthvalue", [S(A(2, 5), 2), S(A(3, 5), 1, 0, True), S(A(), 1), S(A(5, values=[NAN, 1, 2, NAN, 0]), 4)], ops=("index_of_rank", "gather"), call=_values("kthvalue"), **_ORDER | {"dtypes": FLOATS})  # fmt: skip
row("median along", [S(A(2, 5), 1), S(A(2, 4), 0, True), S(A(), 0), S(A(0, 3), 1)], ops=("index_of_rank", "gather"), call=_values("median"), **_ORDER)  # fmt: skip
row("nanmedian along", [S(A(2, 5), 1), S(A(5, values=[NAN, 1, 2, NAN, 0]), 0), S(A(2, values=[NAN, NAN]), 0)], ops=("argsort", "gather"), call=_values("nanmedian"), **_ORDER | {"dtypes": FLOATS})  # fmt: skip
row("median", [S(A(2, 5)), S(A(6)), S(A()), S(A(4, values=[1, 2, 2, 3])), S(A(3, values=[1, NAN, 2]))], dtypes=FLOATS)
row("nanmedian", [S(A(2, 5)), S(A()), S(A(3, values=[1, NAN, 2]))], ops=("median",), dtypes=FLOATS)
row("mode", [S(A(2, 9), 1), S(A(9, 2), 0, True), S(A()), S(A(6, values=[3, 1, 3, 1, 2, 0]))], ops=("mode_index", "gather"), call=_values("mode"), **_ORDER | {"domain": (-2, 2)})  # fmt: skip
row("topk values", [S(A(9), 4), S(A(3, 5), 0), S(A(3, 5), 5), S(A(5, values=[NAN, 1, 2, 5, 0]), 2)], ops=("top_indices", "gather"), call=_values("topk"), **_ORDER | {"dtypes": FLOATS})  # fmt: skip
row("sort nan", [S(A(5, values=[NAN, 1, NAN, 2, -INF])), S(A(5, values=[NAN, 1, NAN, 2, INF]), descending=True), S(A(4, 2, layout="transposed"), 1)], ops=("argsort",), dtypes=FLOATS)  # fmt: skip
row("msort", [S(A(3, 4)), S(A(0, 2))], ops=("argsort", "gather"), **_ORDER | {"method": True})
row("searchsorted", [
    S(A(4, values=[1, 3, 5, 7]), A(2, 3)), S(A(4, values=[1, 3, 3, 7]), A(), right=True), S(A(0), A(3)),
    S(A(2, 3, values=[[1, 3, 5], [0, 0, 2]]), A(2, 4)), S(A(2, 3, values=[[1, 3, 5], [0, 0, 2]]), A(2, 4), side="right", out_int32=True),
    S(A(3, values=[5, 1, 3]), A(4), sorter=indices([1, 2, 0])),
], method=False, differentiable=False, dtypes=SIGNED, domain=(-1, 9))  # fmt: skip
row("bucketize", [S(A(2, 3), A(4, values=[1, 3, 5, 7])), S(2, A(3, values=[1, 2, 3]), right=True)], ops=("searchsorted",), method=False, differentiable=False, dtypes=SIGNED, domain=(-1, 9))  # fmt: skip

_COUNTED: dict[str, Any] = {"ops": (), "differentiable": False, "skips": {"compiled": _OF_VALUES, "meta": _OF_VALUES}}
row("unique", [S(A(9)), S(A(3, 4), return_inverse=True, return_counts=True), S(A(6, 2), dim=0, return_inverse=True), S(A())], domain=(-1, 1), **_COUNTED)  # fmt: skip
row("unique_consecutive", [S(A(9)), S(A(3, 4), True, True), S(A(6, 2), dim=0), S(A(2, 0))], domain=(-1, 1), **_COUNTED)
row("bincount", [S(A(9)), S(A(9), minlength=9), S(A(5), A(5, dtype="float32"))], domain=(0, 4), dtypes=("int64", "int32", "uint8"), **_COUNTED)  # fmt: skip
row("histc", [S(A(40), 10), S(A(40), 7, -2, 1), S(A(0), 3), S(A(2, values=[2, 2]), 3)], dtypes=FLOATS, **_COUNTED)
row("histogram", [S(A(40), 10), S(A(40), 7, range=(-2.0, 1.0), density=True), S(A(40), A(4, values=[-2, 0, 1, 3]))], dtypes=("float32", "float64"), **_COUNTED)  # fmt: skip
row("histogramdd", [S(A(40, 2), [3, 4]), S(A(40, 2), 2, range=[-2.0, 1.0, 0.0, 3.0], weight=A(40), density=True)], dtypes=("float32", "float64"), method=False, **_COUNTED)  # fmt: skip

# ---------------------------------------------------------------- statistics

row("std constant", [S(A(3, values=[2, 2, 2])), S(A(1))], ops=("std",), dtypes=FLOATS, second=False)
for _name in ("quantile", "nanquantile"):
    row(_name, [
        S(A(2, 5), 0.3), S(A(2, 5), A(3, low=0, high=1), 1), S(A(5), 0.4, interpolation="nearest"), S(A(), 0.5, 0, True),
        S(A(2, 5), 0.3, keepdim=True, interpolation="midpoint"), S(A(4, values=[1, NAN, 2, 3]), 0.6, interpolation="lower"),
    ], ops=("argsort", "gather"), dtypes=("float32", "float64"), second=False, skips={"compiled": "q is checked by value"})  # fmt: skip
for _name in ("nansum", "nanmean"):
    row(_name, [S(A(2, 3)), S(A(2, 3), 1, True), S(A(4, values=[1, NAN, 2, 3]))], ops=("where", "sum"), dtypes=FLOATS)  # fmt: skip
row("renorm", [S(A(3, 4), 2, 0, 2.0), S(A(2, 3, 2), 1, -1, 5), S(A(3, 4), INF, 0, 1)], ops=(), dtypes=FLOATS, in_place=True, second=False)  # fmt: skip
row("gradient", [S(A(5)), S(A(3, 4), spacing=0.5, edge_order=2), S(A(3, 4), spacing=[2.0, 0.1]), S(A(3, 4), dim=1, spacing=[A(4, values=[0, 1, 3, 4])], edge_order=2)], ops=(), dtypes=FLOATS, method=False)  # fmt: skip
row("trapezoid", [S(A(2, 5)), S(A(2, 5), A(5)), S(A(3, 4), A(3, 4), dim=0), S(A(2, 5), dx=0.5), S(A(0))], ops=(), method=False)  # fmt: skip
row("cumulative_trapezoid", [S(A(2, 5)), S(A(2, 5), A(5)), S(A(2, 5), dx=0.5, dim=0)], ops=(), method=False)

# ---------------------------------------------------------------- NumPy's names of arguments

row("sum axis", [S(A(2, 3), axis=1, keepdims=True), S(A(2, 3), axis=(0, 1))], ops=())
row("amax axis", [S(A(2, 3), axis=1, keepdims=True)], ops=())
row("cumsum axis", [S(A(2, 3), axis=1)], ops=())
row("sort axis", [S(A(2, 3), axis=0)], ops=(), dtypes=FLOATS)
row("std axis", [S(A(2, 3), axis=0, keepdims=True)], ops=(), dtypes=FLOATS)

# ---------------------------------------------------------------- masked

_MASK = indices([[True, False, True], [False, False, False]], "bool")
for _name in ("sum", "prod", "amax", "amin", "mean", "var", "std", "logsumexp"):
    row(f"masked.{_name}", [S(A(2, 3), 1, mask=_MASK), S(A(2, 3), (0, 1), keepdim=True, mask=_MASK), S(A(2, 3), 0)], ops=(), dtypes=("float32", "float64"), method=False, second=False)  # fmt: skip
for _name in ("cumsum", "cumprod", "softmax", "log_softmax", "softmin"):
    row(f"masked.{_name}", [S(A(2, 3), 1), S(A(2, 3), 0, mask=indices([True, False, True], "bool"))], ops=(), dtypes=("float32", "float64"), method=False, second=False)  # fmt: skip
