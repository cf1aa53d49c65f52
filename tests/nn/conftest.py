"""What tests of modules share: a question asked of rushlight and of PyTorch."""

import numpy as np
import pytest

import rushlight


def plain(value):
    """Numbers, shapes and text in the place of tensors and modules, to compare across libraries."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "detach"):
        return {"shape": tuple(value.shape), "dtype": str(value.dtype), "values": np.asarray(value.detach().numpy())}
    return value


def agree(mine, theirs, tolerance):
    if isinstance(mine, dict) and "values" in mine:
        assert mine["shape"] == theirs["shape"]
        assert mine["dtype"] == theirs["dtype"]
        np.testing.assert_allclose(mine["values"], theirs["values"], rtol=tolerance, atol=tolerance)
    elif isinstance(mine, dict):
        assert list(mine) == list(theirs)
        for key in mine:
            agree(mine[key], theirs[key], tolerance)
    elif isinstance(mine, list):
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            agree(one, other, tolerance)
    else:
        assert mine == theirs


@pytest.fixture
def same():
    """`same(ask)`: `ask(torch)` gives the same with rushlight and with PyTorch, be it an error; the seeds are equal."""
    torch = pytest.importorskip("torch")

    def check(ask, tolerance=1e-5):
        answers = []
        for t in (rushlight, torch):
            t.manual_seed(0)
            try:
                answers.append(plain(ask(t)))
            except Exception as error:  # noqa: BLE001  (the type and the text are what is compared)
                text = str(error).replace("rushlight.", "torch.")
                answers.append({"error": type(error).__name__, "text": text})
        agree(*answers, tolerance)
        return answers[1]

    return check
