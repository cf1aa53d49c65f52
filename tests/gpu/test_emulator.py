"""The emulator itself: kernels written by hand, right ones and wrong ones."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from gpu import emulator

SUM = """
extern "C" __global__ void sum(const float* x, float* out, int n) {
  extern __shared__ float room[];
  float total = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) total += x[i + blockIdx.x * n];
  room[threadIdx.x] = total;
  __syncthreads();
  for (int half = blockDim.x / 2; half; half /= 2) {
    if (threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
    BARRIER
  }
  if (threadIdx.x == 0) out[blockIdx.x] = room[0];
}
"""


def run_sum(source: str, order: int) -> np.ndarray:
    x, out = np.arange(600, dtype=np.float32).reshape(3, 200), np.zeros(3, np.float32)
    emulator.load(source).launch("sum", (3,), (64,), 64 * 4, [x, out, ctypes.c_int(200)], order)
    return out


def test_a_block_adds_up() -> None:
    expected = np.arange(600, dtype=np.float32).reshape(3, 200).sum(1)
    for order in (0, 1, 2):
        assert (run_sum(SUM.replace("BARRIER", "__syncthreads();"), order) == expected).all()


def test_a_missing_barrier_gives_other_numbers() -> None:
    expected = np.arange(600, dtype=np.float32).reshape(3, 200).sum(1)
    broken = SUM.replace("BARRIER", "")
    assert any((run_sum(broken, order) != expected).any() for order in (1, 2, 3))


def test_warps() -> None:
    source = """
    extern "C" __global__ void warps(int* out) {
      int lane = threadIdx.x % 32, x = threadIdx.x;
      for (int with = 16; with; with /= 2) x += __shfl_xor_sync(0xffffffffu, x, with);
      unsigned odd = __ballot_sync(0xffffffffu, lane % 2);
      out[threadIdx.x] = x + (odd == 0xaaaaaaaau) + __shfl_down_sync(0xffffffffu, lane, 1) * 0 + __shfl_sync(0xffffffffu, lane, 3);
    }
    """
    out = np.zeros(64, np.int32)
    emulator.load(source).launch("warps", (1,), (64,), 0, [out], 4)
    assert (out[:32] == sum(range(32)) + 1 + 3).all() and (out[32:] == sum(range(32, 64)) + 1 + 3).all()


@pytest.mark.parametrize(
    "body, message",
    [
        ("if (threadIdx.x < 5) return; __shfl_xor_sync(0xffffffffu, 1, 1);", "has ended"),
        ("if (threadIdx.x < 32) __syncthreads(); \n else __syncthreads();", "different barriers"),
        ("if (threadIdx.x < 40) __shfl_sync(0xffffffffu, 1, 1); \n else __shfl_sync(0xffffffffu, 1, 1);", "diverge"),
    ],
)
def test_what_cuda_does_not_define_is_an_error(body: str, message: str) -> None:
    source = 'extern "C" __global__ void wrong(int* out) { %s }' % body  # noqa: UP031 - braces
    with pytest.raises(emulator.Fault, match=message):
        emulator.load(source).launch("wrong", (1,), (64,), 0, [np.zeros(1, np.int32)])


def test_there_is_no_such_kernel() -> None:
    with pytest.raises(emulator.Fault, match="no such kernel"):
        emulator.load(SUM.replace("BARRIER", "")).launch("other", (1,), (1,), 0, [])
