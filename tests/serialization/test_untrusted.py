"""Files that nobody should trust: known attacks, and a thousand damaged ones. Nothing runs, nothing crashes."""

import builtins
import collections
import io
import os
import pickle
import random
import resource
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import rushlight
from rushlight import nn
from rushlight.serialization import load, safetensors, save

MARK = "/tmp/rushlight_was_here"
RAISES = (pickle.UnpicklingError, RuntimeError, EOFError)


def archive(pickled, **entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("a/data.pkl", pickled)
        for name, data in {"data_0": bytes(16), **entries}.items():
            target.writestr(f"a/{name.replace('_', '/')}", data)
    file.seek(0)
    return file


def call(module, name, argument):
    return f"c{module}\n{name}\n(V{argument}\ntR.".encode()


ATTACKS = {
    "os.system": call("os", "system", f"touch {MARK}"),
    "posix.system": call("posix", "system", f"touch {MARK}"),
    "eval": call("__builtin__", "eval", f"open('{MARK}', 'w')"),
    "exec": call("builtins", "exec", f"open('{MARK}', 'w')"),
    "getattr": b"cbuiltins\ngetattr\n(c_codecs\nencode\nV__globals__\ntR.",
    "import": call("builtins", "__import__", "os"),
    "open": call("builtins", "open", MARK),
    "a dotted name": b"\x80\x04\x8c\x05torch\x8c\x0f_utils.os.system\x93\x8c\x01a\x85R.",
    "our own internals": call("rushlight.serialization.unpickling", "pickle", "a"),
    "numpy's loader": call("numpy", "load", MARK),
    "runpy": call("runpy", "_run_code", f"open('{MARK}', 'w')"),
    "torch.load": call("torch.serialization", "load", MARK),
    "INST": f"(Vtouch {MARK}\nios\nsystem\n.".encode(),
    "OBJ": f"(cos\nsystem\nVtouch {MARK}\no.".encode(),
    "an extension": b"\x80\x02\x82\x01.",
    "attributes of a class": b"ctorch\nTensor\n}X\x04\x00\x00\x00evilK\x01sb.",
    "slots of a class": b"ctorch\nTensor\nN}X\x08\x00\x00\x00__repr__c_codecs\nencode\ns\x86b.",
    "attributes of a function": b"c_codecs\nencode\n}X\x08\x00\x00\x00__code__K\x01sb.",
    "attributes of a list": b"]}X\x01\x00\x00\x00aK\x01sb.",
    "a new class": b"cbuiltins\ntype\n(Va\n(t}tR.",
    "calling a result": b"ccollections\nOrderedDict\n)R)R.",
    "calling a tensor": b"ctorch\nTensor\n)R)R.",
    "a huge string": b"X\xff\xff\xff\xffa.",
    "a huge string of 8 bytes": b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa.",
    "a huge bytearray": b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7fa.",
    "a huge bytearray, called": b"cbuiltins\nbytearray\n(I99999999999999\ntR.",
    "a huge tensor, called": b"ctorch\nTensor\n(I99999999999999\ntR.",
    "a huge integer": b"\x8b\xff\xff\xff\x7fa.",
    "a huge frame": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "a deep key": b"}" + b"(" * 200_000 + b"t" * 200_000 + b"K\x01s.",
    "a deep key of single tuples": b"})" + b"\x85" * 200_000 + b"K\x01s.",
    "a storage of no key": b"((Vstorage\nctorch\nFloatStorage\nV../../etc/passwd\nVcpu\nK\x04tQ.",
    "nothing": b"",
    "no end": b"]",
    "no stack": b"R.",
    "no memo": b"h\x05.",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_known_attacks_are_refused(attack):
    before = set(vars(rushlight.Tensor)), rushlight.Tensor.__repr__
    with pytest.raises(RAISES):
        load(archive(attack))
    assert not os.path.exists(MARK)
    assert (set(vars(rushlight.Tensor)), rushlight.Tensor.__repr__) == before


def test_a_huge_number_in_the_memo_takes_no_memory():
    assert load(archive(b"]r\xff\xff\xff\x7f.")) == []


def test_deep_lists_are_only_lists():
    value = load(archive(b"]" * 50_000 + b"a" * 49_999 + b"."))
    for _ in range(49_999):
        (value,) = value
    assert value == []


def tensor_pickle(size, stride, offset, count=4):
    def numbers(values):
        return b"(" + b"".join(f"I{value}\n".encode() for value in values) + b"t"

    storage = f"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI{count}\ntQ".encode()
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + f"I{offset}\n".encode() + numbers(size) + numbers(stride)
        + b"I00\nccollections\nOrderedDict\n)RtR."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ([5], [1], 0), ([2], [4], 0), ([1], [1], 4), ([4], [-1], 3), ([-1], [1], 0), ([1], [1], -1), ([2**62, 4], [1, 1], 0),
        ([2**31, 2**31, 2**31], [2**40, 1, 0], 0), ([2], [2**63], 0), ([1, 1], [1], 0), ([4], [1], 2**63), ([2] * 70, [0] * 70, 0),
    ],
)  # fmt: skip
def test_tensors_stay_within_their_storage(size, stride, offset):
    assert load(archive(tensor_pickle([4], [1], 0))).tolist() == [0, 0, 0, 0]
    with pytest.raises(RAISES):
        load(archive(tensor_pickle(size, stride, offset)))


