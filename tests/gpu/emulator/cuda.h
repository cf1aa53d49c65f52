// CUDA's words for g++: a kernel's threads are fibers of one thread of the operating system, which switch only where
// threads wait for one another. What a missing barrier lets happen depends on the order in which fibers run: see `order`.
#define EMULATED 1
#ifndef HOSTED
#define _GLIBCXX_INCLUDE_NEXT_C_HEADERS  // C's headers as they are: those of C++ take longer to read than a kernel to compile
#endif
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __device__
#define __global__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static  // blocks run one after the other

struct dim3 { unsigned x = 1, y = 1, z = 1; };
static dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

enum State { ready, at_block_barrier, at_warp_barrier, ended };
const int warp_size = 32;
const size_t stack_bytes = 64 << 10;

struct Thread {
  ucontext_t context;
  State state;
  int line;       // of the barrier where it waits
  unsigned mask;  // of lanes that it waits for
  unsigned long long exchanged;
  dim3 index;
};

const size_t most_threads = 1024;

static Thread threads[most_threads];
static size_t num_threads;
static char* stacks;
static char dynamic_shared_memory[256 << 10];
static ucontext_t scheduler;
static size_t current;
static const char* fault;
static void (*entry)(void**);
static void** arguments;

static void start() {
  entry(arguments);
  threads[current].state = ended;
  swapcontext(&threads[current].context, &scheduler);
}

static void wait(State state, int line, unsigned mask) {
  Thread& self = threads[current];
  self.state = state, self.line = line, self.mask = mask;
  swapcontext(&self.context, &scheduler);
}

static void release_block() {  // once every thread that has not ended waits at the barrier
  int line = 0;
  for (size_t i = 0; i < num_threads; ++i) {
    Thread& t = threads[i];
    if (t.state == ready || t.state == at_warp_barrier) return;
    if (t.state == at_block_barrier) {
      if (line && line != t.line) fault = "threads of a block wait at different barriers";
      line = t.line;
    }
  }
  for (size_t i = 0; i < num_threads; ++i) if (threads[i].state == at_block_barrier) threads[i].state = ready;
}

static void release_warps() {
  for (size_t first = 0; first < num_threads; first += warp_size) {
    size_t end = first + warp_size < num_threads ? first + warp_size : num_threads;
    for (size_t i = first; i < end; ++i) {
      if (threads[i].state != at_warp_barrier) continue;
      unsigned mask = threads[i].mask;
      bool complete = true;
      for (size_t k = first; k < first + warp_size; ++k) {
        if (!(mask >> (k - first) & 1)) continue;
        if (k >= end || threads[k].state == ended) { fault = "a lane of a warp's mask has ended or is not there"; return; }
        if (threads[k].state != at_warp_barrier) complete = false;
        else if (threads[k].line != threads[i].line || threads[k].mask != mask) fault = "lanes of a warp diverge";
      }
      if (!complete) continue;
      for (size_t k = first; k < end; ++k) if (mask >> (k - first) & 1) threads[k].state = ready;
    }
  }
}

// Numbers in a random order, by a generator of its own (Marsaglia's xorshift).
static void shuffle(size_t* numbers, size_t count, unsigned long long& random) {
  for (size_t i = count; i > 1; --i) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    size_t k = random % i, number = numbers[k];
    numbers[k] = numbers[i - 1], numbers[i - 1] = number;
  }
}

static void run_block(unsigned long long& random, bool waits) {
  static size_t order[most_threads];
  for (size_t i = 0; i < num_threads; ++i) order[i] = i;
  if (!waits) {  // threads that never wait need no fibers
    if (random) shuffle(order, num_threads, random);
    for (size_t k = 0; k < num_threads; ++k) {
      current = order[k], threadIdx = threads[order[k]].index;
      entry(arguments);
    }
    return;
  }
  for (size_t i = 0; i < num_threads; ++i) {
    Thread& t = threads[i];
    getcontext(&t.context);
    t.context.uc_stack.ss_sp = &stacks[i * stack_bytes];
    t.context.uc_stack.ss_size = stack_bytes;
    t.context.uc_link = nullptr;
    t.state = ready;
    makecontext(&t.context, start, 0);
  }
  while (!fault) {
    if (random) shuffle(order, num_threads, random);
    bool moved = false;
    for (size_t k = 0; k < num_threads; ++k) {
      size_t i = order[k];
      if (threads[i].state != ready) continue;
      current = i, threadIdx = threads[i].index, moved = true;
      swapcontext(&scheduler, &threads[i].context);
    }
    bool all_ended = true;
    for (size_t i = 0; i < num_threads; ++i) all_ended = all_ended && threads[i].state == ended;
    if (all_ended) return;
    release_warps();
    release_block();
    if (!moved && !fault) fault = "all threads wait, and none can go on";
  }
}

template <class T> T exchange(T value, int line, unsigned mask, int from) {
  static_assert(sizeof(T) <= sizeof(unsigned long long), "too large to shuffle");
  memcpy(&threads[current].exchanged, &value, sizeof(T));
  wait(at_warp_barrier, line, mask);
  size_t first = current / warp_size * warp_size;
  T found = value;
  if (from >= 0 && first + from < num_threads) memcpy(&found, &threads[first + from].exchanged, sizeof(T));
  wait(at_warp_barrier, -line, mask);
  return found;
}

