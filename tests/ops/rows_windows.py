"""Rows of what slides over images: convolution, pooling, padding, interpolation."""

from __future__ import annotations

from table import FLOATS, A, S, indices, row

_F = "nn.functional."
_NO_HALF = ("float32", "float64")
_NUMBERS = (*FLOATS, "int64")

# ---------------------------------------------------------------- convolution

row(_F + "conv1d", [
    S(A(2, 4, 9), A(6, 4, 3), A(6)), S(A(2, 4, 9), A(6, 2, 3), stride=2, padding=2, dilation=2, groups=2), S(A(4, 9), A(6, 4, 4), padding="same"),
    S(A(0, 4, 9), A(6, 4, 3)), S(A(2, 4, 9), A(6, 4, 1)),
], ops=("convolve", "convolve_biased"), dtypes=_NUMBERS, method=False, tolerance=8)  # fmt: skip
row(_F + "conv2d", [
    S(A(2, 3, 6, 5), A(4, 3, 3, 2), A(4), padding=1), S(A(2, 4, 12, 12), A(4, 1, 3, 3), groups=4), S(A(2, 3, 6, 5), A(4, 3, 3, 2), stride=(2, 1)),
], ops=("convolve_weight",), dtypes=_NUMBERS, method=False, tolerance=8)  # fmt: skip
row(_F + "conv3d", [S(A(1, 2, 4, 4, 5), A(2, 2, 2, 3, 1), A(2), padding=1)], ops=(), dtypes=_NUMBERS, method=False, tolerance=8)  # fmt: skip
row(_F + "conv_transpose2d", [
    S(A(2, 4, 3, 4), A(4, 2, 3, 2), A(4), stride=2, padding=1, output_padding=1, groups=2), S(A(2, 4, 3, 4), A(4, 2, 3, 2), dilation=2),
    S(A(2, 4, 3, 4), A(4, 2, 1, 1)),
], ops=("convolve_transposed",), dtypes=(*_NO_HALF, "int64"), method=False, tolerance=8)  # fmt: skip
row(_F + "unfold", [S(A(2, 3, 5, 4), (2, 3), 2, 1, 1), S(A(3, 5, 4), 2, stride=2)], dtypes=FLOATS, method=False)
row(_F + "fold", [S(A(2, 12, 12), (4, 5), (2, 2)), S(A(12, 6), (5, 6), 2, stride=2)], dtypes=FLOATS, method=False)

# ---------------------------------------------------------------- pooling

row(
    _F + "avg_pool1d",
    [S(A(2, 3, 7), 3, 2, 1, ceil_mode=True), S(A(3, 7), 2)],
    ops=("average",),
    dtypes=_NUMBERS,
    method=False,
)
row(_F + "avg_pool2d", [
    S(A(2, 3, 7, 6), (3, 2), 2, 1), S(A(2, 3, 7, 6), 3, 2, 1, True, False), S(A(2, 3, 7, 6), 2, divisor_override=3),
], ops=("resample",), dtypes=_NUMBERS, method=False)  # fmt: skip
row(_F + "adaptive_avg_pool2d", [S(A(2, 3, 7, 6), (3, 2)), S(A(2, 3, 7, 6), 1), S(A(3, 7, 6), (None, 9))], ops=(), dtypes=FLOATS, method=False)  # fmt: skip
row(
    _F + "lp_pool2d",
    [S(A(2, 3, 6, 6), 2, 2), S(A(2, 3, 6, 6), 3, 3, 2)],
    ops=(),
    dtypes=_NO_HALF,
    domain=(1, 3),
    method=False,
)
row(
    _F + "max_pool1d",
    [S(A(2, 3, 7), 3, 2, 1, return_indices=True), S(A(3, 7), 2, dilation=2)],
    ops=(),
    dtypes=FLOATS,
    method=False,
)
row(_F + "max_pool2d", [
    S(A(2, 3, 7, 6), 3, 2, 1, return_indices=True), S(A(2, 3, 7, 6), (2, 3), ceil_mode=True, return_indices=True),
    S(A(1, 4, 4, values=[[[0.0, 2.0, 2.0, 1.0], [2.0, 2.0, 1.0, 1.0], [0.0] * 4, [0.0, 0.0, 1.0, 1.0]]]), 2, return_indices=True),
], ops=("max_windows", "put_at"), dtypes=(*FLOATS, "int64", "uint8"), method=False)  # fmt: skip
row(_F + "max_pool2d of NaN", [
    S(A(1, 2, 4, values=[[[0.0, float("nan"), 1.0, 1.0], [float("nan"), 2.0, 3.0, 1.0]]]), 2, return_indices=True),
], ops=(), dtypes=FLOATS, method=False)  # fmt: skip
row(_F + "adaptive_max_pool2d", [S(A(2, 3, 7, 6), (3, 4), return_indices=True), S(A(3, 7, 6), (None, 2))], ops=(), dtypes=FLOATS, method=False)  # fmt: skip
row(_F + "fractional_max_pool2d", [
    S(A(2, 3, 7, 6), 2, output_size=(3, 4), return_indices=True, _random_samples=A(2, 3, 2, dtype="float64", low=0, high=1)),
], ops=(), dtypes=("float64",), method=False)  # fmt: skip
row(_F + "max_unpool2d", [
    S(A(1, 2, 2), indices([[[0, 3], [9, 15]]]), 2), S(A(1, 2, 2), indices([[[0, 3], [9, 24]]]), 2, output_size=(5, 5)),
], ops=(), dtypes=FLOATS, method=False)  # fmt: skip

