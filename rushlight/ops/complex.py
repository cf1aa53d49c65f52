"""Complex numbers: parts, conjugates, and what is made of parts."""

from __future__ import annotations

from rushlight.ops.define import op


@op(waist="conj", grad_name="Conj", wirtinger=True, wide=False)
def conj(xp, x):
    """The complex conjugate; real numbers are their own."""
    return xp.conj(x)


conj.derivative(x=lambda xp, grad: xp.conj(grad))


@op(view=True, waist="real", wirtinger=True)
def real(xp, x):
    """The real part, a view."""
    return xp.real(x)


real.derivative(x=lambda xp, grad: xp.complex(grad, xp.full(grad.shape, 0, grad.dtype)))


@op(view=True, waist="imag", wirtinger=True)
def imag(xp, x):
    """The imaginary part, a view."""
    return xp.imag(x)


imag.derivative(x=lambda xp, grad: xp.complex(xp.full(grad.shape, 0, grad.dtype), grad))


@op(waist="complex", wirtinger=True)
def complex(xp, real, imag):
    """Complex numbers of two real arrays of one dtype."""
    return xp.complex(real, imag)


complex.derivative(real=lambda xp, grad: xp.real(grad), imag=lambda xp, grad: xp.imag(grad))
