// cuBLAS and cuSOLVER on the computer's own memory, by the BLAS and LAPACK that SciPy has: `hosted_routine` says where these are.
// Only what CuPy calls for products, factorizations and solvers; both read matrices by columns, so what is left is spelling.
#include <complex>
#include <math.h>
#include <type_traits>
#include <map>
#include <stdint.h>
#include <string>
#include <vector>
#include <string.h>

#include "include/cuda_bf16.h"

using Float = float;
using Double = double;
using ComplexFloat = std::complex<float>;
using ComplexDouble = std::complex<double>;

static std::map<std::string, void*>& routines() {
  static std::map<std::string, void*> all;
  return all;
}
extern "C" void hosted_routine(const char* name, void* place) { routines()[name] = place; }

template <class T> struct Letter;
template <> struct Letter<float> { static constexpr char value = 's'; typedef float Real; };
template <> struct Letter<double> { static constexpr char value = 'd'; typedef double Real; };
template <> struct Letter<ComplexFloat> { static constexpr char value = 'c'; typedef float Real; };
template <> struct Letter<ComplexDouble> { static constexpr char value = 'z'; typedef double Real; };
template <class T> constexpr bool is_complex = Letter<T>::value == 'c' || Letter<T>::value == 'z';

template <class T, class... A> void call(const char* name, A... arguments) {
  void* found = routines().at(Letter<T>::value + std::string(name));
  ((void (*)(A...))found)(arguments...);
}

static float conjugate(float x) { return x; }
static double conjugate(double x) { return x; }
template <class T> std::complex<T> conjugate(std::complex<T> x) { return std::conj(x); }
static char* op(int trans) { static char letters[][2] = {"N", "T", "C"}; return letters[trans]; }
static char* triangle(int fill) { static char letters[][2] = {"L", "U"}; return letters[fill]; }
static int math_mode, pointer_mode;
static void* stream;

template <class T> int gemm(int ta, int tb, int m, int n, int k, const T* alpha, const T* a, int lda, const T* b, int ldb, const T* beta, T* c, int ldc) {
  if (m && n) call<T>("gemm", op(ta), op(tb), &m, &n, &k, alpha, a, &lda, b, &ldb, beta, c, &ldc);
  return 0;
}

// Half precision: read as float, rounded once.
template <class In, class Out>
int wide_gemm(int ta, int tb, int m, int n, int k, float alpha, const In* a, int lda, const In* b, int ldb, float beta, Out* c, int ldc) {
  for (int j = 0; j < n; ++j) for (int i = 0; i < m; ++i) {
    float sum = 0;
    for (int l = 0; l < k; ++l) sum += (float)(ta ? a[l + (size_t)i * lda] : a[i + (size_t)l * lda]) * (float)(tb ? b[j + (size_t)l * ldb] : b[l + (size_t)j * ldb]);
    Out& to = c[i + (size_t)j * ldc];
    to = Out(alpha * sum + (beta ? beta * (float)to : 0));
  }
  return 0;
}
enum { R_32F = 0, R_64F = 1, R_16F = 2, C_32F = 4, C_64F = 5, R_16BF = 14 };
static int gemm_any(int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int at, int lda, const void* b, int bt, int ldb, const void* beta, void* c, int ct, int ldc) {
  if (at != bt) return 15;
  if (at == ct) switch (at) {
    case R_32F: return gemm<float>(ta, tb, m, n, k, (float*)alpha, (float*)a, lda, (float*)b, ldb, (float*)beta, (float*)c, ldc);
    case R_64F: return gemm<double>(ta, tb, m, n, k, (double*)alpha, (double*)a, lda, (double*)b, ldb, (double*)beta, (double*)c, ldc);
    case C_32F: return gemm<ComplexFloat>(ta, tb, m, n, k, (ComplexFloat*)alpha, (ComplexFloat*)a, lda, (ComplexFloat*)b, ldb, (ComplexFloat*)beta, (ComplexFloat*)c, ldc);
    case C_64F: return gemm<ComplexDouble>(ta, tb, m, n, k, (ComplexDouble*)alpha, (ComplexDouble*)a, lda, (ComplexDouble*)b, ldb, (ComplexDouble*)beta, (ComplexDouble*)c, ldc);
    case R_16F: return wide_gemm(ta, tb, m, n, k, *(float*)alpha, (_Float16*)a, lda, (_Float16*)b, ldb, *(float*)beta, (_Float16*)c, ldc);
    case R_16BF: return wide_gemm(ta, tb, m, n, k, *(float*)alpha, (__nv_bfloat16*)a, lda, (__nv_bfloat16*)b, ldb, *(float*)beta, (__nv_bfloat16*)c, ldc);
  }
  if (at == R_16F && ct == R_32F) return wide_gemm(ta, tb, m, n, k, *(float*)alpha, (_Float16*)a, lda, (_Float16*)b, ldb, *(float*)beta, (float*)c, ldc);
  if (at == R_16BF && ct == R_32F) return wide_gemm(ta, tb, m, n, k, *(float*)alpha, (__nv_bfloat16*)a, lda, (__nv_bfloat16*)b, ldb, *(float*)beta, (float*)c, ldc);
  return 15;
}
static size_t bytes_of(int type) { return type == R_32F ? 4 : type == R_64F || type == C_32F ? 8 : type == C_64F ? 16 : 2; }

