"""Archives with code in them: their tensors are read as `state_dict` has them, and nothing is run."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fercache.errors import UsageError
from fercache.weights.state_dicts import read_state


class Network(nn.Module):
    """Parameters, buffers, shared and sliced storages, a list, and an attribute that is no state."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.BatchNorm1d(3)])
        self.scale = nn.Parameter(torch.randn(4, 3)[1:3].t())
        self.register_buffer("steps", torch.tensor(7))
        self.register_buffer("empty", torch.zeros(0))
        self.mask = torch.ones(2)
        self.sizes = [1, 2]

    def forward(self, rows: Tensor) -> Tensor:
        for layer in self.layers:
            rows = layer(rows)
        return rows @ self.scale * self.steps + self.mask


@pytest.fixture(params=["script", "trace"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Tensor]]:
    network = Network().eval().half() if request.param == "trace" else Network().eval()
    rows = torch.zeros(2, 3, dtype=network.scale.dtype)
    made = torch.jit.script(network) if request.param == "script" else torch.jit.trace(network, (rows,))
    made.save(tmp_path / "archive.pt")
    return tmp_path / "archive.pt", dict(network.state_dict())


def test_tensors_are_those_of_the_state_dict(archive: tuple[Path, dict[str, Tensor]]) -> None:
    path, state = archive
    found = read_state(path)
    assert found.keys() == state.keys()
    for name, value in state.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value), name


def changed(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    other = path.with_name("changed.pt")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))
    return other


def with_data(data: bytes) -> Callable[[str, bytes], bytes]:
    return lambda name, old: data if name.endswith("/data.pkl") else old


class Touches:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_what_is_no_tensor_is_refused_and_not_run(archive: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for data in (pickle.dumps(Touches(ran)), pickle.dumps(nn.Linear(1, 1)), pickle.dumps([1]), b"", b"\x80\x02}."):
        with pytest.raises(UsageError, match="cannot be read as weights"):
            read_state(changed(archive[0], with_data(data)))
    assert not ran.exists()


def test_records_that_are_shorter_or_longer_than_stated_are_refused(archive: tuple[Path, dict[str, Tensor]]) -> None:
    for change in (lambda old: old[:-1], lambda old: old + b"\0"):
        path = changed(archive[0], lambda name, old, c=change: c(old) if name.endswith("/data/0") else old)
        with pytest.raises(UsageError, match=r"its record 0 has \d+ bytes instead of \d+"):
            read_state(path)
