"""Rows of elementwise operations that are not in `rows.py`: signs, divisors, floating-point parts, complex numbers."""

from __future__ import annotations

import math

from table import BINARY, FLOATS, INTEGERS, UNARY, A, S, row

SINGLE = ("float32", "float64")  # those that PyTorch's complex numbers are made of

row("copysign", [*BINARY, S(A(2, 3), -2.0), S(A(2), A(2, values=[-0.0, 0.0]))], in_place=True, promotes="numbers")
row("hypot", BINARY, in_place=True, dtypes=FLOATS, domain=(1, 3))
row("gcd", BINARY, in_place=True, domain=(-12, 12), dtypes=(*INTEGERS, "bool", "float32"), differentiable=False)
row("lcm", BINARY, in_place=True, domain=(-9, 9), dtypes=(*INTEGERS, "bool", "float32"), differentiable=False)
row("fmax", [*BINARY, S(A(3, values=[math.nan, 1.0, 2.0]), A(3, values=[0.0, math.nan, 2.0]))], ops=("where",))
row("fmin", BINARY, ops=("where",), promotes="tensors")
row(
    "heaviside",
    [S(A(2, 3), A(3)), S(A(3, values=[0.0, -1.0, 2.0]), A())],
    ops=("where",),
    in_place=True,
    differentiable=False,
)
row("frexp", [*UNARY, S(A(4, values=[0.0, 1.0, -8.0, 3.0]))], dtypes=FLOATS)
row("ldexp", [S(A(2, 3), A(3)), S(A(2, 3), A(3, low=0, dtype="int64"))], ops=("mul",), in_place=True)
row("nextafter", [*BINARY, S(A(2, values=[1.0, 0.0]), A(2, values=[1.0, -1.0]))], in_place=True, dtypes=FLOATS)
row("signbit", [*UNARY, S(A(3, values=[-0.0, 0.0, -1.0]))], differentiable=False)
for _name in ("isposinf", "isneginf"):
    row(_name, [S(A(3, values=[math.inf, -math.inf, 0.0], dtype="float32")), *UNARY], ops=("eq",), differentiable=False)
row(
    "nan_to_num",
    [*UNARY, S(A(4, values=[math.nan, math.inf, -math.inf, 1.0], dtype="float64")), S(A(3), 1.0, 2.0, 3.0)],
    ops=("where",),
    in_place=True,
)
row("float_power", [*BINARY, S(A(2, 3), 2), S(A(2, 3), 0.5)], ops=("pow",), domain=(1, 3), promotes="numbers")
row("logaddexp", [*BINARY, S(A(2, values=[math.inf, -math.inf]), A(2, values=[math.inf, -math.inf]))], dtypes=FLOATS)
row("logaddexp2", BINARY, dtypes=FLOATS)
row("isin", [S(A(2, 3), A(3)), S(A(2, 3), A(2, 2), invert=True), S(A(2, 3), 1), S(2, A(3))], method=False, differentiable=False, dtypes=(*FLOATS, *INTEGERS))  # fmt: skip
row("max of a pair", [S(A(2, 3), A(3))], call=lambda torch, x, y: torch.max(x, y), ops=("maximum",), method=False)

# ---------------------------------------------------------------- complex numbers, of two real arrays


def _of_parts(name: str, **options: object) -> None:
    """A row for a function of complex numbers."""

    def call(torch, a, b):
        return getattr(torch, name)(torch.complex(a, b))

    samples = [S(A(2, 3), A(2, 3)), S(A(), A()), S(A(0, 3), A(3)), S(A(2, 3, layout="strided"), A(2, 1))]
    row(f"{name} complex", samples, call=call, dtypes=SINGLE, method=False, **{"ops": (name,), **options})


row("complex", BINARY, dtypes=(*SINGLE, "int64"), method=False)
row(
    "polar", BINARY, dtypes=(*SINGLE, "int64"), ops=("complex",), domain=(0.5, 3), method=False
)  # PyTorch's gradient is wrong for abs < 0
row("angle", [*UNARY, S(A(3, values=[-0.0, -1.0, 2.0]))])
row("sgn", in_place=True, ops=("sign",))
for _name in (
    "conj",
    "conj_physical",
    "sgn",
    "abs",
    "angle",
    "real",
    "imag",
    "view_as_real",
    "exp",
    "log",
    "sqrt",
    "sinc",
):
    _of_parts(_name, ops={"conj_physical": ("conj",), "sgn": ("sign",)}.get(_name, (_name,)))
_of_parts("isreal", ops=("imag",), differentiable=False)
row("view_as_complex", [S(A(3, 2)), S(A(2)), S(A(0, 2)), S(A(2, 4, 2))], dtypes=(*SINGLE, "int64"), method=False)
row("logaddexp complex", [S(A(4), A(4))], ops=("logaddexp",), dtypes=SINGLE, method=False, call=lambda torch, a, b: torch.logaddexp(torch.complex(a, b), torch.complex(b, a)))  # fmt: skip
row("pow complex", [S(A(4), A(4))], ops=("pow",), dtypes=SINGLE, method=False, call=lambda torch, a, b: torch.complex(a, b) ** torch.complex(b, a))  # fmt: skip
row("written parts", [S(A(3), A(3))], ops=("real", "imag", "view_as_real"), dtypes=SINGLE, method=False, second=False, call=lambda torch, a, b: _written(torch, a, b))  # fmt: skip


def _written(torch, a, b):
    """Writes through the views reach the complex numbers."""
    z = torch.complex(a, b).clone()
    z.real.mul_(2)
    torch.view_as_real(z)[..., 1].add_(a)
    pairs = torch.stack([a, b], -1)
    torch.view_as_complex(pairs).imag.neg_()
    return z, pairs
