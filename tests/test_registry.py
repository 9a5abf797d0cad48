import pytest

from fercache import registry
from fercache.errors import UsageError


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_file_is_found_and_offers_a_plugin(kind: str) -> None:
    assert registry.names(kind)
    for name in registry.names(kind):
        assert registry.load(kind, name) is not None


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'sigmoid-mask'"):
        registry.load("heads", "sigmoid-mas")
    with pytest.raises(UsageError, match="bundled"):
        registry.encoder_family("no such encoder")
