"""Half-precision numbers in CUDA C++: what kernels begin with that read or write them, here and in the compiler.

They are converted here and not by NVIDIA's headers: reading those takes the compiler longer than a kernel does, and
they need not be installed.
"""

HALVES = r"""
#define FUNCTION __device__ __forceinline__

struct half_bits { unsigned short bits; };
struct bfloat_bits { unsigned short bits; };

#ifndef EMULATED
FUNCTION float half_to_float(unsigned short bits) {
  float number;
  asm("cvt.f32.f16 %0, %1;" : "=f"(number) : "h"(bits));
  return number;
}
FUNCTION unsigned short float_to_half(float number) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(number));
  return bits;
}
#endif

template <class M> FUNCTION M to_register(M x) { return x; }
FUNCTION float to_register(half_bits x) { return half_to_float(x.bits); }
FUNCTION float to_register(bfloat_bits x) { return __int_as_float((int)((unsigned)x.bits << 16)); }

template <class M, class R> struct Memory { static FUNCTION M of(R x) { return (M)x; } };
template <class R> struct Memory<half_bits, R> {
  static FUNCTION half_bits of(R x) { return half_bits{float_to_half((float)x)}; }
};
template <class R> struct Memory<bfloat_bits, R> {
  static FUNCTION bfloat_bits of(R x) {  // to the nearest, ties to even
    float number = (float)x;
    unsigned bits = (unsigned)__float_as_int(number);
    if (number != number) return bfloat_bits{(unsigned short)((bits >> 16) | 64)};
    return bfloat_bits{(unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
  }
};
template <class R, class M> FUNCTION void store(R x, M* place) { *place = Memory<M, R>::of(x); }
"""