template <class T> int getrf(int m, int n, T* a, int lda, int* pivots, int* info) {
  std::vector<int> own(m < n ? m : n);
  call<T>("getrf", &m, &n, a, &lda, pivots ? pivots : own.data(), info);
  return 0;
}
template <class T> int gesvd(char jobu, char jobvt, int m, int n, T* a, int lda, typename Letter<T>::Real* s, T* u, int ldu, T* vt, int ldvt, int* info) {
  int lwork = 64 * (m + n) + 64;
  std::vector<T> work(lwork);
  std::vector<typename Letter<T>::Real> rwork(5 * (m < n ? m : n) + 1);
  if constexpr (is_complex<T>) call<T>("gesvd", &jobu, &jobvt, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work.data(), &lwork, rwork.data(), info);
  else call<T>("gesvd", &jobu, &jobvt, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work.data(), &lwork, info);
  return 0;
}
template <class T> int eigh(int vectors, int fill, int n, T* a, int lda, typename Letter<T>::Real* w, int* info) {
  char job = vectors ? 'V' : 'N';
  int lwork = 2 * n * n + 64 * n + 64, lrwork = 2 * n * n + 5 * n + 8, liwork = 5 * n + 8;
  std::vector<T> work(lwork);
  std::vector<typename Letter<T>::Real> rwork(lrwork);
  std::vector<int> iwork(liwork);
  if constexpr (is_complex<T>) call<T>("heevd", &job, triangle(fill), &n, a, &lda, w, work.data(), &lwork, rwork.data(), &lrwork, iwork.data(), &liwork, info);
  else call<T>("syevd", &job, triangle(fill), &n, a, &lda, w, work.data(), &lwork, iwork.data(), &liwork, info);
  return 0;
}