# ---------------------------------------------------------------- padding, interpolation

row(_F + "pad modes", [
    S(A(2, 3, 4), (2, 1), "reflect"), S(A(2, 3, 4), (2, -1), "replicate"), S(A(2, 3, 4), (-1, 3, 1, 0), "circular"), S(A(2, 3, 4), (1, -1), value=2),
], ops=(), method=False, dtypes=(*FLOATS, "int64", "uint8"))  # fmt: skip
row(_F + "interpolate", [
    S(A(2, 2, 5), 7), S(A(2, 2, 5), scale_factor=0.7, mode="nearest-exact"), S(A(2, 2, 5, 4), (7, 3), mode="bilinear"),
    S(A(2, 2, 5, 4), scale_factor=1.6, mode="bicubic", align_corners=True), S(A(2, 2, 9, 8), (3, 5), mode="bicubic", antialias=True),
    S(A(2, 2, 9, 8), (3, 5), mode="bilinear", antialias=True), S(A(1, 1, 3, 2, 2), 4, mode="trilinear"), S(A(2, 2, 5, 4), (2, 3), mode="area"),
], ops=(), dtypes=_NO_HALF, method=False)  # fmt: skip
row(_F + "interpolate bytes", [
    S(A(1, 3, 5, 4), (7, 3), mode="bilinear"), S(A(1, 3, 5, 4), (3, 7), mode="bicubic"), S(A(1, 3, 5, 4), (3, 7)),
], ops=(), dtypes=("uint8",), domain=(0, 255), method=False)  # fmt: skip
row(_F + "grid_sample", [
    S(A(2, 3, 4, 5), A(2, 3, 2, 2, low=-1.4, high=1.4), align_corners=False),
    S(A(2, 3, 4, 5), A(2, 3, 2, 2, low=-1.4, high=1.4), "bicubic", "border", True),
    S(A(2, 3, 4, 5), A(2, 3, 2, 2, low=-1.4, high=1.4), "nearest", "reflection", True),
    S(A(1, 2, 3, 4, 5), A(1, 2, 2, 2, 3, low=-1.4, high=1.4), "bilinear", "reflection", False),
], ops=("read_at",), dtypes=_NO_HALF, method=False, tolerance=8)  # fmt: skip
row(_F + "affine_grid", [S(A(2, 2, 3), (2, 1, 3, 4), align_corners=False), S(A(2, 3, 4), (2, 1, 2, 3, 4), align_corners=True)], ops=(), dtypes=_NO_HALF, method=False)  # fmt: skip
row(_F + "pixel_shuffle", [S(A(2, 8, 3, 2), 2), S(A(4, 3, 2), 1)], ops=(), method=False)
row(_F + "pixel_unshuffle", [S(A(2, 2, 6, 4), 2)], ops=(), method=False)
row("channel_shuffle", [S(A(2, 6, 3, 2), 3), S(A(2, 6, 3), 1)], ops=(), method=False)
