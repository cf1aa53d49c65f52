"""Events as text, in the columns of PyTorch's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_WIDTH, _GAP = 12, "  "


def format_time(microseconds: float, unit: str | None = None) -> str:
    """A time in a unit; by default in the largest of seconds, milliseconds, microseconds that gives at least 1."""
    unit = unit or ("s" if microseconds >= 1e6 else "ms" if microseconds >= 1e3 else "us")
    return f"{microseconds / {'s': 1e6, 'ms': 1e3, 'us': 1.0}[unit]:.3f}{unit}"


def format_share(part: float, total: float) -> str:
    """A part of a total in percent; NaN where there is nothing."""
    return "NaN" if total == 0 else f"{part * 100.0 / total:.2f}%"


def format_memory(num_bytes: int) -> str:
    """A number of bytes in the largest unit that gives at least 1."""
    for unit, name in ((1024**3, "GB"), (1024**2, "MB"), (1024, "KB")):
        if abs(num_bytes) >= unit:
            return f"{num_bytes / unit:.2f} {name}"
    return f"{num_bytes} B"


def _flops_unit(events: Sequence[Any]) -> tuple[float, str] | None:
    """By the smallest number of them."""
    counts = [event.flops for event in events if event.flops > 0]
    if not counts:
        return None
    prefixes = ("", "K", "M", "G", "T", "P")
    power = 0
    while power + 1 < len(prefixes) and min(counts) >= 1000 ** (power + 1):
        power += 1
    return 1000.0**-power, f"{prefixes[power]}FLOPs"


def _column_width(texts: Sequence[str], limit: int | None) -> int:
    width = max(len(text) for text in texts) + 4
    return width if limit is None else min(width, limit)


def _shortened(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) < limit - 3 else text[: limit - 3] + "..."


def _end_of(path: str, width: int) -> str:
    return path if len(path) <= width else "..." + path[len(path) - width + 3 :]


def format_table(
    events: Sequence[Any], sort_by: str | None, row_limit: int, max_src_width: int | None, max_name_width: int | None,
    max_shapes_width: int | None, header: str | None, top_level_only: bool, time_unit: str | None, profile_memory: bool,
    with_flops: bool,
) -> str:  # fmt: skip
    """The table of `EventList.table`."""
    if not events:
        return ""
    if sort_by is not None:
        name = sort_by.replace("cuda", "device")
        events = sorted(events, key=lambda event: getattr(event, name), reverse=True)
    total = sum(event.self_cpu_time_total for event in events)
    has_shapes = any(event.input_shapes for event in events)
    stacks = [event.stack for event in events if event.stack]
    flops = _flops_unit(events) if with_flops else None

    headers = ["Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg"]
    headers += ["CPU Mem", "Self CPU Mem"] if profile_memory else []
    headers.append("# of Calls")
    widths = [_column_width([event.key for event in events], max_name_width), *[_WIDTH] * (len(headers) - 1)]
    alignments = [">"] * len(headers)
    if has_shapes:
        headers.append("Input Shapes")
        widths.append(_column_width([str(event.input_shapes) for event in events], max_shapes_width))
        alignments.append(">")
    if stacks:
        headers.append("Source Location")
        widths.append(_column_width([entry for stack in stacks for entry in stack], max_src_width))
        alignments.append("<")
    if flops:
        headers.append(f"Total {flops[1]}")
        widths.append(_WIDTH)
        alignments.append(">")

    def line(values: Sequence[Any]) -> str:
        cells = zip(values, alignments, widths, strict=True)
        return "".join([f"{value!s:{alignment}{width}}{_GAP}" for value, alignment, width in cells])

    source = headers.index("Source Location") if stacks else -1
    rule = "".join(["-" * width + _GAP for width in widths])
    length = sum(widths) + len(_GAP) * (len(widths) - 1)
    lines = ["=" * length, header] if header is not None else []
    if top_level_only:
        lines += ["=" * length, "This report only display top-level ops statistics"]
    lines += [rule, line(headers), rule]

    shown = [event for event in events if not (top_level_only and event.cpu_parent is not None)]
    for event in shown[:row_limit] if row_limit >= 0 else shown:
        values: list[Any] = [
            _shortened(event.key, max_name_width),
            format_share(event.self_cpu_time_total, total),
            format_time(event.self_cpu_time_total, time_unit),
            format_share(event.cpu_time_total, total),
            format_time(event.cpu_time_total, time_unit),
            format_time(event.cpu_time, time_unit),
        ]
        if profile_memory:
            values += [format_memory(event.cpu_memory_usage), format_memory(event.self_cpu_memory_usage)]
        values.append(event.count)
        if has_shapes:
            values.append(str(event.input_shapes)[: widths[headers.index("Input Shapes")]])
        if stacks:
            values.append(_end_of(event.stack[0], widths[source]) if event.stack else "")
        if flops:
            values.append(f"{event.flops * flops[0]:8.3f}" if event.flops > 0 else "--")
        lines.append(line(values))
        if stacks:
            blank: list[Any] = [""] * len(headers)
            rest = [_end_of(entry, widths[source]) for entry in event.stack[1:]]
            lines += [line([*blank[:source], entry, *blank[source + 1 :]]) for entry in [*rest, ""]]
    lines += [rule, f"Self CPU time total: {format_time(total, time_unit)}", ""]
    return "\n".join(lines)