extern "C" {
int cublasCreate_v2(void** h) { *h = (void*)1; return 0; }
int cublasDestroy_v2(void*) { return 0; }
int cublasGetVersion_v2(void*, int* v) { *v = 130200; return 0; }
int cublasSetStream_v2(void*, void* s) { stream = s; return 0; }
int cublasGetStream_v2(void*, void** s) { *s = stream; return 0; }
int cublasSetMathMode(void*, int m) { math_mode = m; return 0; }
int cublasGetMathMode(void*, int* m) { *m = math_mode; return 0; }
int cublasSetPointerMode_v2(void*, int m) { pointer_mode = m; return 0; }
int cublasGetPointerMode_v2(void*, int* m) { *m = pointer_mode; return 0; }
int cublasGemmEx(void*, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int at, int lda, const void* b, int bt, int ldb, const void* beta, void* c, int ct, int ldc, int, int) {
  return gemm_any(ta, tb, m, n, k, alpha, a, at, lda, b, bt, ldb, beta, c, ct, ldc);
}
int cublasSgemmEx(void*, int ta, int tb, int m, int n, int k, const float* alpha, const void* a, int at, int lda, const void* b, int bt, int ldb, const float* beta, void* c, int ct, int ldc) {
  return gemm_any(ta, tb, m, n, k, alpha, a, at, lda, b, bt, ldb, beta, c, ct, ldc);
}
int cublasGemmStridedBatchedEx(void*, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int at, int lda, long long sa, const void* b, int bt, int ldb, long long sb, const void* beta, void* c, int ct, int ldc, long long sc, int batch, int, int) {
  for (int i = 0; i < batch; ++i) {
    int wrong = gemm_any(ta, tb, m, n, k, alpha, (char*)a + i * sa * bytes_of(at), at, lda, (char*)b + i * sb * bytes_of(bt), bt, ldb, beta, (char*)c + i * sc * bytes_of(ct), ct, ldc);
    if (wrong) return wrong;
  }
  return 0;
}

#define BOTH(X, T, SYEVD, ORGQR, JACOBI) \
  int cublas##X##gemm_v2(void*, int ta, int tb, int m, int n, int k, const T* alpha, const T* a, int lda, const T* b, int ldb, const T* beta, T* c, int ldc) { return gemm<T>(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc); } \
  int cublas##X##gemmBatched(void*, int ta, int tb, int m, int n, int k, const T* alpha, const T** a, int lda, const T** b, int ldb, const T* beta, T** c, int ldc, int batch) { \
    for (int i = 0; i < batch; ++i) gemm<T>(ta, tb, m, n, k, alpha, a[i], lda, b[i], ldb, beta, c[i], ldc); return 0; } \
  int cublas##X##gemmStridedBatched(void*, int ta, int tb, int m, int n, int k, const T* alpha, const T* a, int lda, long long sa, const T* b, int ldb, long long sb, const T* beta, T* c, int ldc, long long sc, int batch) { \
    for (int i = 0; i < batch; ++i) gemm<T>(ta, tb, m, n, k, alpha, a + i * sa, lda, b + i * sb, ldb, beta, c + i * sc, ldc); return 0; } \
  int cublas##X##gemv_v2(void*, int t, int m, int n, const T* alpha, const T* a, int lda, const T* x, int incx, const T* beta, T* y, int incy) { call<T>("gemv", op(t), &m, &n, alpha, a, &lda, x, &incx, beta, y, &incy); return 0; } \
  int cublas##X##trsm_v2(void*, int side, int fill, int t, int diag, int m, int n, const T* alpha, const T* a, int lda, T* b, int ldb) { \
    char s = side ? 'R' : 'L', d = diag ? 'U' : 'N'; call<T>("trsm", &s, triangle(fill), op(t), &d, &m, &n, alpha, a, &lda, b, &ldb); return 0; } \
  int cublas##X##trsmBatched(void* h, int side, int fill, int t, int diag, int m, int n, const T* alpha, T** a, int lda, T** b, int ldb, int batch) { \
    for (int i = 0; i < batch; ++i) cublas##X##trsm_v2(h, side, fill, t, diag, m, n, alpha, a[i], lda, b[i], ldb); return 0; } \
  int cublas##X##scal_v2(void*, int n, const T* alpha, T* x, int incx) { for (int i = 0; i < n; ++i) x[(size_t)i * incx] *= *alpha; return 0; } \
  int cublas##X##getrfBatched(void*, int n, T** a, int lda, int* pivots, int* info, int batch) { for (int i = 0; i < batch; ++i) getrf<T>(n, n, a[i], lda, pivots ? pivots + (size_t)i * n : nullptr, info + i); return 0; } \
  int cublas##X##getriBatched(void*, int n, T** a, int lda, int* pivots, T** c, int ldc, int* info, int batch) { \
    for (int i = 0; i < batch; ++i) { for (int j = 0; j < n; ++j) memcpy(c[i] + (size_t)j * ldc, a[i] + (size_t)j * lda, n * sizeof(T)); \
      int lwork = 64 * n; std::vector<T> work(lwork); call<T>("getri", &n, c[i], &ldc, pivots + (size_t)i * n, work.data(), &lwork, info + i); } return 0; } \
  int cublas##X##getrsBatched(void*, int t, int n, int nrhs, T** a, int lda, int* pivots, T** b, int ldb, int* info, int batch) { for (int i = 0; i < batch; ++i) call<T>("getrs", op(t), &n, &nrhs, a[i], &lda, pivots + (size_t)i * n, b[i], &ldb, info); return 0; } \
  int cublas##X##geam(void*, int ta, int tb, int m, int n, const T* alpha, const T* a, int lda, const T* beta, const T* b, int ldb, T* c, int ldc) { \
    for (int j = 0; j < n; ++j) for (int i = 0; i < m; ++i) c[i + (size_t)j * ldc] = (*alpha == T(0) ? T(0) : *alpha * (ta ? a[j + (size_t)i * lda] : a[i + (size_t)j * lda])) + (*beta == T(0) ? T(0) : *beta * (tb ? b[j + (size_t)i * ldb] : b[i + (size_t)j * ldb])); return 0; } \
  int cusolverDn##X##getrf_bufferSize(void*, int, int, T*, int, int* size) { *size = 1; return 0; } \
  int cusolverDn##X##getrf(void*, int m, int n, T* a, int lda, T*, int* pivots, int* info) { return getrf<T>(m, n, a, lda, pivots, info); } \
  int cusolverDn##X##getrs(void*, int t, int n, int nrhs, const T* a, int lda, const int* pivots, T* b, int ldb, int* info) { call<T>("getrs", op(t), &n, &nrhs, a, &lda, pivots, b, &ldb, info); return 0; } \
  int cusolverDn##X##potrf_bufferSize(void*, int, int, T*, int, int* size) { *size = 1; return 0; } \
  int cusolverDn##X##potrf(void*, int fill, int n, T* a, int lda, T*, int, int* info) { call<T>("potrf", triangle(fill), &n, a, &lda, info); return 0; } \
  int cusolverDn##X##potrfBatched(void*, int fill, int n, T** a, int lda, int* info, int batch) { for (int i = 0; i < batch; ++i) call<T>("potrf", triangle(fill), &n, a[i], &lda, info + i); return 0; } \
  int cusolverDn##X##potrs(void*, int fill, int n, int nrhs, const T* a, int lda, T* b, int ldb, int* info) { call<T>("potrs", triangle(fill), &n, &nrhs, a, &lda, b, &ldb, info); return 0; } \
  int cusolverDn##X##geqrf_bufferSize(void*, int, int, T*, int, int* size) { *size = 1; return 0; } \
  int cusolverDn##X##geqrf(void*, int m, int n, T* a, int lda, T* tau, T*, int, int* info) { int lwork = 64 * n + 64; std::vector<T> work(lwork); call<T>("geqrf", &m, &n, a, &lda, tau, work.data(), &lwork, info); return 0; } \
  int cusolverDn##X##ORGQR##_bufferSize(void*, int, int, int, const T*, int, const T*, int* size) { *size = 1; return 0; } \
  int cusolverDn##X##ORGQR(void*, int m, int n, int k, T* a, int lda, const T* tau, T*, int, int* info) { int lwork = 64 * n + 64; std::vector<T> work(lwork); call<T>(#ORGQR, &m, &n, &k, a, &lda, tau, work.data(), &lwork, info); return 0; } \
  int cusolverDn##X##gesvd_bufferSize(void*, int, int, int* size) { *size = 1; return 0; } \
  int cusolverDn##X##gesvd(void*, char jobu, char jobvt, int m, int n, T* a, int lda, Letter<T>::Real* s, T* u, int ldu, T* vt, int ldvt, T*, int, Letter<T>::Real*, int* info) { return m < n ? 1 : gesvd<T>(jobu, jobvt, m, n, a, lda, s, u, ldu, vt, ldvt, info); } \
  int cusolverDn##X##SYEVD##_bufferSize(void*, int, int, int, const T*, int, const Letter<T>::Real*, int* size) { *size = 1; return 0; } \
  int cusolverDn##X##SYEVD(void*, int job, int fill, int n, T* a, int lda, Letter<T>::Real* w, T*, int, int* info) { return eigh<T>(job, fill, n, a, lda, w, info); } \
  int cusolverDn##X##JACOBI##Batched_bufferSize(void*, int, int, int, const T*, int, const Letter<T>::Real*, int* size, void*, int) { *size = 1; return 0; } \
  int cusolverDn##X##JACOBI##Batched(void*, int job, int fill, int n, T* a, int lda, Letter<T>::Real* w, T*, int, int* info, void*, int batch) { \
    for (int i = 0; i < batch; ++i) eigh<T>(job, fill, n, a + (size_t)i * lda * n, lda, w + (size_t)i * n, info + i); return 0; } \
  int cusolverDn##X##JACOBI##_bufferSize(void*, int, int, int, const T*, int, const Letter<T>::Real*, int* size, void*) { *size = 1; return 0; } \
  int cusolverDn##X##JACOBI(void*, int job, int fill, int n, T* a, int lda, Letter<T>::Real* w, T*, int, int* info, void*) { return eigh<T>(job, fill, n, a, lda, w, info); } \
  int cusolverDn##X##gesvdjBatched_bufferSize(void*, int, int, int, T*, int, Letter<T>::Real*, T*, int, T*, int, int* size, void*, int) { *size = 1; return 0; } \
  int cusolverDn##X##gesvdjBatched(void*, int job, int m, int n, T* a, int lda, Letter<T>::Real* s, T* u, int ldu, T* v, int ldv, T*, int, int* info, void*, int batch) { \
    int least = m < n ? m : n; std::vector<T> vt((size_t)n * n); \
    if (m > 32 || n > 32) return 3; \
    for (int i = 0; i < batch; ++i) { \
      gesvd<T>(job ? 'A' : 'N', job ? 'A' : 'N', m, n, a + (size_t)i * lda * n, lda, s + (size_t)i * least, u + (size_t)i * ldu * m, ldu, vt.data(), n, info + i); \
      if (job) for (int j = 0; j < n; ++j) for (int k = 0; k < n; ++k) v[(size_t)i * ldv * n + k + (size_t)j * ldv] = conjugate(vt[j + (size_t)k * n]); \
    } return 0; }
