"""Rows: views that no slicing gives, what puts elements elsewhere, and the copying forms of views."""

from __future__ import annotations

from table import FLOATS, A, S, indices, row

_F = "nn.functional."

row("diagonal", [S(A(3, 4)), S(A(3, 4), 1), S(A(3, 4), -2), S(A(2, 3, 4), 0, -1, 0), S(A(3, 3, layout="transposed")), S(A(2, 3), 7), S(A(0, 3))])  # fmt: skip
row("Tensor.unfold", [S(A(7), 0, 3, 2), S(A(2, 7), 1, 2, 1), S(A(2, 6, layout="strided"), -1, 2, 2), S(A(), 0, 1, 1), S(A(3), 0, 0, 1)], method=False)  # fmt: skip
row("as_strided", [S(A(3, 4), (2, 2), (4, 2), 1), S(A(6), (4, 3), (1, 1)), S(A(4), (), ())], ops=("affine_view",))  # fmt: skip
row(
    "as_strided transposed",
    [S(A(3, 4, layout="transposed"), (2, 2), (1, 3))],
    ops=("affine_view",),
    skips={"compiled": "a program sees tensors as contiguous"},
)
row("Tensor.contiguous copies", [S(A(2, 3, layout="transposed")), S(A(2, 3, layout="strided"))], ops=("contiguous",), method=False)  # fmt: skip
row("diag", [S(A(3)), S(A(3), -1), S(A(3, 4), 1)], ops=("diagonal",))
row("diag_embed", [S(A(2, 3)), S(A(2, 3), 1, 0, -1)], ops=("diagonal", "view_scatter"))
row("diagflat", [S(A(2, 2)), S(A(), -1)], ops=("diagonal",))
row("rot90", [S(A(2, 3)), S(A(2, 3, 2), 2, (0, 2)), S(A(2, 3), -1, (1, 0)), S(A(2, 3), 0)], ops=("flip", "transpose"))
row("repeat_interleave", [S(A(2, 3), 2), S(A(2, 3), 2, 1), S(A(), 3)], ops=("take",))
row(
    "repeat_interleave counts",
    [S(A(3), indices([0, 2, 1])), S(A(2, 3), indices([0, 2, 1]), 1)],
    ops=("take",),
    skips={"compiled": "the shape of the result depends on values"},
)
row("combinations", [S(A(4)), S(A(3), 3), S(A(3), 2, True), S(A(3), 0), S(A(1), 2)], ops=("take",), method=False)
row("cartesian_prod", [S(A(2), A(3)), S(A(3))], ops=("stack",), method=False)
row("Tensor.sum_to_size", [S(A(2, 3), 1, 3), S(A(2, 3), (3,)), S(A(2, 3), 2, 3)], ops=("sum",), method=False)
row("hsplit", [S(A(2, 4), 2), S(A(4), [1, 3])], ops=("slice_",), method=False)
row("split_with_sizes", [S(A(5, 2), [1, 4]), S(A(2, 5), (0, 5), -1)], ops=("slice_",))
row("unfold_copy", [S(A(7), 0, 3, 2)], ops=("unfold", "clone"), method=False)
row("diagonal_scatter", [S(A(3, 4), A(3)), S(A(3, 4), A(2), 2)], ops=("view_scatter",))
row("select_scatter", [S(A(3, 4), A(4), 0, 1), S(A(3, 4), A(3), -1, -1)], ops=("view_scatter",))
row("slice_scatter", [S(A(3, 4), A(3, 2), 1, 1, 3), S(A(3, 4), A(2, 4), 0, None, None, 2)], ops=("view_scatter",))
row("fill", [S(A(2, 3), 2), S(A(2, 3), A())], ops=("copied",), in_place=True, method=False)
row("linspace", [S(0, 5, 11), S(2.5, -1, 4, dtype="torch.int64"), S(1, 2, 1), S(1, 2, 0)], ops=(), method=False, differentiable=False, dtypes=FLOATS[:1])  # fmt: skip
