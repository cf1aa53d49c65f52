"""Parameters that are given as probabilities or as logits."""

from __future__ import annotations

from typing import Any

from rushlight.distributions.utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits
from rushlight.tensor import Size, Tensor


def require_one(probs: Any, logits: Any) -> None:
    """Raises unless one of the two is given."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class ProbsOrLogits:
    """For a class whose instances have `probs` or `logits`: it has the other one as well, once that is asked for."""

    _is_binary = True  # probabilities of one event; else of all events, along the last dimension

    @lazy_property
    def logits(self) -> Tensor:
        """The log-odds; of several events, the normalized log-probabilities."""
        return probs_to_logits(self.probs, is_binary=self._is_binary)

    @lazy_property
    def probs(self) -> Tensor:
        """The probabilities."""
        return logits_to_probs(self.logits, is_binary=self._is_binary)

    @property
    def _param(self) -> Tensor:
        """The one that was given."""
        return self.__dict__[self._given]

    @property
    def _given(self) -> str:
        return self.__dict__.get("_given_name", "probs" if "probs" in self.__dict__ else "logits")

    def _set(self, probs: Any, logits: Any, *others: Any) -> tuple[Tensor, ...]:
        """Keeps the one that is given, broadcast with others, which are returned."""
        require_one(probs, logits)
        self._given_name = "logits" if probs is None else "probs"
        *found, parameter = broadcast_all(*others, logits if probs is None else probs)
        self.__dict__[self._given_name] = parameter
        return tuple(found)

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self._param.size()
