"""`kl_divergence`, and the registry of the pairs of distributions that it knows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from rushlight.distributions.distribution import Distribution
from rushlight.tensor import Tensor

_REGISTRY: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}
_FOUND: dict[tuple[type, type], Callable[[Any, Any], Tensor] | None] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Any], Any]:
    """A decorator for the function that computes the divergence for two classes of distributions and their subclasses.

    Where several functions fit, the one for the most special classes is taken.

    Raises:
        TypeError: no class of distributions.

    Example:
        >>> from rushlight.distributions import Normal
        >>> class Standard(Normal):
        ...     def __init__(self):
        ...         super().__init__(0.0, 1.0)
        >>> @register_kl(Standard, Standard)
        ... def _zero(p, q):
        ...     return p.loc * 0
        >>> kl_divergence(Standard(), Standard())
        tensor(0.)
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not (isinstance(kind, type) and issubclass(kind, Distribution)):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def decorator(function: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
        _REGISTRY[type_p, type_q] = function
        _FOUND.clear()
        return function

    return decorator


def _find(type_p: type, type_q: type) -> Callable[[Any, Any], Tensor] | None:
    """The function for the most special pair, with a warning where `p` and `q` disagree about which that is."""
    pairs = [(p, q) for p, q in _REGISTRY if issubclass(type_p, p) and issubclass(type_q, q)]
    if not pairs:
        return None
    rank_p, rank_q = type_p.__mro__.index, type_q.__mro__.index
    by_p = min(pairs, key=lambda pair: (rank_p(pair[0]), rank_q(pair[1])))
    by_q = min(pairs, key=lambda pair: (rank_q(pair[1]), rank_p(pair[0])))
    if _REGISTRY[by_p] is not _REGISTRY[by_q]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). "
            f"Please register_kl({by_p[0].__name__}, {by_q[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _REGISTRY[by_p]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The Kullback-Leibler divergence of two distributions, KL(p || q): the mean of log p - log q under p.

    Shape:
        the batch shape.

    Raises:
        NotImplementedError: there is no formula for two such distributions.

    Example:
        >>> from rushlight.distributions import Normal
        >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
        tensor(0.5000)
    """
    key = type(p), type(q)
    if key not in _FOUND:
        _FOUND[key] = _find(*key)
    function = _FOUND[key]
    if function is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {p.__class__.__name__} and q type {q.__class__.__name__}"
        )
    return function(p, q)
