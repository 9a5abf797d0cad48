import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercache import registry
from fercache.errors import UsageError
from fercache.plugins import Outside


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


def test_the_registry_loads_nothing_heavy() -> None:
    code = "import sys; from fercache import registry; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"torch", "pydantic", "pandas"} & set(done.stdout.split())


@given(st.lists(st.sampled_from(["knn", "zero-shot", "mine", "theirs", "another"]), max_size=8))
def test_of_equal_names_the_first_is_used_and_built_in_ones_before_all(called: list[str]) -> None:
    plugins = tuple(
        Outside(name=name, source=str(place), remedy="", module="", distribution="", fetch=object)
        for place, name in enumerate(called)
    )
    found = registry._without_clashes("heads", plugins)
    own = set(registry.own_names("heads"))
    assert found.keys() == set(called) - own
    assert all(plugin is plugins[called.index(name)] for name, plugin in found.items())
