"""Data loading against PyTorch's: the same batches in the same order for the same seed."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import rushlight
import rushlight.utils.data as ours

torch = pytest.importorskip("torch")
theirs = torch.utils.data

Point = namedtuple("Point", ["x", "y"])


def plain(value):
    """Tensors of either library as (dtype, nested lists); containers as they are."""
    if isinstance(value, (rushlight.Tensor, torch.Tensor)):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return type(value), {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(item) for item in value]
    return value


class Squares:
    """A dataset of the plainest kind."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return index * index


def tensors_of(library, data, count):
    x = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    return data.TensorDataset(library.from_numpy(x), library.from_numpy(np.arange(count)))


def pair(make, seed=0):
    """The same thing made with both libraries, after the same seed."""
    rushlight.manual_seed(seed)
    torch.manual_seed(seed)
    return make(rushlight, ours), make(torch, theirs)


def same_passes(loader_pair, passes=2):
    a, b = loader_pair
    for _ in range(passes):
        assert [plain(x) for x in a] == [plain(x) for x in b]
    np.testing.assert_array_equal(rushlight.default_generator.get_state(), torch.get_rng_state().numpy())


# ---------------------------------------------------------------- order


@pytest.mark.parametrize("count", [1, 7, 32, 700])
@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"shuffle": True, "drop_last": True}], ids=str)
def test_tensor_dataset(count, options):
    same_passes(pair(lambda t, d: d.DataLoader(tensors_of(t, d, count), batch_size=4, **options)))


@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"batch_size": None}, {"batch_size": 3}], ids=str)
def test_any_dataset(options):
    same_passes(pair(lambda t, d: d.DataLoader(Squares(10), **options)))


def test_generator():
    def make(t, d):
        generator = t.Generator()
        generator.manual_seed(5)
        return d.DataLoader(tensors_of(t, d, 50), batch_size=8, shuffle=True, generator=generator)

    same_passes(pair(make), passes=3)


def test_iter_draws_the_base_seed_at_once_and_the_order_at_the_first_batch():
    a, b = pair(lambda t, d: d.DataLoader(tensors_of(t, d, 9), batch_size=3, shuffle=True))
    first, second = iter(a), iter(b)
    assert rushlight.rand(1).item() == torch.rand(1).item()
    assert plain(next(first)) == plain(next(second))
    assert rushlight.rand(1).item() == torch.rand(1).item()


@pytest.mark.parametrize(
    "make",
    [
        lambda t, d: d.RandomSampler(range(10), replacement=True, num_samples=70),
        lambda t, d: d.RandomSampler(range(10), num_samples=25),
        lambda t, d: d.SubsetRandomSampler([3, 1, 4, 1, 5]),
        lambda t, d: d.WeightedRandomSampler([0.1, 0.9, 0.4, 3.0], 20),
        lambda t, d: d.WeightedRandomSampler([0.1, 0.9, 0.4, 3.0], 3, replacement=False),
        lambda t, d: d.BatchSampler(d.SequentialSampler(range(10)), 3, True),
    ],
)
def test_samplers(make):
    a, b = pair(make)
    assert len(a) == len(b)
    assert [list(a), list(a)] == [list(b), list(b)]
    same_passes(
        pair(
            lambda t, d: (
                d.DataLoader(Squares(10), batch_size=2, sampler=make(t, d))
                if not isinstance(make(t, d), d.BatchSampler)
                else make(t, d)
            )
        )
    )


@pytest.mark.parametrize("lengths", [[6, 4], [0.5, 0.5], [0.34, 0.33, 0.33]])
def test_random_split(lengths):
    def make(t, d):
        parts = d.random_split(tensors_of(t, d, 10), lengths)
        return [d.DataLoader(part, batch_size=4, shuffle=True) for part in parts]

    a, b = pair(make)
    for x, y in zip(a, b, strict=True):
        same_passes((x, y))


def test_random_split_wants_lengths_that_add_up():
    with pytest.raises(ValueError, match="Sum of input lengths does not equal"):
        ours.random_split(range(10), [3, 4])


