"""The operations built so far pass PyTorch's own database: values, views, in place, gradients.

`python tests/conformance/ops.py` runs the whole database (see README.md); this runs the named entries, a dozen samples
each. An entry that comes to pass is added here, and stays.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PASSING = ["H", "T", "__getitem__", "__radd__", "__rand__", "__rmatmul__", "__rmod__", "__rmul__", "__ror__", "__rpow__", "__rsub__", "__rxor__", "abs", "acos", "acosh", "add", "addcdiv", "addcmul", "addmm", "addmm.decomposed", "all", "allclose", "amax", "amin", "any", "arange", "argmax", "argmin", "argsort", "argwhere", "asin", "asinh", "atan", "atan2", "atanh", "bernoulli", "bfloat16", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bmm", "bool", "broadcast_shapes", "broadcast_tensors", "broadcast_to", "byte", "cat", "cdouble", "ceil", "cfloat", "char", "chunk", "clamp", "clamp_max", "clamp_min", "clone", "contiguous", "cos", "cosh", "cumsum", "div.floor_rounding", "div.no_rounding_mode", "div.trunc_rounding", "dot", "double", "empty", "empty_like", "eq", "equal", "erf", "exp", "exp2", "expand", "expand_as", "expm1", "eye", "flatten", "flip", "fliplr", "flipud", "float", "floor", "floor_divide", "fmod", "full", "full_like", "gather", "ge", "gt", "half", "index_put", "index_select", "int", "isclose", "isfinite", "isinf", "isnan", "item", "le", "lerp", "linspace", "linspace.tensor_overload", "log", "log10", "log1p", "log2", "log_softmax", "log_softmax.with_dtype", "logical_and", "logical_not", "logical_or", "logical_xor", "logsumexp", "long", "lt", "mH", "mT", "masked_fill", "masked_select", "matmul", "max.binary", "max.reduction_no_dim", "max.reduction_with_dim", "maximum", "mean", "min.binary", "min.reduction_no_dim", "min.reduction_with_dim", "minimum", "mm", "movedim", "mul", "mv", "narrow", "ne", "neg", "new_empty", "new_full", "new_ones", "new_zeros", "nn.functional.binary_cross_entropy", "nn.functional.binary_cross_entropy_with_logits", "nn.functional.dropout", "nn.functional.elu", "nn.functional.gelu", "nn.functional.huber_loss", "nn.functional.kl_div", "nn.functional.l1_loss", "nn.functional.layer_norm", "nn.functional.leaky_relu", "nn.functional.linear", "nn.functional.logsigmoid", "nn.functional.mse_loss", "nn.functional.nll_loss", "nn.functional.one_hot", "nn.functional.pad.constant", "nn.functional.pad.reflect", "nn.functional.pad.replicate", "nn.functional.pad.replicate_negative", "nn.functional.relu", "nn.functional.silu", "nn.functional.silu.complex", "nn.functional.smooth_l1_loss", "nn.functional.softmin", "nn.functional.softmin.with_dtype", "nn.functional.softplus", "nonzero", "norm", "norm.fro", "norm.inf", "normal", "normal.in_place", "normal.number_mean", "ones", "ones_like", "outer", "permute", "pow", "prod", "rand_like", "randint", "randn", "randn_like", "ravel", "reciprocal", "remainder", "repeat", "reshape", "reshape_as", "roll", "round", "round.decimals_0", "round.decimals_3", "round.decimals_neg_3", "rsqrt", "rsub", "scatter", "scatter_add", "select", "short", "sigmoid", "sign", "sin", "sinh", "softmax", "softmax.with_dtype", "sort", "split", "split.list_args", "sqrt", "square", "squeeze", "squeeze.multiple", "stack", "std", "std.unbiased", "sub", "sum", "t", "take_along_dim", "tan", "tanh", "tile", "to", "topk", "transpose", "tril", "triu", "true_divide", "trunc", "unbind", "unflatten", "uniform", "unsqueeze", "var", "var.unbiased", "view", "view_as", "where", "zeros", "zeros_like"]
COMPLEX_IS_NOT_BUILT = ["H", "mH", "norm", "norm.fro", "std", "std.unbiased", "var", "var.unbiased", "logsumexp"]  # forward, complex64 only
KINDS = ("forward", "views", "method", "in-place", "gradient", "in-place grad")


@pytest.mark.parametrize(
    ("names", "dtypes"),
    [
        (PASSING, "float32,float64,int64,bool"),
        ([name for name in PASSING if name not in COMPLEX_IS_NOT_BUILT], "complex64"),
    ],
    ids=["real", "complex"],
)
def test_operations_conform(names: list[str], dtypes: str, tmp_path: Path) -> None:
    here, report = Path(__file__).parent, tmp_path / "report.json"
    pattern = "^(" + "|".join(name.replace(".", r"\.") for name in names) + ")$"
    command = [
        sys.executable, str(here / "ops.py"), "--only", pattern, "--dtypes", dtypes, "--max-samples", "12", "--json",
        str(report), "--jobs", "2",
    ]  # fmt: skip
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(here.parents[1])}
    subprocess.run(command, check=True, env=environment, cwd=here.parents[1], capture_output=True)
    records = {record["name"]: record for record in json.loads(report.read_text())["records"]}
    failures = [
        f"{name} [{kind}] {records[name]['kinds'][kind]['first']}"
        for name in names
        for kind in KINDS
        if kind in records[name]["kinds"] and records[name]["kinds"][kind]["failed"]
    ]
    assert set(names) <= set(records)
    assert not failures, "\n".join(failures)
