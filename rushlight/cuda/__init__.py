"""`torch.cuda`: which GPUs there are, their streams, memory and random numbers. All of it is CuPy's underneath.

Loaded when first asked for; CuPy is imported when something needs a GPU and there is a driver (`library.py`). Left out: CUDA
graphs, what NVIDIA's management library tells (temperatures, other processes), memory allocators of users.
"""

from __future__ import annotations

from rushlight.cuda import amp as amp, nvtx as nvtx
from rushlight.cuda.devices import (
    _CudaDeviceProperties as _CudaDeviceProperties,
    _lazy_init as _lazy_init,
    can_device_access_peer as can_device_access_peer,
    current_device as current_device,
    device as device,
    device_count as device_count,
    device_of as device_of,
    get_arch_list as get_arch_list,
    get_device_capability as get_device_capability,
    get_device_name as get_device_name,
    get_device_properties as get_device_properties,
    get_gencode_flags as get_gencode_flags,
    init as init,
    ipc_collect as ipc_collect,
    is_available as is_available,
    is_bf16_supported as is_bf16_supported,
    is_initialized as is_initialized,
    is_tf32_supported as is_tf32_supported,
    set_device as set_device,
    synchronize as synchronize,
)
from rushlight.cuda.memory import (
    device_memory_used as device_memory_used,
    empty_cache as empty_cache,
    get_allocator_backend as get_allocator_backend,
    get_per_process_memory_fraction as get_per_process_memory_fraction,
    list_gpu_processes as list_gpu_processes,
    max_memory_allocated as max_memory_allocated,
    max_memory_cached as max_memory_cached,
    max_memory_reserved as max_memory_reserved,
    mem_get_info as mem_get_info,
    memory_allocated as memory_allocated,
    memory_cached as memory_cached,
    memory_reserved as memory_reserved,
    memory_stats as memory_stats,
    memory_stats_as_nested_dict as memory_stats_as_nested_dict,
    memory_summary as memory_summary,
    reset_accumulated_memory_stats as reset_accumulated_memory_stats,
    reset_max_memory_allocated as reset_max_memory_allocated,
    reset_max_memory_cached as reset_max_memory_cached,
    reset_peak_memory_stats as reset_peak_memory_stats,
    set_per_process_memory_fraction as set_per_process_memory_fraction,
)
from rushlight.cuda.random import (
    default_generators as default_generators,
    get_rng_state as get_rng_state,
    get_rng_state_all as get_rng_state_all,
    initial_seed as initial_seed,
    manual_seed as manual_seed,
    manual_seed_all as manual_seed_all,
    seed as seed,
    seed_all as seed_all,
    set_rng_state as set_rng_state,
    set_rng_state_all as set_rng_state_all,
)
from rushlight.cuda.streams import (
    Event as Event,
    ExternalStream as ExternalStream,
    Stream as Stream,
    StreamContext as StreamContext,
    current_stream as current_stream,
    default_stream as default_stream,
    get_stream_from_external as get_stream_from_external,
    is_current_stream_capturing as is_current_stream_capturing,
    set_stream as set_stream,
    stream as stream,
)
from rushlight.errors import AcceleratorError as AcceleratorError, OutOfMemoryError as OutOfMemoryError
from rushlight.legacy import cuda_types

has_half, has_magma = True, False
(
    FloatTensor, DoubleTensor, HalfTensor, BFloat16Tensor, LongTensor, IntTensor, ShortTensor, CharTensor, ByteTensor,
    BoolTensor,
) = cuda_types  # fmt: skip