def test_a_storage_may_not_claim_more_than_there_is():
    with pytest.raises(RuntimeError, match="has 16 bytes where the pickle says"):
        load(archive(tensor_pickle([4], [1], 0, count=10**12)))


# ---------------------------------------------------------------- damage

NUM_MUTANTS = 1000


def good_files():
    """One small file of each kind, with the function that reads it."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = rushlight.optim.Adam(model.parameters())
    content = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "x": [1, 2.5, "text", None, (True,)]}
    content["array"] = np.arange(6.0).reshape(2, 3)
    content["views"] = [model[0].weight[1:], model[0].weight.t(), rushlight.ones(3, dtype=rushlight.bfloat16)]
    file = io.BytesIO()
    save(content, file)
    packed = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    tensors = {name: value for name, value in model.state_dict().items() if value.ndim}
    yield file.getvalue(), lambda data: load(io.BytesIO(data)), RAISES
    yield packed.getvalue(), lambda data: load(io.BytesIO(data)), RAISES
    yield safetensors.save(tensors, {"kind": "test"}), safetensors.load, (safetensors.SafetensorError,)


def mutant(data, rng):
    """The bytes, damaged: some changed, cut off, doubled, exchanged; often in the pickle or the directory."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5, 20])):
        at = rng.choice(
            [rng.randrange(len(data)), max(0, len(data) - rng.randrange(1, 900)), rng.randrange(900)]
        ) % len(data)
        kind = rng.randrange(6)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice([0, 255, rng.randrange(256), *b".()RcbQt\x93\x81\x85q]}"])
        elif kind == 2:
            del data[at : at + rng.randrange(1, 9)]
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 4:
            other = rng.randrange(len(data))
            data[at : at + 8] = data[other : other + 8]
        else:
            data[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0"])
        data = data or bytearray(b"P")
    if rng.random() < 0.15:
        data = data[: rng.randrange(1, len(data) + 1)]
    return bytes(data)


def repacked(data, rng):
    """A mutant whose archive is whole: only what the pickle says is damaged."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry.filename, mutant(content, rng) if entry.filename.endswith("data.pkl") else content)
    return file.getvalue()


FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "exec", "open", "import")


def damaged_files_raise_or_load(seed):
    """Reads mutants; nothing is imported, opened or started on the way, and every error is one that is documented."""
    rng = random.Random(seed)
    kinds = list(good_files())
    for data, read, _ in kinds:
        read(data)
    seen, watching = [], True
    sys.addaudithook(
        lambda event, args: seen.append((event, str(args[0])[:80])) if watching and event in FORBIDDEN else None
    )
    outcomes = collections.Counter()
    for number in range(NUM_MUTANTS):
        data, read, raises = kinds[(0, 0, 1, 2)[number % 4]]
        data = repacked(data, rng) if number % 4 == 1 else mutant(data, rng)
        try:
            read(data)
            outcomes["loaded"] += 1
        except raises as error:
            outcomes[type(error).__name__] += 1
    watching = False
    assert not seen, collections.Counter(seen)
    return outcomes


def main():
    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, 8 * 2**30))
    import warnings

    warnings.simplefilter("ignore")  # zipfile warns of doubled names
    print(dict(damaged_files_raise_or_load(int(sys.argv[1]))))


def test_a_thousand_damaged_files():
    """In a process of its own, with little memory: a crash, or gigabytes taken for nothing, would show."""
    command = "import runpy, sys; runpy.run_path(sys.argv[2], run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", command, "5", __file__], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = eval(done.stdout, {"__builtins__": builtins})
    assert sum(outcomes.values()) == NUM_MUTANTS
    assert outcomes["loaded"] < NUM_MUTANTS / 2, outcomes  # most of them are damaged where it matters


if __name__ == "__main__":
    main()
