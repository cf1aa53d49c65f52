"""`Compare`: measurements as a table, a column for each description and a row for each sub-label."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rushlight.utils.benchmark.measurement import Measurement, select_unit, trim_sigfig, unit_to_english


class Compare:
    """A table of measurements, one for each label. Left out of PyTorch's: colours, and marks for noisy times.

    Args:
        results: the measurements.
    """

    def __init__(self, results: Iterable[Measurement]):
        self._results: list[Measurement] = []
        self._trims = False
        self.extend_results(results)

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Adds measurements."""
        results = list(results)
        for result in results:
            if not isinstance(result, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(result)} instead.")
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Shows no more digits than are certain."""
        self._trims = True

    def print(self) -> None:
        """Prints the table."""
        print(str(self))

    def __str__(self) -> str:
        groups: dict[str | None, list[Measurement]] = {}
        for result in Measurement.merge(self._results):
            groups.setdefault(result.label, []).append(result)
        return "\n".join([self._table(label or "", results) for label, results in groups.items()])

    def _table(self, label: str, results: list[Measurement]) -> str:
        unit, scale = select_unit(min(result.median for result in results))
        columns = list(dict.fromkeys(result.description for result in results))
        keys = dict.fromkeys((result.num_threads, result.env or "", result.as_row_name) for result in results)
        rows = sorted(keys, key=lambda key: key[:2])
        cells = {(r.num_threads, r.env or "", r.as_row_name, r.description): r for r in results}
        texts = [["", *[column or "" for column in columns]]]
        texts += [["      " + key[2]] for key in rows]
        for column in columns:
            found = [cells.get((*key, column)) for key in rows]
            for text, number in zip(texts[1:], self._column(found, scale), strict=True):
                text.append(number)
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        lines = ["  |  ".join([text.center(width) for text, width in zip(texts[0], widths, strict=True)])]
        total, threads = len(lines[0]), None
        for key, text in zip(rows, texts[1:], strict=True):
            if key[0] != threads:
                threads = key[0]
                lines.append(f"{threads} threads: ".ljust(total, "-"))
            name, *numbers = text
            centered = [number.center(width) for number, width in zip(numbers, widths[1:], strict=True)]
            lines.append("  |  ".join([name.ljust(widths[0]), *centered]))
        title = f"[{f' {label} '.center(total - 2, '-')}]"
        return "\n".join([title, *lines, "", f"Times are in {unit_to_english(unit)}s ({unit}).", ""])

    def _column(self, results: list[Measurement | None], scale: float) -> list[str]:
        """Numbers of one width and one number of decimals, blanks where there is none."""
        there = [result for result in results if result is not None]
        digits = [math.ceil(math.log10(result.median / scale)) for result in there]
        decimals = 1
        if self._trims:
            pairs = zip(there, digits, strict=True)
            decimals = min(max(result.significant_figures - count, 0) for result, count in pairs)
        width = max(digits) + decimals + (1 if decimals else 0)
        texts = []
        for result in results:
            value = 1.0 if result is None else result.median / scale
            if self._trims and result is not None:
                value = trim_sigfig(value, result.significant_figures)
            text = f"{value:>{width}.{decimals}f}"
            texts.append(" " * len(text) if result is None else text)
        return texts
