// NVIDIA's runtime and driver with the computer's own memory as two devices: what CuPy needs to run where there is no GPU.
// Whatever is asked for is done at once, so streams and events are in order by themselves. A module is a library that the
// emulator compiled (../emulator); its bytes are the words "hosted:" and the library's path.
// What it leaves out, with cudaErrorNotSupported: textures, graphs, other processes' memory.
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace {

const int most_devices = 2;
int num_devices = 0;  // until `hosted_show`: as where there is no GPU
size_t device_bytes[most_devices];
const size_t guard_bytes = 512;  // after each block, checked when it is freed
const unsigned char fresh = 0xa5;

struct Block { size_t bytes; int device; bool host, counted; };
std::map<char*, Block> blocks;
std::mutex lock;
size_t used[most_devices];
thread_local int current;
thread_local cudaError_t last = cudaSuccess;

cudaError_t said(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}

cudaError_t allocate(void** place, size_t bytes, bool host) {
  std::lock_guard<std::mutex> held(lock);
  *place = nullptr;
  if (!bytes) return cudaSuccess;
  if (!host && used[current] + bytes > device_bytes[current]) return said(cudaErrorMemoryAllocation);
  size_t whole = (bytes + 511) / 512 * 512 + guard_bytes;
  char* block = (char*)aligned_alloc(512, whole);
  if (!block) return said(cudaErrorMemoryAllocation);
  memset(block, fresh, whole);
  blocks[block] = Block{bytes, current, host, !host};
  if (!host) used[current] += bytes;
  *place = block;
  return cudaSuccess;
}

cudaError_t release(void* place) {
  if (!place) return cudaSuccess;
  std::lock_guard<std::mutex> held(lock);
  auto found = blocks.find((char*)place);
  if (found == blocks.end()) return said(cudaErrorInvalidValue);
  for (size_t i = found->second.bytes; i < found->second.bytes + guard_bytes; ++i) {
    if ((unsigned char)found->first[i] == fresh) continue;
    fprintf(stderr, "hosted: something wrote behind a block of %zu bytes\n", found->second.bytes);
    abort();
  }
  if (found->second.counted) used[found->second.device] -= found->second.bytes;
  free(place);
  blocks.erase(found);
  return cudaSuccess;
}

// What a stream has been told to do is done, but tests can have it look busy until somebody waits for it. Then it has yet to make
// the copies from pinned memory that it is told to make meanwhile.
struct Copy { void* to; const void* from; size_t bytes; };
struct Stream { unsigned flags; int priority; int device; bool busy; int waits; std::vector<Copy> copies; };
struct Event { double seconds; bool recorded; Stream* pending; };
Stream defaults[most_devices];
std::set<Stream*> streams;

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

void catch_up(Stream* stream) {
  for (Copy& copy : stream->copies) memmove(copy.to, copy.from, copy.bytes);
  stream->copies.clear();
}

void settle(Stream* stream) {
  catch_up(stream);
  stream->busy = false;
}

cudaError_t make_stream(cudaStream_t* stream, unsigned flags, int priority) {
  Stream* made = new Stream{flags, priority, current, false, 0, {}};
  streams.insert(made);
  *stream = (cudaStream_t)made;
  return cudaSuccess;
}

Stream* of(cudaStream_t stream) { return (size_t)stream > 2 ? (Stream*)stream : &defaults[current]; }

using Launch = const char* (*)(const char*, void**, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, size_t, long);
struct Module { void* library; Launch launch; };
struct Function { Module* module; std::string name; };
bool idle;
long order = 1, launches;

cudaError_t copied(void* to, const void* from, size_t bytes) {
  memmove(to, from, bytes);
  return cudaSuccess;
}

int attribute(int which) {
  switch (which) {
    case cudaDevAttrMaxThreadsPerBlock: return 1024;
    case cudaDevAttrMaxBlockDimX: case cudaDevAttrMaxBlockDimY: return 1024;
    case cudaDevAttrMaxBlockDimZ: return 64;
    case cudaDevAttrMaxGridDimX: return 2147483647;
    case cudaDevAttrMaxGridDimY: case cudaDevAttrMaxGridDimZ: return 65535;
    case cudaDevAttrMaxSharedMemoryPerBlock: return 49152;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: return 232448;
    case cudaDevAttrWarpSize: return 32;
    case cudaDevAttrMaxRegistersPerBlock: return 65536;
    case cudaDevAttrMultiProcessorCount: return 132;
    case cudaDevAttrMaxThreadsPerMultiProcessor: return 2048;
    case cudaDevAttrComputeCapabilityMajor: return 9;
    case cudaDevAttrComputeCapabilityMinor: return 0;
    case cudaDevAttrUnifiedAddressing: case cudaDevAttrMemoryPoolsSupported: case cudaDevAttrCanMapHostMemory: return 1;
    case cudaDevAttrL2CacheSize: return 50 << 20;
    default: return 0;
  }
}

}  // namespace

