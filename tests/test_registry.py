import subprocess
import sys

import pytest

from fercache import registry
from fercache.errors import UsageError


@pytest.mark.parametrize("kind", [kind for kind in registry.KINDS if kind != "report_sections"])
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
