"""Einstein summation: products over labelled dimensions.

The equation is read to labels per operand; then two operands at a time are contracted by one batched matrix product, in the
order that `numpy.einsum_path` finds cheapest.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight.api.linalg import matmul
from rushlight.tensor import Tensor

LETTERS = string.ascii_uppercase + string.ascii_lowercase  # in this order, labels in a sublist are 0 to 51


def einsum(*args: Any) -> Tensor:
    """The sum of products of operands' elements, over the labels that the output lacks.

    Args:
        args: an equation and operands, `("ij,jk->ik", a, b)`, or operands each with its list of labels and perhaps the
            output's, `(a, [0, 1], b, [1, 2], [0, 2])`. "..." (`Ellipsis`) stands for any number of dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.einsum("ij,ij->i", torch.ones(2, 3), torch.ones(2, 3))
        tensor([3., 3.])
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    if isinstance(args[0], Tensor):
        equation, operands = _equation_of_lists(args)
    else:
        equation, operands = args[0], args[1:]
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = operands[0]
    labels, output = _labels(equation.replace(" ", ""), operands)
    terms = [_without_repeats(x, own) for x, own in zip(operands, labels, strict=True)]
    _check_sizes(terms)
    return _contracted(terms, output)


def _equation_of_lists(args: tuple[Any, ...]) -> tuple[str, tuple[Tensor, ...]]:
    operands, lists = args[0 : len(args) // 2 * 2 : 2], args[1::2]
    equation = ",".join("".join(_letter(i) for i in one) for one in lists)
    return equation + ("->" + "".join(_letter(i) for i in args[-1]) if len(args) % 2 else ""), operands


def _letter(label: Any) -> str:
    if label is Ellipsis:
        return "..."
    if not 0 <= label < len(LETTERS):
        raise ValueError(f"einsum(): subscript {label} is not within the valid range [0, 52)")
    return LETTERS[label]


# ---------------------------------------------------------------- reading


def _labels(equation: str, operands: Sequence[Tensor]) -> tuple[list[list[str]], list[str]]:
    """(the labels of each operand's dimensions, those of the output). "..." becomes labels "...0", "...1", from the last on."""
    left, arrow, right = equation.partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        few = "fewer" if len(parts) > len(operands) else "more"
        raise RuntimeError(f"einsum(): {few} operands were provided than specified in the equation")
    labels = [_expanded(part, x.ndim, i) for i, (part, x) in enumerate(zip(parts, operands, strict=True))]
    every = [label for own in labels for label in own]
    hidden = sorted({label for label in every if len(label) > 1}, key=lambda label: -int(label[3:]))
    if not arrow:
        return labels, hidden + sorted(label for label in set(every) if len(label) == 1 and every.count(label) == 1)
    start, dots, end = right.partition("...")
    output = [*start, *(hidden if dots else ()), *end]
    for label in output:
        if len(label) == 1 and label not in LETTERS:
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {len(left) + 2 + right.index(label)} in the equation string, "
                "subscripts must be in [a-zA-Z]"
            )
        if output.count(label) > 1:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
        if label not in every:
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any input operand"
            )
    return labels, output


def _expanded(part: str, ndim: int, number: int) -> list[str]:
    """The labels of one operand's dimensions."""
    start, dots, end = part.partition("...")
    for i, letter in enumerate(start + end):
        if letter == "." and dots:
            raise RuntimeError(f"einsum(): found '.' for operand {number} for which an ellipsis was already found")
        if letter not in LETTERS:
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {i} in the equation string, subscripts must be in [a-zA-Z]"
            )
    count = ndim - len(start) - len(end)
    if count < 0 or count and not dots:
        names = f"({len(start) + len(end)}) {'is more than' if dots else 'does not match'} the number of dimensions ({ndim})"
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation {names} for operand {number}"
            + ("" if dots else " and no ellipsis was given")
        )
    return [*start, *[f"...{i}" for i in reversed(range(count))], *end]


def _without_repeats(x: Tensor, labels: list[str]) -> tuple[Tensor, list[str]]:
    """An operand with the diagonal of dimensions that have the same label."""
    for label in [each for each in dict.fromkeys(labels) if labels.count(each) > 1]:
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if x.shape[first] != x.shape[second]:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand but the sizes don't match, "
                    f"{x.shape[second]} != {x.shape[first]}"
                )
            x = x.diagonal(0, first, second)
            labels = [*labels[:first], *labels[first + 1 : second], *labels[second + 1 :], label]
    return x, labels


