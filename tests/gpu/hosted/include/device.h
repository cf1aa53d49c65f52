// Functions of CUDA that CuPy's kernels call and our own do not, for g++ behind the emulator's header.
#pragma once
#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stddef.h>
#define __host__
#define __noinline__
#define __restrict__
#define __align__(n) alignas(n)
#define CUDART_INF ((double)INFINITY)
static inline unsigned short __float2half_rn(float x) { return float_to_half(x); }
static inline float __half2float(unsigned short x) { return half_to_float(x); }
template <class Half> static inline unsigned short __half_as_ushort(Half x) { unsigned short y; memcpy(&y, &x, 2); return y; }
struct half;
template <class Half = half> static inline Half __ushort_as_half(unsigned short bits) { Half x; memcpy(&x, &bits, 2); return x; }
template <class T> static inline T min(T a, T b) { return a < b ? a : b; }
template <class T> static inline T max(T a, T b) { return a < b ? b : a; }
static inline float min(float a, float b) { return fminf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
#define MIXED(A, B, C) \
  static inline C min(A a, B b) { return (C)a < (C)b ? (C)a : (C)b; } \
  static inline C max(A a, B b) { return (C)a < (C)b ? (C)b : (C)a; }
MIXED(int, long long, long long) MIXED(long long, int, long long) MIXED(int, long, long) MIXED(long, int, long)
MIXED(long, long long, long long) MIXED(long long, long, long long) MIXED(unsigned, int, unsigned) MIXED(int, unsigned, unsigned)
template <class T> static inline T __ldg(const T* p) { return *p; }
static inline float rsqrt(float x) { return 1 / sqrtf(x); }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }
static inline double exp10(float x) { return exp10f(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline int __mul24(int a, int b) { return a * b; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned __int128)a * b >> 64; }
static inline int __double2hiint(double x) { unsigned long long b; memcpy(&b, &x, 8); return b >> 32; }
static inline int __double2loint(double x) { unsigned long long b; memcpy(&b, &x, 8); return (int)b; }
static inline double __hiloint2double(int hi, int lo) { unsigned long long b = (unsigned long long)(unsigned)hi << 32 | (unsigned)lo; double x; memcpy(&x, &b, 8); return x; }
static inline void __trap() { abort(); }

extern "C" double hosted_special(const char* name, double x);
#define SPECIAL(ours, name) \
  static inline double ours(double x) { return hosted_special(#name, x); } \
  static inline float ours##f(float x) { return (float)hosted_special(#name, x); } \
  static inline float ours(float x) { return ours##f(x); }
SPECIAL(erfinv, __pyx_fuse_0erfinv) SPECIAL(erfcinv, erfcinv) SPECIAL(erfcx, __pyx_fuse_1erfcx) SPECIAL(normcdf, __pyx_fuse_1ndtr)
SPECIAL(normcdfinv, ndtri) SPECIAL(cyl_bessel_i0, i0) SPECIAL(cyl_bessel_i1, i1)
static inline double sinpi(double x) { return sin(M_PI * fmod(x, 2)); }
static inline double cospi(double x) { return cos(M_PI * fmod(x, 2)); }
static inline float sinpi(float x) { return (float)sinpi((double)x); }
static inline float cospi(float x) { return (float)cospi((double)x); }
static inline float sinpif(float x) { return sinpi(x); }
static inline float cospif(float x) { return cospi(x); }
