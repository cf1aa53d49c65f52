"""Rows: reading and writing by index where several values may meet at one place."""

from __future__ import annotations

from table import FLOATS, SIGNED, A, S, indices, row

_ROWS = indices([0, 2, 0])
_EVERYWHERE = indices([[0, 2, 1, 0], [0, 2, 2, 0]])

row("take", [S(A(3, 4), indices([[0, 11], [-1, 5]])), S(A(), indices([0])), S(A(3), indices([], "int64"))])
row("put", [S(A(3, 4), indices([0, -1]), A(2)), S(A(3, 4), indices([0, 0, 5]), A(3), True)], ops=("index_put",), in_place=True)  # fmt: skip
row("index_add", [S(A(3, 4), 0, _ROWS, A(3, 4)), S(A(2, 3), 1, _ROWS, A(2, 3), alpha=2), S(A(), 0, indices(0), A())], ops=("index_put",), in_place=True)  # fmt: skip
row("index_copy", [S(A(3, 4), 0, indices([2, 0]), A(2, 4)), S(A(), 0, indices([0]), A())], ops=("index_put",), in_place=True)  # fmt: skip
row("index_fill", [S(A(3, 4), 0, _ROWS, 2), S(A(3, 4), 1, indices([-1, 0]), A()), S(A(3), 0, indices(1), 1)], ops=("where",), in_place=True)  # fmt: skip
row("masked_scatter", [S(A(2, 3), indices([True, False, True], "bool"), A(6)), S(A(3), indices([False] * 3, "bool"), A(0))], ops=("index_put",), in_place=True, skips={"compiled": "which values go where depends on the mask's values"})  # fmt: skip

for _reduce in ("sum", "mean", "prod", "amax", "amin"):
    _samples = [
        S(A(3, 4), 0, _EVERYWHERE, A(2, 4), _reduce), S(A(3, 4), 0, _EVERYWHERE, A(2, 4), _reduce, include_self=False),
        S(A(2, 3), 1, indices([[0, 0, 0, 1], [2, 1, 1, 1]]), A(2, 5), _reduce), S(A(), 0, indices(0), A(), _reduce),
    ]  # fmt: skip
    row(f"scatter_reduce {_reduce}", _samples, ops=("index_put" if _reduce in ("sum", "mean") else "index_reduce",), in_place=True, domain=(-9, 9), dtypes=SIGNED)  # fmt: skip
for _reduce in ("mean", "prod", "amax", "amin"):
    row(f"index_reduce {_reduce}", [S(A(3, 4), 0, _ROWS, A(3, 4), _reduce), S(A(2, 3), 1, _ROWS, A(2, 3), _reduce, include_self=False)], ops=("index_put" if _reduce == "mean" else "index_reduce",), in_place=True, domain=(-9, 9), dtypes=FLOATS[:2])  # fmt: skip
row("scatter_reduce of zeros", [
    S(A(2, values=[2.0, 3.0]), 0, indices([0, 0, 0, 1]), A(4, values=[0.0, 4.0, 5.0, 6.0]), "prod"),
    S(A(2, values=[0.0, 3.0]), 0, indices([0, 0, 1, 1]), A(4, values=[7.0, 4.0, 5.0, 0.0]), "prod"),
], ops=("index_reduce",), dtypes=FLOATS[:2])  # fmt: skip
row("nonzero_static", [S(A(2, 3), size=4), S(A(2, 3), size=9, fill_value=7)], ops=(), differentiable=False, skips={"compiled": "depends on values"})  # fmt: skip
row("unravel_index", [S(indices([0, 5, 11]), (3, 4)), S(indices(5), 6)], ops=("floor_divide",), dtypes=("int64",), differentiable=False, method=False)  # fmt: skip