// Calls a kernel with what an array of addresses points to.
template <class... A> struct Caller;
template <> struct Caller<> {
  template <class F, class... Given> static void call(F kernel, void** given, Given... values) { kernel(values...); }
};
template <class First, class... Rest> struct Caller<First, Rest...> {
  template <class F, class... Given> static void call(F kernel, void** given, Given... values) {
    Caller<Rest...>::call(kernel, given + 1, values..., *(First*)*given);
  }
};
template <class... A> void call(void (*kernel)(A...), void** given) { Caller<A...>::call(kernel, given); }

static inline int lane() { return current % warp_size; }
static const char* launch(void (*kernel)(void**), void** given, dim3 grid, dim3 block, size_t shared_bytes, long order, bool waits) {
  entry = kernel, arguments = given, gridDim = grid, blockDim = block, fault = nullptr;
  size_t count = (size_t)block.x * block.y * block.z, blocks = (size_t)grid.x * grid.y * grid.z;
  if (count > most_threads || shared_bytes > sizeof dynamic_shared_memory || !count || !blocks || grid.y > 65535 || grid.z > 65535) return "no such grid or block";
  num_threads = count;
  if (!stacks) stacks = (char*)malloc(most_threads * stack_bytes);
  memset(dynamic_shared_memory, 0x7f, shared_bytes);
  for (size_t i = 0; i < count; ++i) {
    threads[i].index.x = i % block.x, threads[i].index.y = i / block.x % block.y, threads[i].index.z = i / block.x / block.y;
  }
  unsigned long long random = order;
  size_t* numbers = (size_t*)malloc(blocks * sizeof(size_t));
  for (size_t i = 0; i < blocks; ++i) numbers[i] = i;
  if (order) shuffle(numbers, blocks, random);
  for (size_t k = 0; k < blocks && !fault; ++k) {
    size_t i = numbers[k];
    blockIdx.x = i % grid.x, blockIdx.y = i / grid.x % grid.y, blockIdx.z = i / grid.x / grid.y;
    run_block(random, waits);
  }
  free(numbers);
  return fault;
}

}  // namespace emulated

#define __syncthreads() emulated::wait(emulated::at_block_barrier, __LINE__, 0)
#define __syncwarp(...) emulated::wait(emulated::at_warp_barrier, __LINE__, 0xffffffffu)
#define __shfl_sync(mask, x, from) emulated::exchange(x, __LINE__, mask, (from) % 32)
#define __shfl_xor_sync(mask, x, with) emulated::exchange(x, __LINE__, mask, emulated::lane() ^ (with))
#define __shfl_down_sync(mask, x, by) \
  emulated::exchange(x, __LINE__, mask, emulated::lane() + (int)(by) < 32 ? emulated::lane() + (int)(by) : -1)
#define __shfl_up_sync(mask, x, by) emulated::exchange(x, __LINE__, mask, emulated::lane() - (int)(by))
static inline unsigned emulated_ballot(bool x, int line, unsigned mask) {
  unsigned found = 0;
  for (int k = 0; k < 32; ++k) {
    bool other = emulated::exchange(x, line, mask, k);
    if (mask >> k & 1 && other) found |= 1u << k;
  }
  return found;
}
#define __ballot_sync(mask, x) emulated_ballot(x, __LINE__, mask)
#define __ffs(x) __builtin_ffs(x)
#define __popc(x) __builtin_popcount(x)

template <class T> T atomicAdd(T* place, T x) { T old = *place; *place = old + x; return old; }
template <class T> T atomicMax(T* place, T x) { T old = *place; *place = old < x ? x : old; return old; }
template <class T> T atomicMin(T* place, T x) { T old = *place; *place = x < old ? x : old; return old; }
template <class T> T atomicExch(T* place, T x) { T old = *place; *place = x; return old; }
template <class T> T atomicCAS(T* place, T expected, T x) { T old = *place; if (old == expected) *place = x; return old; }
static inline void __threadfence() {}
static inline void __threadfence_system() {}

template <class To, class From> static inline To emulated_bits(From x) { To y; memcpy(&y, &x, sizeof(To)); return y; }
static inline float __int_as_float(int x) { return emulated_bits<float>(x); }
static inline int __float_as_int(float x) { return emulated_bits<int>(x); }
static inline float __uint_as_float(unsigned x) { return emulated_bits<float>(x); }
static inline unsigned __float_as_uint(float x) { return emulated_bits<unsigned>(x); }
static inline double __longlong_as_double(long long x) { return emulated_bits<double>(x); }
static inline long long __double_as_longlong(double x) { return emulated_bits<long long>(x); }
static inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned long long)x * y >> 32; }
static inline float half_to_float(unsigned short bits) { return (float)emulated_bits<_Float16>(bits); }
static inline unsigned short float_to_half(float x) { return emulated_bits<unsigned short>((_Float16)x); }
