"""On a GPU: single operations, matrix products and training steps, rushlight and PyTorch in alternating rounds.

    python benchmarks/gpu.py [--toy] [--only NAMES] [--json FILE]

Microseconds a call, median (quartiles), with one wait for the GPU at the end of each block of calls, and the ratio of the
medians. Beside each ratio is what it should be at most. Both libraries compute on the same GPU in one process.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import timer

LARGE, SIDE = 1 << 24, 4096  # elements of an array; rows of a square matrix
TOY_LARGE, TOY_SIDE = 1 << 12, 64
STEPS = {"mnist_mlp": 0.8, "mnist_cnn": 1.0, "char_gpt": 0.8, "lstm": 1.2}


class OnGPU:
    """A library whose new tensors, those from NumPy's arrays too, are on the GPU."""

    def __init__(self, library: Any):
        self._library = library
        library.set_default_device("cuda")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def from_numpy(self, array: Any) -> Any:
        return self._library.from_numpy(array).to("cuda")


def operations(torch: Any, toy: bool) -> Iterator[tuple[str, float, Callable[[], Any]]]:
    """(name, ratio to stay within, call)."""
    import numpy as np

    random, functional = np.random.default_rng(0), torch.nn.functional

    def numbers(*shape: int) -> Any:
        return torch.from_numpy(random.standard_normal(shape).astype(np.float32))

    a, b = numbers(1000), numbers(1000)
    yield "add, 1,000 elements", 1.3, lambda: a + b
    size = TOY_LARGE if toy else LARGE
    x, y = numbers(size), numbers(size)
    rows = x.reshape(-1, 1024)
    scale, shift = numbers(1024), numbers(1024)
    yield f"add, {size:,} elements", 1.0, lambda: x + y
    yield f"exp, {size:,} elements", 1.0, lambda: x.exp()
    yield f"gelu, {size:,} elements", 1.0, lambda: functional.gelu(x)
    yield f"softmax of rows of 1024, {size:,} elements", 1.0, lambda: functional.softmax(rows, -1)
    yield (
        f"layer_norm of rows of 1024, {size:,} elements",
        1.0,
        lambda: functional.layer_norm(rows, (1024,), scale, shift),
    )
    index = torch.from_numpy(random.integers(0, len(rows), 8192))
    yield "8,192 rows by index", 1.3, lambda: rows[index]
    yield f"sum, {size:,} elements", 1.0, lambda: x.sum()
    yield f"sum of rows, {size:,} elements", 1.0, lambda: rows.sum(1)
    yield f"sum of columns, {size:,} elements", 1.0, lambda: rows.sum(0)
    side = TOY_SIDE if toy else SIDE
    left, right = numbers(side, side), numbers(side, side)
    for kind in ("highest", "high"):

        def product(kind: str = kind) -> Any:
            torch.set_float32_matmul_precision(kind)
            return left @ right

        yield f"matmul of {side} x {side}, {'float32' if kind == 'highest' else 'tf32'}", 1.05, product
    for hidden, most in ((64, 0.8), (512, 1.2)):  # one kernel for all times, and a product and a kernel for each
        num_times, batch = (8, 2) if toy else (128, 32)
        layer, sequences = torch.nn.LSTM(hidden, hidden), numbers(num_times, batch, hidden)
        yield (
            f"lstm of {hidden}, {num_times} times, forward and back",
            most,
            lambda layer=layer, sequences=sequences: layer(sequences)[0].sum().backward(),
        )
    low, other = left.to(torch.bfloat16), right.to(torch.bfloat16)
    yield f"matmul of {side} x {side}, bfloat16", 1.05, lambda: low @ other
    yield from images(torch, numbers(*((2, 8, 12, 12) if toy else (64, 128, 56, 56))))