extern "C" {

const char* cudaGetErrorName(cudaError_t e) {
  switch (e) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorNotSupported: return "cudaErrorNotSupported";
    default: return "cudaErrorUnknown";
  }
}
const char* cudaGetErrorString(cudaError_t e) {
  switch (e) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorNotSupported: return "operation not supported";
    default: return "unknown error";
  }
}
cudaError_t cudaGetLastError() { cudaError_t e = last; last = cudaSuccess; return e; }
cudaError_t cudaDriverGetVersion(int* v) { *v = 13020; return cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* v) { *v = 13020; return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* n) {
  *n = num_devices;
  return num_devices ? cudaSuccess : said(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* d) { *d = current; return num_devices ? cudaSuccess : said(cudaErrorNoDevice); }
cudaError_t cudaSetDevice(int d) {
  if (d < 0 || d >= num_devices) return said(cudaErrorInvalidDevice);
  current = d;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  settle(&defaults[current]);
  for (Stream* s : streams) if (s->device == current) settle(s);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int d) {
  if (d < 0 || d >= num_devices) return said(cudaErrorInvalidDevice);
  *value = attribute(which);
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int d) {
  if (d < 0 || d >= num_devices) return said(cudaErrorInvalidDevice);
  memset(p, 0, sizeof *p);
  strcpy(p->name, "Hosted GPU");
  p->totalGlobalMem = device_bytes[d], p->sharedMemPerBlock = 49152, p->sharedMemPerBlockOptin = 232448;
  p->sharedMemPerMultiprocessor = 233472, p->regsPerBlock = p->regsPerMultiprocessor = 65536, p->warpSize = 32;
  p->maxThreadsPerBlock = 1024, p->maxThreadsPerMultiProcessor = 2048, p->maxBlocksPerMultiProcessor = 32;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 2147483647, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->multiProcessorCount = 132, p->l2CacheSize = 50 << 20, p->major = 9, p->unifiedAddressing = 1, p->canMapHostMemory = 1;
  p->pciBusID = d + 17;
  for (int i = 0; i < 16; ++i) p->uuid.bytes[i] = i + 1;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int d) { snprintf(text, size, "0000:%02x:00.0", d + 1); return cudaSuccess; }
cudaError_t cudaDeviceGetByPCIBusId(int* d, const char* text) { *d = atoi(text + 5) - 1; return cudaSuccess; }
cudaError_t cudaDeviceCanAccessPeer(int* can, int one, int other) { *can = one != other; return cudaSuccess; }
cudaError_t cudaDeviceEnablePeerAccess(int, unsigned) { return cudaSuccess; }
cudaError_t cudaDeviceDisablePeerAccess(int) { return cudaSuccess; }
cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit) { *value = 0; return cudaSuccess; }
cudaError_t cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }

cudaError_t cudaMalloc(void** p, size_t n) { return allocate(p, n, false); }
cudaError_t cudaMallocManaged(void** p, size_t n, unsigned) { return allocate(p, n, false); }
cudaError_t cudaMallocAsync(void** p, size_t n, cudaStream_t) { return allocate(p, n, false); }
cudaError_t cudaMallocFromPoolAsync(void** p, size_t n, cudaMemPool_t, cudaStream_t) { return allocate(p, n, false); }
cudaError_t cudaFree(void* p) { return release(p); }
cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return release(p); }
cudaError_t cudaHostAlloc(void** p, size_t n, unsigned) { return allocate(p, n, true); }
cudaError_t cudaFreeHost(void* p) { return release(p); }
cudaError_t cudaHostRegister(void*, size_t, unsigned) { return cudaSuccess; }
cudaError_t cudaHostUnregister(void*) { return cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t* free_, size_t* total) { *total = device_bytes[current], *free_ = device_bytes[current] - used[current]; return cudaSuccess; }
cudaError_t cudaMemcpy(void* to, const void* from, size_t n, cudaMemcpyKind) { return copied(to, from, n); }
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t n, cudaMemcpyKind kind, cudaStream_t s) {
  cudaPointerAttributes found;
  cudaPointerGetAttributes(&found, from);
  if (of(s)->busy && kind == cudaMemcpyHostToDevice && found.type == cudaMemoryTypeHost) {
    of(s)->copies.push_back(Copy{to, from, n});
    return cudaSuccess;
  }
  catch_up(of(s));
  return copied(to, from, n);
}
cudaError_t cudaMemcpyPeer(void* to, int, const void* from, int, size_t n) { return copied(to, from, n); }
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t n, cudaStream_t) { return copied(to, from, n); }
cudaError_t cudaMemset(void* to, int value, size_t n) { memset(to, value, n); return cudaSuccess; }
cudaError_t cudaMemsetAsync(void* to, int value, size_t n, cudaStream_t) { memset(to, value, n); return cudaSuccess; }
cudaError_t cudaMemcpy2D(void* to, size_t dp, const void* from, size_t sp, size_t w, size_t h, cudaMemcpyKind) {
  for (size_t i = 0; i < h; ++i) memmove((char*)to + i * dp, (const char*)from + i * sp, w);
  return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t dp, const void* from, size_t sp, size_t w, size_t h, cudaMemcpyKind k, cudaStream_t) { return cudaMemcpy2D(to, dp, from, sp, w, h, k); }
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void* p) {
  std::lock_guard<std::mutex> held(lock);
  memset(a, 0, sizeof *a);
  a->type = cudaMemoryTypeUnregistered, a->device = -2, a->hostPointer = (void*)p;
  auto found = blocks.upper_bound((char*)p);
  if (found == blocks.begin()) return cudaSuccess;
  --found;
  if ((char*)p >= found->first + found->second.bytes) return cudaSuccess;
  a->type = found->second.host ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
  a->device = found->second.device, a->devicePointer = (void*)p;
  if (!found->second.host) a->hostPointer = nullptr;
  return cudaSuccess;
}
static size_t pool_threshold;
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* p, int d) { *p = (cudaMemPool_t)(size_t)(d + 1); return cudaSuccess; }
cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* p, int d) { *p = (cudaMemPool_t)(size_t)(d + 1); return cudaSuccess; }
cudaError_t cudaDeviceSetMemPool(int, cudaMemPool_t) { return cudaSuccess; }
cudaError_t cudaMemPoolCreate(cudaMemPool_t* p, const cudaMemPoolProps*) { *p = (cudaMemPool_t)(size_t)7; return cudaSuccess; }
cudaError_t cudaMemPoolDestroy(cudaMemPool_t) { return cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return cudaSuccess; }
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void* v) { *(size_t*)v = pool_threshold; return cudaSuccess; }
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void* v) { pool_threshold = *(size_t*)v; return cudaSuccess; }

cudaError_t cudaStreamCreate(cudaStream_t* s) { return make_stream(s, 0, 0); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned f) { return make_stream(s, f, 0); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* s, unsigned f, int p) { return make_stream(s, f, p); }
cudaError_t cudaStreamGetFlags(cudaStream_t s, unsigned* f) { *f = of(s)->flags; return cudaSuccess; }
cudaError_t cudaStreamGetPriority(cudaStream_t s, int* p) { *p = of(s)->priority; return cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t s) {
  if (streams.erase(of(s))) delete of(s);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) { settle(of(s)); return cudaSuccess; }