def _check_sizes(terms: list[tuple[Tensor, list[str]]]) -> None:
    sizes: dict[str, int] = {}
    for number, (x, labels) in enumerate(terms):
        for label, size in zip(labels, x.shape, strict=True):
            before = sizes.setdefault(label, size)
            if before == 1:
                sizes[label] = size
            elif size not in (1, before):
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {size} for operand {number} which does not broadcast with "
                    f"previously seen size {before}"
                )


# ---------------------------------------------------------------- contracting


def _contracted(terms: list[tuple[Tensor, list[str]]], output: list[str]) -> Tensor:
    terms = list(terms)
    for step in _path(terms, output):
        chosen = [terms.pop(i) for i in sorted(step, reverse=True)]
        merged = chosen.pop()
        while chosen:
            other = chosen.pop()
            kept = {label for _, labels in [*terms, *chosen] for label in labels} | set(output)
            merged = _pair(merged, other, kept)
        terms.append(merged)
    x, labels = _summed(*terms[0], set(output))
    return x.permute(*[labels.index(label) for label in output])


def _path(terms: list[tuple[Tensor, list[str]]], output: list[str]) -> list[tuple[int, ...]]:
    """Which terms to take next; what they make is put last."""
    if len(terms) <= 2:
        return [tuple(range(len(terms)))]
    letter = {label: LETTERS[i] for i, label in enumerate(dict.fromkeys(each for _, own in terms for each in own))}
    sizes: dict[str, int] = {}
    for x, labels in terms:
        for label, size in zip(labels, x.shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    shapes = [np.broadcast_to(0.0, [sizes[label] for label in labels]) for _, labels in terms]
    inputs = ",".join("".join(letter[label] for label in labels) for _, labels in terms)
    return np.einsum_path(f"{inputs}->{''.join(letter[each] for each in output)}", *shapes, optimize="greedy")[0][1:]


def _summed(x: Tensor, labels: list[str], kept: set[str]) -> tuple[Tensor, list[str]]:
    """A term without the dimensions that nothing else has."""
    gone = [i for i, label in enumerate(labels) if label not in kept]
    return (x.sum(gone), [label for label in labels if label in kept]) if gone else (x, labels)


def _pair(one: tuple[Tensor, list[str]], two: tuple[Tensor, list[str]], kept: set[str]) -> tuple[Tensor, list[str]]:
    """Two terms as one: labels of both are a batch if kept, else summed over, by one batched matrix product."""
    a, of_a = _summed(*_without_ones(*one, two), kept | set(two[1]))
    b, of_b = _summed(*_without_ones(*two, (a, of_a)), kept | set(of_a))
    a, of_a = _summed(a, of_a, kept | set(of_b))
    batch = [label for label in of_a if label in of_b and label in kept]
    inner = [label for label in of_a if label in of_b and label not in kept]
    rows = [label for label in of_a if label not in of_b]
    columns = [label for label in of_b if label not in of_a]

    def arranged(x: Tensor, labels: list[str], groups: tuple[list[str], ...]) -> Tensor:
        sizes = [math.prod(x.shape[labels.index(each)] for each in group) for group in groups]
        return x.permute(*[labels.index(each) for group in groups for each in group]).reshape(*sizes)

    product = matmul(arranged(a, of_a, (batch, rows, inner)), arranged(b, of_b, (batch, inner, columns)))
    size = {**dict(zip(of_a, a.shape, strict=True)), **dict(zip(of_b, b.shape, strict=True))}
    labels = [*batch, *rows, *columns]
    return product.reshape(*[size[each] for each in labels]), labels


def _without_ones(x: Tensor, labels: list[str], other: tuple[Tensor, list[str]]) -> tuple[Tensor, list[str]]:
    """A term without dimensions of size 1 that the other has too: it has them in full."""
    gone = [i for i, label in enumerate(labels) if x.shape[i] == 1 and label in other[1]]
    return (x.squeeze(gone), [label for i, label in enumerate(labels) if i not in gone]) if gone else (x, labels)
