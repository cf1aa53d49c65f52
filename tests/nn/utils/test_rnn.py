"""Packing and padding of sequences, beside PyTorch."""

import pytest

import rushlight

torch = pytest.importorskip("torch")


def sequences(t, *lengths):
    return [t.arange(float(2 * n)).reshape(n, 2) + 10 * n for n in lengths]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_pad_and_unpad(same, batch_first, side):
    def ask(t):
        rnn = t.nn.utils.rnn
        padded = rnn.pad_sequence(sequences(t, 2, 4, 1), batch_first, -1.0, side)
        return padded.clone(), rnn.unpad_sequence(padded, t.tensor([2, 4, 1]), batch_first)

    same(ask)


@pytest.mark.parametrize("lengths", [(4, 2, 2, 1), (2, 4, 1)])
def test_pack_and_unpack(same, lengths):
    def ask(t):
        rnn, is_sorted = t.nn.utils.rnn, lengths[0] == 4
        samples = [x.requires_grad_() for x in sequences(t, *lengths)]
        packed = rnn.pack_sequence(samples, enforce_sorted=is_sorted)
        (packed.data**2).sum().backward()
        facts = [packed.data, packed.batch_sizes, [x.grad for x in samples]]
        if not is_sorted:
            facts += [packed.sorted_indices, packed.unsorted_indices]
        return facts, rnn.unpack_sequence(packed), list(rnn.pad_packed_sequence(packed, total_length=5))

    same(ask)


def test_conversions(same):
    def ask(t):
        packed = t.nn.utils.rnn.pack_sequence(sequences(t, 1, 2), enforce_sorted=False)
        kinds = ("double", "half", "long", "int", "short", "char", "byte", "cpu", "float")
        return [getattr(packed, kind)().data for kind in kinds], packed.to(t.float32) is packed, packed.is_cuda

    same(ask)


def test_printed_as_pytorchs():
    def text(t):
        return str(t.nn.utils.rnn.pack_sequence(sequences(t, 1, 2), enforce_sorted=False))

    assert text(rushlight) == text(torch)


@pytest.mark.parametrize("ask", [
    lambda t, rnn: rnn.pack_sequence(sequences(t, 1, 2)),
    lambda t, rnn: rnn.pack_padded_sequence(t.ones(3, 2, 1), [3, 0]),
    lambda t, rnn: rnn.pack_padded_sequence(t.ones(3, 2, 1), [3]),
    lambda t, rnn: rnn.pad_packed_sequence(rnn.pack_sequence(sequences(t, 3)), total_length=2),
    lambda t, rnn: rnn.pad_sequence([]),
    lambda t, rnn: rnn.pad_sequence(3),
    lambda t, rnn: rnn.pad_sequence(sequences(t, 1), padding_side="top"),
])  # fmt: skip
def test_errors(same, ask):
    assert set(same(lambda t: ask(t, t.nn.utils.rnn))) == {"error", "text"}
