"""Which GPUs there are, which is current, what they are."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import rushlight as torch
from rushlight.cuda import devices


def test_two_devices(gpus: Any) -> None:
    assert not torch.cuda.is_initialized()
    assert torch.cuda.is_available()
    assert torch.cuda.device_count() == 2
    assert not torch.cuda.is_initialized()
    torch.cuda.init()
    assert torch.cuda.is_initialized()
    assert torch.cuda.current_device() == 0


def test_blocks_change_the_current_device(gpus: Any) -> None:
    with torch.cuda.device("cuda:1"):
        assert torch.cuda.current_device() == 1
        with torch.cuda.device(0), torch.cuda.device(-1), torch.cuda.device_of(torch.ones(1)):
            assert torch.cuda.current_device() == 0
        assert torch.cuda.current_device() == 1
        torch.cuda.synchronize()
        torch.cuda.synchronize(0)
    assert torch.cuda.current_device() == 0
    with pytest.raises(KeyError), torch.cuda.device(torch.device("cuda", 1)):
        raise KeyError
    assert torch.cuda.current_device() == 0


def test_set_device_is_of_a_thread(gpus: Any) -> None:
    torch.cuda.set_device(1)
    torch.cuda.set_device(-1)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.cuda.current_device()))
    thread.start()
    thread.join()
    assert (torch.cuda.current_device(), found) == (1, [0])


@pytest.mark.parametrize("wrong", ["cpu", torch.device("cpu"), True])
def test_other_devices(gpus: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"Expected a cuda device, but got: (cpu|True)"):
        torch.cuda.set_device(wrong)


def test_a_device_that_is_not_there(gpus: Any) -> None:
    with pytest.raises(torch.AcceleratorError, match="CUDA error: invalid device ordinal"):
        torch.cuda.set_device(2)
    with pytest.raises(AssertionError, match="Invalid device id"):
        torch.cuda.get_device_properties(2)
    with pytest.raises(AssertionError, match="Invalid peer device id"):
        torch.cuda.can_device_access_peer(0, 7)
    assert torch.cuda.can_device_access_peer(0, 1)
    assert not torch.cuda.can_device_access_peer(1, 1)


def test_properties(gpus: Any) -> None:
    found = torch.cuda.get_device_properties("cuda:1")
    assert repr(found) == (
        "_CudaDeviceProperties(name='Hosted GPU', major=9, minor=0, total_memory=1024MB, multi_processor_count=132, "
        "uuid=01020304-0506-0708-090a-0b0c0d0e0f10, pci_bus_id=18, pci_device_id=0, pci_domain_id=0, L2_cache_size=50MB)"
    )
    assert torch.cuda.get_device_name() == "Hosted GPU"
    assert torch.cuda.get_device_capability(0) == (9, 0)
    assert {"sm_80", "sm_90"} <= set(torch.cuda.get_arch_list())
    assert "code=sm_90" in torch.cuda.get_gencode_flags()
    assert torch.cuda.is_bf16_supported()
    assert torch.cuda.is_tf32_supported()
    assert list(devices.visible_devices()) == ["Hosted GPU, 1.0 GiB, sm_90"] * 2


def test_old_names_of_tensors(gpus: Any) -> None:
    assert repr(torch.cuda.FloatTensor) == "<class 'torch.cuda.FloatTensor'>"
    assert not isinstance(torch.ones(1), torch.cuda.FloatTensor)
    assert isinstance(torch.ones(1), torch.FloatTensor)