cudaError_t cudaStreamAddCallback(cudaStream_t s, cudaStreamCallback_t f, void* x, unsigned) { f(s, cudaSuccess, x); return cudaSuccess; }
cudaError_t cudaLaunchHostFunc(cudaStream_t, cudaHostFn_t f, void* x) { f(x); return cudaSuccess; }
cudaError_t cudaStreamQuery(cudaStream_t s) { return of(s)->busy ? cudaErrorNotReady : cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t, unsigned) { ++of(s)->waits; return cudaSuccess; }
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* s) { *s = cudaStreamCaptureStatusNone; return cudaSuccess; }
static bool pending(cudaEvent_t e) {
  Event* event = (Event*)e;
  bool there = event->pending && (event->pending < defaults + most_devices && event->pending >= defaults || streams.count(event->pending));
  return there && event->pending->busy;
}
cudaError_t cudaEventCreate(cudaEvent_t* e) { *e = (cudaEvent_t) new Event{0, false, nullptr}; return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { return cudaEventCreate(e); }
cudaError_t cudaEventDestroy(cudaEvent_t e) { delete (Event*)e; return cudaSuccess; }
cudaError_t cudaEventQuery(cudaEvent_t e) { return pending(e) ? cudaErrorNotReady : cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
  ((Event*)e)->seconds = now(), ((Event*)e)->recorded = true, ((Event*)e)->pending = of(s);
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  if (pending(e)) settle(((Event*)e)->pending);
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t a, cudaEvent_t b) {
  if (!((Event*)a)->recorded || !((Event*)b)->recorded) return said(cudaErrorInvalidResourceHandle);
  *ms = 1e3 * (((Event*)b)->seconds - ((Event*)a)->seconds);
  return cudaSuccess;
}
cudaError_t cudaProfilerStart() { return cudaSuccess; }
cudaError_t cudaProfilerStop() { return cudaSuccess; }

CUresult cuGetErrorName(CUresult e, const char** text) { *text = e ? "CUDA_ERROR_HOSTED" : "CUDA_SUCCESS"; return CUDA_SUCCESS; }
static std::string fault;
CUresult cuGetErrorString(CUresult e, const char** text) { *text = e ? fault.c_str() : "no error"; return CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int* v) { *v = 13020; return CUDA_SUCCESS; }
CUresult cuInit(unsigned) { return CUDA_ERROR_NO_DEVICE; }  // to NVRTC, which asks, there is no driver
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext* c) { *c = (CUcontext)(size_t)(current + 1); return CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext c) { current = (int)(size_t)c - 1; return CUDA_SUCCESS; }
CUresult cuCtxGetDevice(CUdevice* d) { *d = current; return CUDA_SUCCESS; }
CUresult cuStreamGetCtx(CUstream, CUcontext* c) { return cuCtxGetCurrent(c); }
CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  const char* path = (const char*)image;
  if (strncmp(path, "hosted:", 7)) { fault = "a module that the emulator did not compile"; return CUDA_ERROR_INVALID_IMAGE; }
  void* library = dlopen(path + 7, RTLD_NOW | RTLD_LOCAL);
  if (!library) { fault = dlerror(); return CUDA_ERROR_INVALID_IMAGE; }
  *module = (CUmodule) new Module{library, (Launch)dlsym(library, "emulator_launch")};
  return CUDA_SUCCESS;
}
CUresult cuModuleLoad(CUmodule* module, const char* path) { return cuModuleLoadData(module, (std::string("hosted:") + path).c_str()); }
CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction* f, CUmodule m, const char* name) {
  *f = (CUfunction) new Function{(Module*)m, name};
  return CUDA_SUCCESS;
}
CUresult cuModuleGetGlobal_v2(CUdeviceptr* place, size_t* bytes, CUmodule m, const char* name) {
  *place = (CUdeviceptr)dlsym(((Module*)m)->library, name);
  *bytes = 0;
  return *place ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, CUstream s, void** params, void**) {
  ++launches;
  if (idle) return CUDA_SUCCESS;
  catch_up(of((cudaStream_t)s));
  Function* function = (Function*)f;
  std::lock_guard<std::mutex> held(lock);
  const char* wrong = function->module->launch(function->name.c_str(), params, gx, gy, gz, bx, by, bz, shared, order);
  if (!wrong) return CUDA_SUCCESS;
  fault = function->name + ": " + wrong;
  return CUDA_ERROR_LAUNCH_FAILED;
}
CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, CUstream s, void** params) {
  return cuLaunchKernel(f, gx, gy, gz, bx, by, bz, shared, s, params, nullptr);
}
CUresult cuFuncGetAttribute(int* value, CUfunction_attribute which, CUfunction) {
  *value = which == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : which == CU_FUNC_ATTRIBUTE_NUM_REGS ? 32 : which == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES ? 49152 : 0;
  return CUDA_SUCCESS;
}
CUresult cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) { return CUDA_SUCCESS; }
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* n, CUfunction, int block, size_t) { *n = 2048 / block; return CUDA_SUCCESS; }
CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction, CUoccupancyB2DSize, size_t, int limit) {
  *block = limit > 0 && limit < 256 ? limit : 256, *grid = 132 * 8;
  return CUDA_SUCCESS;
}

// What tests say to it.
void hosted_show(int devices) {
  num_devices = devices, current = 0;
  for (size_t& bytes : device_bytes) bytes = 4ull << 30;
}
void hosted_capacity(int device, size_t bytes) {  // beside what is there already
  for (auto& block : blocks) if (block.second.device == device) block.second.counted = false;
  device_bytes[device] = bytes, used[device] = 0;
}
void hosted_busy(cudaStream_t s) { of(s)->busy = true; }
int hosted_waits(cudaStream_t s) { return of(s)->waits; }
void hosted_idle(int yes) { idle = yes; }          // kernels do nothing: to measure what a launch costs
void hosted_order(long seed) { order = seed; }     // in which a kernel's threads run: 0, in order; else the seed of a random one
long hosted_launches() { return launches; }        // so far
}
