import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.identity import canonical_json, file_hash, key_of, pixel_hash, seed_from

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), json_values))
def test_key_does_not_depend_on_order(identity: dict) -> None:
    backwards = dict(reversed(list(identity.items())))
    assert key_of(identity) == key_of(backwards)


def test_key_depends_on_everything() -> None:
    assert key_of({"a": 1, "b": [1, 2]}) != key_of({"a": 1, "b": [2, 1]})


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"rate": float("nan")})


def test_seeds_differ_and_repeat() -> None:
    seeds = {seed_from("train", key) for key in range(100)}
    assert len(seeds) == 100
    assert seed_from("train", 3) == seed_from("train", 3)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_pixel_hash_tells_shapes_apart() -> None:
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    assert pixel_hash(pixels) != pixel_hash(pixels.reshape(6, 4, 3))
    assert pixel_hash(pixels) == pixel_hash(np.zeros((4, 12, 3), dtype=np.uint8)[:, ::2])


def test_file_hash_is_sha256(tmp_path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert file_hash(tmp_path / "empty").startswith("e3b0c44298fc1c14")
