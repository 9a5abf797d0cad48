"""Prompt tables."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from fercache.errors import UsageError
from fercache.identity import key_of
from fercache.store.prompts import prompts_path, read_prompts, write_prompts
from tests.store.damage import damaged, damages

IDENTITY = {"encoder": "made", "prompts": {"happiness": ["a smile", "ein Lächeln"], "sadness": ["tears"]}}
EMBEDDINGS = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
OWNERS = ("happiness", "sadness", "happiness")


def made(cache: Path) -> Path:
    return write_prompts(
        prompts_path(cache, "made", "faces", key_of(IDENTITY)),
        identity=IDENTITY,
        prompts=("a smile", "tears", "ein Lächeln"),
        expressions=OWNERS,
        embeddings=EMBEDDINGS,
        logit_scale=100.0,
    )


def test_round_trip(tmp_path: Path) -> None:
    path = made(tmp_path)
    assert path == tmp_path / "prompts" / "made" / f"faces-{key_of(IDENTITY)[:8]}.h5"
    table = read_prompts(path)
    assert (table.path, table.identity, table.logit_scale) == (path, IDENTITY, 100.0)
    assert table.prompts == ("a smile", "tears", "ein Lächeln")
    assert table.expressions == OWNERS
    np.testing.assert_array_equal(table.embeddings, EMBEDDINGS)


def test_mean_of_the_raw_embeddings_in_the_order_asked_for(tmp_path: Path) -> None:
    table = read_prompts(made(tmp_path))
    expected = [EMBEDDINGS[1], (EMBEDDINGS[0] + EMBEDDINGS[2]) / 2]
    np.testing.assert_allclose(table.per_expression(["sadness", "happiness"]), expected, rtol=1e-6)
    with pytest.raises(UsageError, match=r"no prompt for 'hapiness'\. Did you mean 'happiness'"):
        table.per_expression(["sadness", "hapiness"])


@pytest.mark.parametrize("change", [{"prompts": ["a"]}, {"expressions": ["a"]}, {"embeddings": EMBEDDINGS[0]}])
def test_counts_must_agree(tmp_path: Path, change: dict[str, object]) -> None:
    plain = {"prompts": ["a", "b", "c"], "expressions": OWNERS, "embeddings": EMBEDDINGS}
    with pytest.raises(ValueError, match="prompts"):
        write_prompts(tmp_path / "table.h5", identity=IDENTITY, logit_scale=1, **(plain | change))


@given(damage=damages)
@settings(max_examples=30, deadline=None)
def test_damage_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, damage: tuple[str, object]) -> None:
    path = made(tmp_path_factory.mktemp("damage"))
    path.write_bytes(damaged(path.read_bytes(), damage))
    try:
        np.testing.assert_array_equal(read_prompts(path).embeddings, EMBEDDINGS)
    except UsageError as error:
        assert "fercache extract" in str(error)