BOTH(S, Float, syevd, orgqr, syevj)
BOTH(D, Double, syevd, orgqr, syevj)
BOTH(C, ComplexFloat, heevd, ungqr, heevj)
BOTH(Z, ComplexDouble, heevd, ungqr, heevj)
int cublasSger_v2(void*, int m, int n, const float* alpha, const float* x, int incx, const float* y, int incy, float* a, int lda) { call<float>("ger", &m, &n, alpha, x, &incx, y, &incy, a, &lda); return 0; }
int cublasDger_v2(void*, int m, int n, const double* alpha, const double* x, int incx, const double* y, int incy, double* a, int lda) { call<double>("ger", &m, &n, alpha, x, &incx, y, &incy, a, &lda); return 0; }
#define DOT(NAME, T, FIRST) \
  int cublas##NAME##_v2(void*, int n, const T* x, int incx, const T* y, int incy, T* out) { T sum = 0; for (int i = 0; i < n; ++i) { T a = x[(size_t)i * incx]; sum += FIRST * y[(size_t)i * incy]; } *out = sum; return 0; }
DOT(Sdot, Float, a) DOT(Ddot, Double, a) DOT(Cdotu, ComplexFloat, a) DOT(Zdotu, ComplexDouble, a) DOT(Cdotc, ComplexFloat, std::conj(a)) DOT(Zdotc, ComplexDouble, std::conj(a))