@pytest.mark.parametrize("count", [1, 2, 3, 8, 13, 14])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("drop_last", [True, False])
def test_distributed_sampler(count, shuffle, drop_last):
    for rank in range(3):
        a, b = (d.DistributedSampler(range(count), 3, rank, shuffle, 7, drop_last) for d in (ours, theirs))
        for epoch in range(2):
            a.set_epoch(epoch)
            b.set_epoch(epoch)
            assert list(a) == list(b) and len(a) == len(b)
    with pytest.raises(ValueError, match="Invalid rank 3"):
        ours.DistributedSampler(range(count), 3, 3)


# ---------------------------------------------------------------- batches


SAMPLES = {
    "ints": [1, 2],
    "floats": [0.5, 2.0],
    "bools": [True, False],
    "strings": ["a", "b"],
    "arrays": [np.zeros(2, np.float32), np.ones(2, np.float32)],
    "numpy numbers": [np.float32(1), np.float32(2)],
    "tuples": [(1, 2.0), (3, 4.0)],
    "lists": [[1, 2], [3, 4]],
    "dicts": [{"a": 1, "b": {"c": 2.0}}, {"a": 3, "b": {"c": 4.0}}],
    "ordered dicts": [OrderedDict(a=1), OrderedDict(a=2)],
    "namedtuples": [Point(1, 2), Point(3, 4)],
}


@pytest.mark.parametrize("samples", SAMPLES.values(), ids=SAMPLES)
def test_default_collate(samples):
    assert plain(ours.default_collate(samples)) == plain(theirs.default_collate(samples))


def test_default_collate_faults():
    with pytest.raises(TypeError, match="default_collate: batch must contain tensors"):
        ours.default_collate([object(), object()])
    with pytest.raises(RuntimeError, match="each element in list of batch should be of equal size"):
        ours.default_collate([[1], [1, 2]])
    with pytest.raises(TypeError, match="found <U1"):
        ours.default_collate([np.array(["a"])])


def test_a_batch_is_a_copy():
    dataset = tensors_of(rushlight, ours, 4)
    for x, _ in ours.DataLoader(dataset, batch_size=4):
        x.zero_()
    assert dataset.tensors[0].sum().item() > 0


def test_gradients_reach_the_dataset():
    x = rushlight.ones(3, requires_grad=True)
    for (batch,) in ours.DataLoader(ours.TensorDataset(x), batch_size=2):
        batch.sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


# ---------------------------------------------------------------- datasets


def test_combined_datasets():
    def make(t, d):
        first, second = tensors_of(t, d, 3), tensors_of(t, d, 4)
        joined = d.ConcatDataset([first, second])
        subset = d.Subset(d.Subset(second, [3, 2, 0]), [2, 0])
        stacked = d.StackDataset(Squares(2), Squares(2), d.Subset(Squares(5), [4, 1]))
        named = d.StackDataset(a=Squares(2), b=Squares(2))
        return [d.DataLoader(x, batch_size=2) for x in (joined, first + second, subset, stacked, named)] + [
            [joined[-1]], [len(joined)],
        ]  # fmt: skip

    a, b = pair(make)
    for x, y in zip(a, b, strict=True):
        same_passes((x, y), 1)


@pytest.mark.parametrize("options", [{}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}])
def test_streams(options):
    def make(t, d):
        class Stream(d.IterableDataset):
            def __iter__(self):
                return iter(range(10))

            def __len__(self):
                return 10

        loader = d.DataLoader(Stream(), **options)
        return loader, d.DataLoader(Stream() + Stream(), **options)

    for x, y in zip(*pair(make), strict=True):
        assert len(x) == len(y)
        same_passes((x, y), 1)


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"persistent_workers": True},
        {"shuffle": True, "sampler": [1]},
        {"batch_sampler": [[1]], "batch_size": 2},
        {"batch_size": None, "drop_last": True},
        {"batch_size": 0},
        {"batch_size": 2, "drop_last": 1},
    ],
    ids=str,
)
def test_faults(options):
    with pytest.raises(ValueError) as expected:
        theirs.DataLoader(Squares(3), **options)
    with pytest.raises(ValueError) as actual:
        ours.DataLoader(Squares(3), **options)
    assert str(actual.value) == str(expected.value)


def test_what_a_loader_reads_is_fixed():
    with pytest.raises(ValueError, match="batch_size attribute should not be set after DataLoader is initialized"):
        ours.DataLoader(Squares(3)).batch_size = 2
