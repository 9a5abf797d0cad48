"""How much memory features may take."""

import pytest

from fercache.runtime.memory import fits, limit_features, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("2 GB", 2**31), ("500MB", 500 * 2**20), ("1.5G", 3 * 2**29), ("1 GiB", 2**30), ("4096", 4096), ("7 kb", 7168)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1 GB", "2 XB", "1,5 GB"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a size such as '2 GB'"):
        parse_size(text)


def test_the_limit_is_a_share_of_the_machine_or_what_is_set() -> None:
    try:
        assert fits(2**20)
        assert not fits(2**50)
        limit_features(100)
        assert fits(100)
        assert not fits(101)
    finally:
        limit_features(None)
