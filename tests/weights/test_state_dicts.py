"""Files of weights: what is read, what is left out, what is refused."""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from fercache.errors import FercacheError, UsageError
from fercache.weights.state_dicts import State, fill, listed, read_state, state_hash, weights_hash, without_prefix


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def written(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
def test_what_stands_beside_the_weights_is_left_out(wrapper: str | None, tmp_path: Path) -> None:
    state = network().state_dict()
    content = {**state, "epoch": 3} if wrapper is None else {"epoch": 3, "optimizer": {"lr": 0.1}, wrapper: state}
    assert same(read_state(written(tmp_path / "mine.pth", content)), state)


def test_both_formats_are_the_same(tmp_path: Path) -> None:
    state = network().state_dict()
    save_file(state, tmp_path / "mine.safetensors")
    assert same(read_state(tmp_path / "mine.safetensors"), state)
    assert same(read_state(written(tmp_path / "mine.pt", state)), state)


class Object:
    """What only code could make again."""


def test_code_is_refused_and_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Touches:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (ran,)

    for path in (
        written(tmp_path / "object.pt", {"model": Object()}),
        written(tmp_path / "touches.pt", {"model": Touches()}),
    ):
        with pytest.raises(UsageError, match=r"cannot be read as weights: .*it holds more than names and tensors"):
            read_state(path)
    assert not ran.exists()


def test_how_to_run_code_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_state(written(tmp_path / "object.pt", {"model": Object()}))
    assert "it holds more than names and tensors" in str(caught.value)
    assert "weights_only" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_files_of_old_pytorch_are_read(tmp_path: Path) -> None:
    state = network().state_dict()
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert same(read_state(tmp_path / "old.pt"), state)


def sharded(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    """The index of two files, as Hugging Face's libraries save large networks."""
    names = [f"model-{n:05}-of-00002.safetensors" for n in (1, 2)]
    halves = [dict(list(state.items())[n::2]) for n in (0, 1)]
    for name, half in zip(names, halves, strict=True):
        save_file(half, folder / name)
    places = {key: name for name, half in zip(names, halves, strict=True) for key in half}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return index


def test_sharded_files_are_read_by_their_index(tmp_path: Path) -> None:
    state = network().state_dict()
    index = sharded(tmp_path, state)
    assert same(read_state(index), state)
    before = weights_hash(index)
    save_file({"other": torch.ones(1)}, tmp_path / "model-00002-of-00002.safetensors")
    assert weights_hash(index) != before
    with pytest.raises(UsageError, match=r"it is one of several files. Name their index, --weights .*index\.json"):
        read_state(tmp_path / "model-00001-of-00002.safetensors")
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UsageError, match=r"model-00002-of-00002\.safetensors of its 2 files are not beside it"):
        read_state(index)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": "../x.safetensors"}}'])
def test_what_is_no_index_is_refused(tmp_path: Path, text: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(text)
    with pytest.raises(UsageError, match="cannot be read as weights"):
        read_state(index)


ZEROS = torch.zeros(3, 4)


@pytest.mark.filterwarnings("ignore")  # PyTorch's, about rarely used tensors
@pytest.mark.parametrize(
    "odd",
    [
        ZEROS.to_sparse,
        ZEROS.to_sparse_csr,
        lambda: torch.quantize_per_tensor(ZEROS, 0.1, 0, torch.qint8),
        lambda: torch.nested.nested_tensor([torch.ones(4), torch.ones(3)]),
        lambda: torch.empty(3, 4, device="meta"),
        lambda: torch.zeros(3, 4, dtype=torch.bits8),
        lambda: torch.zeros(3, 4, dtype=torch.complex64),
    ],
    ids=["sparse", "csr", "quantised", "nested", "meta", "bits", "complex"],
)
def test_tensors_that_are_not_plain_are_refused_by_name(tmp_path: Path, odd: Callable[[], Tensor]) -> None:
    path = written(tmp_path / "odd.pt", {"plain": ZEROS, "odd": odd()})
    with pytest.raises(UsageError, match=r"odd\.pt holds more than plain tensors of real numbers: odd\."):
        read_state(path)


@pytest.mark.parametrize(
    "instructions",
    [b"\x80\x02.", b"\x80\x02K\x05Q.", b"\x80\x02}]K\x02s.", b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R."],
    ids=["index", "assertion", "unhashable", "arguments"],
)
def test_a_pickle_that_makes_no_sense_is_refused(tmp_path: Path, instructions: bytes) -> None:
    path, plain = tmp_path / "odd.pt", written(tmp_path / "plain.pt", {"a": ZEROS})
    with zipfile.ZipFile(plain) as archive, zipfile.ZipFile(path, "w") as hostile:
        for name in archive.namelist():
            data = instructions if name.endswith("data.pkl") else archive.read(name)
            hostile.writestr(name.replace("plain", "odd"), data)
    with pytest.raises(UsageError, match=r"odd\.pt cannot be read as weights"):
        read_state(path)


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    text, empty = tmp_path / "text.safetensors", tmp_path / "empty.pt"
    text.write_text("no weights in here")
    empty.touch()
    for path in (text, empty):
        with pytest.raises(UsageError, match=f"{path.name} cannot be read as weights"):
            read_state(path)
    for path in (tmp_path, tmp_path / "absent.pt"):
        with pytest.raises(UsageError, match="no such file"):
            read_state(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [([1, 2], "list"), ({}, "dict"), ({"epoch": 3, 4: torch.ones(1)}, "dict of epoch, 4"), (torch.ones(2), "Tensor")],
)
def test_what_holds_no_named_tensors_is_refused(content: Any, found: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"is not a state dict: expected names and tensors, found {found}"):
        read_state(written(tmp_path / "odd.pt", content))


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


@pytest.mark.parametrize("prefix", ["module.", "model.", "backbone.", "encoder.", "module.model.", "model.encoder."])
def test_prefixes_that_all_keys_share_are_left_out(prefix: str) -> None:
    state = network().state_dict()
    assert same(without_prefix(prefixed(state, prefix)), state)
    mixed = {**prefixed(state, prefix), "epoch": torch.ones(1)}
    assert without_prefix(mixed).keys() == mixed.keys()
    assert without_prefix({}) == {}


PARTS = st.sampled_from(["module", "_orig_mod", "model", "backbone", "encoder", "net", "student", "clip_model"])
ENTRIES = st.sampled_from(["state_dict", "model_state_dict", "model", "ema", "net", "teacher", "checkpoint"])


@given(
    prefix=st.lists(PARTS, max_size=3),
    entries=st.lists(ENTRIES, max_size=3),
    inside=st.sampled_from(["", "_orig_mod.", "module.", "module._orig_mod."]),
    beside=st.booleans(),
)
def test_whatever_training_code_puts_around_weights_they_are_found(
    tmp_path_factory: pytest.TempPathFactory, prefix: list[str], entries: list[str], inside: str, beside: bool
) -> None:
    """`inside`: a part of the network was compiled, or spread over devices; `beside`: other things were saved too."""
    state = network().state_dict()
    before = "".join(f"{part}." for part in prefix)
    content: Any = {f"{before}{key.replace('.', f'.{inside}', 1)}": value for key, value in state.items()}
    if beside:
        content |= {"head.weight": torch.ones(2), "n_averaged": torch.tensor(3)}
    for entry in entries:
        content = {entry: content}
        if beside:
            content |= {"epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}, "loss": torch.ones(())}
    path = written(tmp_path_factory.getbasetemp() / "wrapped.pt", content)
    found = read_state(path, wanted=state.keys())
    assert same({key: found[key] for key in state}, state)
    mine = network()
    assert set(fill(mine, path, "mine")) <= {"head.weight", "n_averaged"}


def test_where_two_networks_fit_it_is_said_which_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state, averaged = network().state_dict(), {key: value + 1 for key, value in network().state_dict().items()}
    path = written(tmp_path / "both.pt", {"ema": averaged, "model": state, "net": state})
    assert same(read_state(path, wanted=state.keys()), state)
    assert "both.pt: reading model/; ema/ would fit as well" in capsys.readouterr().err
    path = written(tmp_path / "pair.pt", prefixed(averaged, "teacher.") | prefixed(state, "model."))
    assert read_state(path, wanted=state.keys()).items() >= {}.items()
    assert "pair.pt: reading model.; teacher. would fit as well" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] can't allocate memory: you tried 9 EiB")]
)
def test_too_little_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(torch, "load", fails)
    with pytest.raises(FercacheError, match=r"mine\.pt \(0 MiB\) does not fit in memory"):
        read_state(written(tmp_path / "mine.pt", network().state_dict()))


def test_a_network_gets_the_numbers_and_the_rest_is_named(tmp_path: Path) -> None:
    mine, other = network(), network()
    for tensor in mine.state_dict().values():
        tensor.add_(1)
    content = {"state_dict": prefixed({**mine.state_dict(), "fc.weight": torch.ones(7, 2)}, "module.")}
    assert fill(other, written(tmp_path / "mine.pth", content), "mine") == ["fc.weight"]
    assert same(other.state_dict(), mine.state_dict())


def test_a_counter_may_be_missing(tmp_path: Path) -> None:
    state = {key: value for key, value in network().state_dict().items() if key != "1.num_batches_tracked"}
    assert fill(network(), written(tmp_path / "old.pth", state), "mine") == []


def test_missing_keys_and_other_shapes_are_listed_and_nothing_is_filled(tmp_path: Path) -> None:
    mine = network()
    state = {key: value + 1 for key, value in mine.state_dict().items()}
    del state["0.bias"]
    state["0.weight"] = torch.ones(2, 4)
    before = {key: value.clone() for key, value in mine.state_dict().items()}
    with pytest.raises(UsageError) as caught:
        fill(mine, written(tmp_path / "odd.pth", state), "mine")
    assert "odd.pth does not fit mine: missing 0.bias; of another shape: 0.weight has 2 x 4 instead of 2 x 3." in str(
        caught.value
    )
    assert same(mine.state_dict(), before)


def test_a_file_of_something_else_says_what_it_has(tmp_path: Path) -> None:
    state = {f"other.{i}": torch.ones(1) for i in range(8)}
    with pytest.raises(UsageError, match=r"The file has other\.0, .*, other\.5 and 2 more\. Name the network"):
        fill(network(), written(tmp_path / "other.pth", state), "mine")


def test_keys_may_be_adapted_and_what_that_throws_is_reported(tmp_path: Path) -> None:
    mine = network()
    path = written(tmp_path / "renamed.pth", {f"x{key}": value for key, value in mine.state_dict().items()})
    assert fill(mine, path, "mine", lambda state, network: {key[1:]: value for key, value in state.items()}) == []

    def fails(state: State, network: nn.Module) -> State:
        raise KeyError("patch_embed")

    with pytest.raises(UsageError, match=r"renamed\.pth does not fit mine: 'patch_embed'"):
        fill(mine, path, "mine", fails)


def test_the_hash_is_of_names_types_shapes_and_numbers() -> None:
    state: dict[str, Tensor] = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(1), "c": torch.ones(2).bfloat16()}
    assert state_hash(state) == state_hash(dict(reversed(state.items())))
    assert state_hash(state) == state_hash({**state, "a": torch.arange(6.0).view(3, 2).reshape(2, 3)})
    others = [
        {**state, "a": state["a"].view(3, 2)},
        {**state, "a": state["a"] + 1e-6},
        {**state, "b": torch.tensor(1, dtype=torch.int32)},
        {"d" if key == "a" else key: value for key, value in state.items()},
    ]
    assert len({state_hash(state), *map(state_hash, others)}) == 5


def test_long_lists_are_cut() -> None:
    assert listed([]) == "none"
    assert listed("abc") == "a, b, c"
    assert listed("abcdefgh") == "a, b, c, d, e, f and 2 more"


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("header", "length"),
    [
        (json.dumps({"a": ONE}).encode(), 2**63),
        (json.dumps({"a": ONE}).encode(), 9_000),
        (json.dumps({"a": {**ONE, "shape": [2**40], "data_offsets": [0, 2**42]}}).encode(), None),
        (json.dumps({"a": {**ONE, "shape": [9]}}).encode(), None),
        (json.dumps({"a": {**ONE, "shape": [-1]}}).encode(), None),
        (json.dumps({"a": ONE, "b": ONE}).encode(), None),
        (b"[" * 100_000 + b"]" * 100_000, None),
    ],
    ids=["endless", "longer", "huge", "shape", "negative", "overlapping", "deep"],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: bytes, length: int | None) -> None:
    path = tmp_path / "lying.safetensors"
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + b"0000")
    with pytest.raises(UsageError, match="cannot be read as weights"):
        read_state(path)


def test_compressed_records_are_refused_and_not_unpacked(tmp_path: Path) -> None:
    """64 MB of zeros in 64 kB; PyTorch would take the compressed bytes for the numbers."""
    packed, plain = io.BytesIO(), written(tmp_path / "plain.pt", {"a": torch.zeros(4)})
    with zipfile.ZipFile(plain) as archive, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in archive.namelist():
            bomb.writestr(name, bytes(2**26) if "/data/" in name else archive.read(name))
    path = tmp_path / "bomb.pt"
    path.write_bytes(packed.getvalue())
    with pytest.raises(UsageError, match="its records are compressed"):
        read_state(path)