def images(torch: Any, pixels: Any) -> Iterator[tuple[str, float, Callable[[], Any]]]:
    """Convolutions, norms and pooling of images, and what they are of half precision."""
    functional, channels = torch.nn.functional, pixels.shape[1]
    kernel = pixels[:1, :, :3, :3].repeat(channels, 1, 1, 1) / channels
    scale, shift = kernel[0, :, 0, 0], kernel[0, :, 1, 1]
    for kind, dtype, order in (
        ("tf32", torch.float32, torch.contiguous_format), ("bfloat16", torch.bfloat16, torch.contiguous_format),
        ("bfloat16, channels last", torch.bfloat16, torch.channels_last),
    ):  # fmt: skip
        x, weight = (t.to(dtype).contiguous(memory_format=order).requires_grad_() for t in (pixels, kernel))

        def convolved(x: Any = x, weight: Any = weight) -> Any:
            return functional.conv2d(x, weight, padding=1)

        def differentiated(x: Any = x, weight: Any = weight, far: Any = x.detach()) -> Any:
            return torch.autograd.grad(functional.conv2d(x, weight, padding=1), (x, weight), far)

        def normal(x: Any = x, far: Any = x.detach()) -> Any:
            return torch.autograd.grad(functional.batch_norm(x, None, None, scale, shift, True), x, far)

        yield f"convolution, {kind}", 1.1, convolved
        yield f"convolution and derivatives, {kind}", 1.1, differentiated
        yield f"batch norm and derivative, {kind}", 1.1, normal
        yield f"average of 2 x 2, {kind}", 1.1, lambda x=x: functional.avg_pool2d(x, 2)
        yield f"maxima of 3 x 3, {kind}", 1.1, lambda x=x: functional.max_pool2d(x, 3, 2, 1)


def steps(torch: Any, toy: bool) -> Iterator[tuple[str, float, Callable[[], Any]]]:
    import workloads

    for name, most in STEPS.items():
        workload = workloads.WORKLOADS[name]
        torch.manual_seed(0)
        yield f"training step of {name}", most, workload.build(torch, **(workload.toy if toy else workload.size)).step


def calls(library: Any, toy: bool, only: list[str]) -> dict[str, tuple[float, Callable[[], Any]]]:
    found = [*operations(library, toy), *steps(library, toy)]
    return {name: (most, call) for name, most, call in found if not only or any(part in name for part in only)}


def main() -> None:
    parser = argparse.ArgumentParser(description="rushlight against PyTorch on a GPU.")
    parser.add_argument("--toy", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--only", nargs="*", default=[], help="parts of names")
    parser.add_argument("--json", type=Path, help="write everything to this file too")
    options = parser.parse_args()

    import torch

    import rushlight

    if not (torch.cuda.is_available() and rushlight.cuda.is_available()):
        raise SystemExit("This needs a GPU, and PyTorch and CuPy that can use it: `python -m rushlight doctor` tells.")
    rounds, block = (3, 0.002) if options.toy else (11, 0.05)
    ours = calls(OnGPU(rushlight), options.toy, options.only)
    theirs = calls(OnGPU(torch), options.toy, options.only)
    rows, results = [], []
    for name, (most, call) in ours.items():
        pair = {"torch": theirs[name][1], "rushlight": call}
        timings = timer.compare(pair, rounds, block, torch.cuda.synchronize)
        ratio = timer.ratio(timings, "rushlight", "torch")
        results.append({"name": name, "ratio": ratio, "at most": most, **timer.as_json(timings)})
        cells = [timer.microseconds(timings[contestant]) for contestant in pair]
        rows.append([name, *cells, f"{ratio:.2f}", f"{most:.2f}"])
        print(f"{name}: {ratio:.2f}", flush=True)
    stamp = timer.machine_stamp(1) | {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    print(f"\n{timer.stamp_line(stamp)}; {stamp['gpu']}, CUDA {stamp['cuda']}\n")
    print(timer.table(["on the GPU", "PyTorch, us", "rushlight, us", "ratio", "at most"], rows))
    if options.json:
        options.json.write_text(json.dumps({"stamp": stamp, "results": results}, indent=1))


if __name__ == "__main__":
    main()
