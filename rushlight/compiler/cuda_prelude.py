"""What every CUDA source begins with: functions of device code that the generated kernels call."""

from rushlight.arrays.gpu.halves import HALVES

PRELUDE = (
    HALVES
    + r"""
#define INFINITE __longlong_as_double(0x7ff0000000000000LL)

template <class M> FUNCTION float rounded(float x) { return to_register(Memory<M, float>::of(x)); }

// ---- memory: V neighbours at once where the address allows it, and never more than `left` of them

template <int V, class M> struct alignas(V * sizeof(M)) Pack { M lanes[V]; };

template <int V, class R, class M> FUNCTION void load_lanes(R (&out)[V], const M* place, long long left) {
  if (V > 1 && left >= V && (unsigned long long)place % (V * sizeof(M)) == 0) {
    Pack<V, M> pack = *(const Pack<V, M>*)place;
#pragma unroll
    for (int q = 0; q < V; ++q) out[q] = to_register(pack.lanes[q]);
  } else {
#pragma unroll
    for (int q = 0; q < V; ++q) out[q] = q < left ? to_register(place[q]) : R();
  }
}

template <int V, class R, class M> FUNCTION void store_lanes(const R (&x)[V], M* place, long long left) {
  if (V > 1 && left >= V && (unsigned long long)place % (V * sizeof(M)) == 0) {
    Pack<V, M> pack;
#pragma unroll
    for (int q = 0; q < V; ++q) pack.lanes[q] = Memory<M, R>::of(x[q]);
    *(Pack<V, M>*)place = pack;
  } else {
#pragma unroll
    for (int q = 0; q < V; ++q) if (q < left) place[q] = Memory<M, R>::of(x[q]);
  }
}

// ---- numbers

template <class T> FUNCTION T maximum_of(T x, T y) { return x != x || x > y ? x : y; }
template <class T> FUNCTION T minimum_of(T x, T y) { return x != x || x < y ? x : y; }
template <class T> FUNCTION T sign_of(T x) { return x > 0 ? (T)1 : x < 0 ? (T)-1 : x; }

template <class T> struct Signed { static const bool value = (T)-1 < (T)0; };

template <class T> FUNCTION T quotient_of(T x, T y, T& rest) {  // a divisor of 0 gives zeros, of -1 what wraps
  if (y == 0) { rest = 0; return 0; }
  if (Signed<T>::value && y == (T)-1) { rest = 0; return (T)(0 - (unsigned long long)x); }
  rest = (T)(x % y);
  return (T)(x / y);
}
template <class T> FUNCTION T floor_divide_of(T x, T y) {
  T rest, quotient = quotient_of<T>(x, y, rest);
  return Signed<T>::value && rest != 0 && (rest < 0) != (y < 0) ? (T)(quotient - 1) : quotient;
}
template <class T> FUNCTION T remainder_of(T x, T y) {
  T rest;
  quotient_of<T>(x, y, rest);
  return Signed<T>::value && rest != 0 && (rest < 0) != (y < 0) ? (T)(rest + y) : rest;
}
template <class T> FUNCTION T fmod_of(T x, T y) {
  T rest;
  quotient_of<T>(x, y, rest);
  return rest;
}

FUNCTION float fmod_any(float x, float y) { return fmodf(x, y); }
FUNCTION double fmod_any(double x, double y) { return fmod(x, y); }
FUNCTION float floor_any(float x) { return floorf(x); }
FUNCTION double floor_any(double x) { return floor(x); }
FUNCTION float copysign_any(float x, float y) { return copysignf(x, y); }
FUNCTION double copysign_any(double x, double y) { return copysign(x, y); }

template <class T> FUNCTION T float_floor_divide(T x, T y) {
  if (y == 0) return x / y;
  T rest = fmod_any(x, y), quotient = (x - rest) / y;
  if (rest != 0 && (y < 0) != (rest < 0)) quotient -= 1;
  if (!(quotient != 0)) return copysign_any((T)0, x / y);
  T low = floor_any(quotient);
  return quotient - low > (T)0.5 ? low + 1 : low;
}
template <class T> FUNCTION T float_remainder(T x, T y) {
  T rest = fmod_any(x, y);
  if (rest == 0) return copysign_any((T)0, y);
  return (y < 0) != (rest < 0) ? rest + y : rest;
}
template <> FUNCTION float floor_divide_of<float>(float x, float y) { return float_floor_divide(x, y); }
template <> FUNCTION double floor_divide_of<double>(double x, double y) { return float_floor_divide(x, y); }
template <> FUNCTION float remainder_of<float>(float x, float y) { return float_remainder(x, y); }
template <> FUNCTION double remainder_of<double>(double x, double y) { return float_remainder(x, y); }

template <class T> FUNCTION T shifted_left(T x, T y) {
  return (unsigned long long)y < 8 * sizeof(T) ? (T)((unsigned long long)x << y) : (T)0;
}
template <class T> FUNCTION T shifted_right(T x, T y) {
  if ((unsigned long long)y < 8 * sizeof(T)) return (T)(x >> y);
  return x < 0 ? (T)-1 : (T)0;
}

// What is out of bounds is told through memory of the CPU: `arrays/gpu/bounds.py`.
FUNCTION long long wrapped_index(long long x, long long size, volatile long long* found, long long number) {
  if (x >= 0 && x < size) return x;
  if (x < 0 && x >= -size) return x + size;
  if (!found[0]) {
    found[1] = x;
    found[2] = size;
    __threadfence_system();
    found[0] = number;
  }
  return 0;
}

// ---- threads together: what a reduction combines, in an order that only the number of threads decides

struct Add { template <class T> static FUNCTION T of(T x, T y) { return (T)(x + y); } };
struct Multiply { template <class T> static FUNCTION T of(T x, T y) { return (T)(x * y); } };
struct Maximum { template <class T> static FUNCTION T of(T x, T y) { return maximum_of<T>(x, y); } };
struct Minimum { template <class T> static FUNCTION T of(T x, T y) { return minimum_of<T>(x, y); } };
struct Or { static FUNCTION bool of(bool x, bool y) { return x || y; } };
struct And { static FUNCTION bool of(bool x, bool y) { return x && y; } };

FUNCTION float shuffled(float x, int with) { return __shfl_xor_sync(0xffffffffu, x, with); }
FUNCTION double shuffled(double x, int with) { return __shfl_xor_sync(0xffffffffu, x, with); }
FUNCTION long long shuffled(long long x, int with) { return __shfl_xor_sync(0xffffffffu, x, with); }
FUNCTION unsigned long long shuffled(unsigned long long x, int with) { return __shfl_xor_sync(0xffffffffu, x, with); }
template <class T> FUNCTION T shuffled(T x, int with) { return (T)__shfl_xor_sync(0xffffffffu, (int)x, with); }

template <class Op, int V, class T> FUNCTION T lanes_together(const T (&x)[V]) {
  T total = x[0];
#pragma unroll
  for (int q = 1; q < V; ++q) total = Op::of(total, x[q]);
  return total;
}

// Of TEAM neighbouring threads, a power of two; every one gets the result. `room` holds a value for each warp of a block.
template <class Op, int TEAM, class T> FUNCTION T team_together(T x, T* room) {
#pragma unroll
  for (int with = (TEAM < 32 ? TEAM : 32) / 2; with; with /= 2) x = Op::of(x, shuffled(x, with));
  if (TEAM > 32) {
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = x;
    __syncthreads();
    x = room[0];
    for (int warp = 1; warp < TEAM / 32; ++warp) x = Op::of(x, room[warp]);
    __syncthreads();
  }
  return x;
}
"""
)