int cusolverDnCreate(void** h) { *h = (void*)1; return 0; }
int cusolverDnDestroy(void*) { return 0; }
int cusolverDnSetStream(void*, void*) { return 0; }
int cusolverDnGetStream(void*, void** s) { *s = nullptr; return 0; }
int cusolverGetProperty(int which, int* value) { *value = which == 0 ? 12 : 0; return 0; }
int cusolverDnCreateParams(void** p) { *p = (void*)1; return 0; }
int cusolverDnDestroyParams(void*) { return 0; }
int cusolverDnXsyevd_bufferSize(void*, void*, int, int, int64_t, int, const void*, int64_t, int, const void*, int, size_t* device, size_t* host) { *device = *host = 8; return 0; }
int cusolverDnXsyevd(void*, void*, int job, int fill, int64_t n, int type, void* a, int64_t lda, int, void* w, int, void*, size_t, void*, size_t, int* info) {
  switch (type) {
    case R_32F: return eigh<float>(job, fill, n, (float*)a, lda, (float*)w, info);
    case R_64F: return eigh<double>(job, fill, n, (double*)a, lda, (double*)w, info);
    case C_32F: return eigh<ComplexFloat>(job, fill, n, (ComplexFloat*)a, lda, (float*)w, info);
    case C_64F: return eigh<ComplexDouble>(job, fill, n, (ComplexDouble*)a, lda, (double*)w, info);
  }
  return 7;
}
int cusolverDnCreateSyevjInfo(void** i) { *i = (void*)1; return 0; }
int cusolverDnDestroySyevjInfo(void*) { return 0; }
int cusolverDnCreateGesvdjInfo(void** i) { *i = (void*)1; return 0; }
int cusolverDnDestroyGesvdjInfo(void*) { return 0; }
}

