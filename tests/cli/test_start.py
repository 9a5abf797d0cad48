"""What must be light: `--help`, and importing the package."""

import subprocess
import sys

import pytest

from fercache.cli import COMMANDS

HEAVY = ("torch", "open_clip", "timm", "pandas", "h5py", "numpy", "pydantic")


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(done.stderr.split())


def test_help_imports_nothing_heavy() -> None:
    code = "from fercache.cli import cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass"
    assert not modules_after(code) & set(HEAVY)


def test_import_loads_no_torch() -> None:
    loaded = modules_after("import fercache, fercache.settings, fercache.store.tables, fercache.records")
    assert not loaded & {"torch", "open_clip", "timm", "pandas"}


def test_public_names_are_there() -> None:
    import fercache

    for name in fercache.__all__:
        assert getattr(fercache, name) is not None


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    from click.testing import CliRunner

    from fercache.cli import cli

    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output
