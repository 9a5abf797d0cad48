"""What must be light: `--help`, and importing the package."""

import importlib
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from fercache.cli import COMMANDS, cli

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


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for key, sub in command.commands.items():
            yield from leaves(sub, f"{name} {key}")
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield name, command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_first_prints_that_it_starts(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = importlib.import_module(f"fercache.cli.{name.replace('-', '_')}").command
    heard: list[str] = []
    for _, command in leaves(plain, name):
        monkeypatch.setattr(command, "callback", lambda: heard.append(capsys.readouterr().err))
    named = cli.get_command(click.Context(cli), name)
    assert named is not None
    for words, command in leaves(named, name):
        assert command.callback is not None
        with click.Context(command):
            command.callback()
        assert heard.pop() == f"fercache {words}: starting\n"


def test_help_is_not_announced(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["predict", "--help"])
    assert not capsys.readouterr().err


def test_predict_loads_nothing_that_it_does_not_use() -> None:
    code = "import fercache.predicting.predict, fercache.encoders.bundled as bundled\nbundled.weights.build()\n"
    code += "import importlib.util\nassert importlib.util.find_spec('torch._dynamo').origin  # it can still be loaded"
    loaded = modules_after(code)
    assert "timm" in loaded and "torchvision" in loaded
    assert not loaded & {"torch._dynamo", "sympy", "pandas", "scipy", "sklearn", "matplotlib", "transformers"}


def test_a_benchmark_loads_no_compiler() -> None:
    """It would take 140 MiB, which the benchmark would take for the extraction's."""
    assert "torch._dynamo" not in modules_after("import fercache.bench.extraction")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    from click.testing import CliRunner

    from fercache.cli import cli

    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output