// cuFFT by the sum that defines the transform, in double: dimension by dimension over a batch with strides.
struct Plan { std::vector<int> sizes, in, out; int in_step, in_distance, out_step, out_distance, type, batch; };
enum { R2C = 0x2a, C2R = 0x2c, C2C = 0x29, D2Z = 0x6a, Z2D = 0x6c, Z2Z = 0x69 };
static std::map<int, Plan> plans;

static size_t place(const std::vector<int>& index, const std::vector<int>& embedding) {
  size_t at = 0;
  for (size_t i = 0; i < index.size(); ++i) at = at * (i ? embedding[i] : 1) + index[i];
  return at;
}

template <class F> static void each(const std::vector<int>& sizes, F visit) {
  std::vector<int> index(sizes.size(), 0);
  for (;;) {
    visit(index);
    int k = sizes.size() - 1;
    while (k >= 0 && ++index[k] == sizes[k]) index[k--] = 0;
    if (k < 0) return;
  }
}

template <class In, class Out> static int transform(int number, const In* from, Out* to, int direction) {
  Plan& plan = plans[number];
  std::vector<int> half = plan.sizes;
  half.back() = half.back() / 2 + 1;
  constexpr bool real_in = std::is_floating_point_v<In>, real_out = std::is_floating_point_v<Out>;
  size_t count = 1;
  for (int n : plan.sizes) count *= n;
  for (int b = 0; b < plan.batch; ++b) {
    const In* source = from + (size_t)b * plan.in_distance;
    Out* target = to + (size_t)b * plan.out_distance;
    std::vector<ComplexDouble> values(count), next(count);
    each(plan.sizes, [&](const std::vector<int>& index) {
      std::vector<int> at = index;
      bool mirrored = real_out && index.back() >= half.back();
      if (mirrored) for (size_t i = 0; i < at.size(); ++i) at[i] = at[i] ? plan.sizes[i] - at[i] : 0;
      ComplexDouble value(source[place(at, plan.in) * plan.in_step]);
      if (real_out && (index.back() == 0 || 2 * index.back() == plan.sizes.back()) && plan.sizes.size() == 1) value.imag(0);
      values[place(index, plan.sizes)] = mirrored ? std::conj(value) : value;
    });
    for (size_t axis = 0; axis < plan.sizes.size(); ++axis) {
      int n = plan.sizes[axis];
      each(plan.sizes, [&](const std::vector<int>& index) {
        ComplexDouble sum = 0;
        std::vector<int> at = index;
        for (int k = 0; k < n; ++k) {
          at[axis] = k;
          sum += values[place(at, plan.sizes)] * std::polar(1.0, direction * 2 * M_PI * ((long long)k * index[axis] % n) / n);
        }
        next[place(index, plan.sizes)] = sum;
      });
      values.swap(next);
    }
    each(real_in ? half : plan.sizes, [&](const std::vector<int>& index) {
      ComplexDouble value = values[place(index, plan.sizes)];
      Out& out = target[place(index, plan.out) * plan.out_step];
      if constexpr (real_out) out = value.real();
      else out = Out(value);
    });
  }
  return 0;
}

