"""Loop IR as text, for reading and for golden tests."""

from __future__ import annotations

from rushlight.compiler.affine import Affine
from rushlight.compiler.loops import Nest, Root, Value


def describe_nest(nest: Nest) -> str:
    """The loops of a nest: rows r0, r1..., columns c0, c1..., values numbered in order."""
    names = {value: f"v{i}" for i, value in enumerate(_ordered(nest))}
    indices = [f"r{i}" for i in range(len(nest.rows))] + [f"c{i}" for i in range(len(nest.columns))]
    style = "unrolled" if nest.unrolled else "loops"
    lines = [f"{nest.name}: rows {list(nest.rows)} columns {list(nest.columns)} width {nest.width} {style}"]

    def show(values: list[Value], depth: int) -> None:
        for value in values:
            lines.append("  " * depth + f"{names[value]} = {_value(value, names, indices)}")

    show(nest.prologue, 1)
    for stage in nest.stages:
        show(stage.row_values, 2)
        if stage.roots or stage.reductions:
            lines.append("    for columns:")
        for value, root in stage.known.items():
            lines.append(f"      {names[value]} from {root.buffer if root else 'scratch'}")
        show(stage.values, 3)
        lines.extend(f"      keep {names[value]}" for value in stage.kept)
        lines.extend("      " + _root(root, names, indices) for root in stage.roots)
        show(stage.reductions, 3)
        lines.extend("    " + _root(root, names, indices) for root in stage.row_roots)
    return "\n".join(lines)


def _ordered(nest: Nest) -> list[Value]:
    found = dict.fromkeys(nest.prologue)
    for stage in nest.stages:
        found.update(dict.fromkeys([*stage.row_values, *stage.values, *stage.reductions]))
    return list(found)


def _value(value: Value, names: dict[Value, str], indices: list[str]) -> str:
    operands = ", ".join(names[v] for v in value.operands)
    if value.op == "load":
        return f"{value.dtype} {value.buffer}{_address(value.address, indices)}"
    if value.op == "constant":
        return f"{value.dtype} {value.attrs['value']}"
    if value.op == "index":
        return f"{value.dtype} {value.attrs['start']} + {value.attrs['step']} * {_address(value.address, indices)}"
    if value.op == "gather":
        place = _address(value.address, indices)
        return f"{value.dtype} {value.buffer}{place} at {operands} * {value.attrs['strides']}"
    name = value.attrs["kind"] + " over columns" if value.op == "reduce" else value.op
    return f"{value.dtype} {name}({operands})"


def _root(root: Root, names: dict[Value, str], indices: list[str]) -> str:
    place = f"{root.buffer}{_address(root.address, indices)}"
    if root.op == "scatter":
        looked = ", ".join(f"{names[v]} * {stride}" for v, stride in root.indices)
        return f"{place} at {looked} <- {root.kind} {names[root.value]}"
    arrow = "<-" if root.op == "store" else f"<- {root.kind}"
    return f"{place} {arrow} {names[root.value]}"


def _address(address: Affine, indices: list[str]) -> str:
    terms = [
        name if factor == 1 else f"{factor}*{name}" for factor, name in zip(address[1:], indices, strict=True) if factor
    ]
    if address[0] or not terms:
        terms.insert(0, str(address[0]))
    return f"[{' + '.join(terms)}]"