extern "C" {
static int last_plan;
int cufftGetVersion(int* v) { *v = 12000; return 0; }
int cufftCreate(int* plan) { *plan = ++last_plan; return 0; }
int cufftDestroy(int plan) { plans.erase(plan); return 0; }
int cufftSetAutoAllocation(int, int) { return 0; }
int cufftSetWorkArea(int, void*) { return 0; }
int cufftSetStream(int, void*) { return 0; }
int cufftMakePlanMany(int plan, int rank, int* n, int* in, int in_step, int in_distance, int* out, int out_step, int out_distance, int type, int batch, size_t* bytes) {
  std::vector<int> sizes(n, n + rank), half = sizes;
  half.back() = half.back() / 2 + 1;
  bool reads_half = type == C2R || type == Z2D, writes_half = type == R2C || type == D2Z;
  Plan made{sizes, reads_half ? half : sizes, writes_half ? half : sizes, 1, 0, 1, 0, type, batch};
  if (in) made.in.assign(in, in + rank), made.in_step = in_step, made.in_distance = in_distance;
  else { made.in_distance = 1; for (int i : made.in) made.in_distance *= i; }
  if (out) made.out.assign(out, out + rank), made.out_step = out_step, made.out_distance = out_distance;
  else { made.out_distance = 1; for (int i : made.out) made.out_distance *= i; }
  plans[plan] = made, *bytes = 8;
  return 0;
}
int cufftMakePlan1d(int plan, int n, int type, int batch, size_t* bytes) { return cufftMakePlanMany(plan, 1, &n, nullptr, 1, 0, nullptr, 1, 0, type, batch, bytes); }
int cufftExecC2C(int p, const ComplexFloat* x, ComplexFloat* y, int direction) { return transform(p, x, y, direction); }
int cufftExecZ2Z(int p, const ComplexDouble* x, ComplexDouble* y, int direction) { return transform(p, x, y, direction); }
int cufftExecR2C(int p, const float* x, ComplexFloat* y) { return transform(p, x, y, -1); }
int cufftExecD2Z(int p, const double* x, ComplexDouble* y) { return transform(p, x, y, -1); }
int cufftExecC2R(int p, const ComplexFloat* x, float* y) { return transform(p, x, y, 1); }
int cufftExecZ2D(int p, const ComplexDouble* x, double* y) { return transform(p, x, y, 1); }
}

// Functions of kernels that the C library lacks and SciPy has.
extern "C" double hosted_special(const char* name, double x) { return ((double (*)(double, int))routines().at(name))(x, 0); }
