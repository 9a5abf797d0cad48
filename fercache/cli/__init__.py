"""The command line: one file per command, imported when it is called, so that `--help` is fast."""

import gc
import importlib
import os
import signal
import sys
from copy import copy
from typing import Any

import click

from fercache.errors import FercacheError, nearest

COMMANDS = {
    "extract": "Encode face images and prompts, once.",
    "train": "Train heads on cached features.",
    "evaluate": "Score runs on unseen targets.",
    "compare": "Compare scores in tables and on a page.",
    "estimate": "Estimate scores on a target without labels.",
    "import-predictions": "Score the predictions of any model.",
    "demo": "Run a complete example in a few minutes.",
    "init": "Write settings and an experiment for your datasets.",
    "run": "Run an experiment from a TOML file.",
    "predict": "Predict the expression in your own face images.",
    "serve": "Predict over HTTP, with a page to try it.",
    "export": "Write a model as ONNX files, for programs without PyTorch.",
    "audit": "Find copies, swapped labels and doubtful labels.",
    "suggest": "List the faces most worth labelling.",
    "datasets": "List known datasets and check your files.",
    "list": "List encoders, heads, trunks, tables or runs.",
    "cache": "Show, verify, repair, clean and share the cache.",
    "bench": "Measure the speed of this machine.",
}


class LazyGroup(click.Group):
    """Imports a command's file when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"fercache.cli.{cmd_name.replace('-', '_')}").command
        return _prepared(command, f"fercache {cmd_name}")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"There is no command '{args[0]}'. {nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


PLUGIN = click.Option(
    ["--plugin", "plugins"],
    multiple=True,
    metavar="FILE",
    help="File or folder of plugins (heads, datasets, encoders, trunks, adaptations, detectors, report sections); "
    "repeatable.",
)


def _prepared(command: click.Command, name: str) -> click.Command:
    """The same command with `--plugin`, and a line on standard error when it starts, since loading takes seconds."""
    prepared = copy(command)
    if isinstance(prepared, click.Group):
        prepared.commands = {key: _prepared(sub, f"{name} {key}") for key, sub in prepared.commands.items()}
        if not prepared.invoke_without_command:
            return prepared
    prepared.params = [*command.params, PLUGIN]

    def callback(*given: Any, plugins: tuple[str, ...] = (), **named: Any) -> Any:
        if click.get_current_context().invoked_subcommand is None:
            click.echo(f"{name}: starting", err=True)
        _use_plugins(plugins)
        return command.callback(*given, **named) if command.callback else None

    prepared.callback = callback
    return prepared


def _use_plugins(files: tuple[str, ...]) -> None:
    from fercache.plugins import use_plugins
    from fercache.settings import load_settings

    load_settings()  # registers the plugins of fercache.toml
    use_plugins(files, "--plugin")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="fercache")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Facial expression recognition on unseen domains, from CLIP features computed once.

    Run extract, train, evaluate and compare in this order; without options they use synthetic faces.
    """
    ctx.color = _colour()


def _colour() -> bool | None:
    """False if the user wants no colour (no-color.org); None leaves it to click: on terminals only."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def main() -> None:
    """Runs the command line; turns errors into one message and an exit code."""
    gc.set_threshold(100_000)  # libraries create a million lasting objects; collecting them is a fifth of the start
    debug = "--debug" in sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same as Ctrl-C
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        _end("Interrupted. Finished shards and runs are kept; the same command continues from there.", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except FercacheError as error:
        if debug:
            raise
        _end(str(error), error.exit_code)
    except MemoryError:
        if debug:
            raise
        _end("Out of memory. Finished work is kept; `fercache --debug COMMAND ...` shows more.", 1)
    except BrokenPipeError:
        os._exit(1)  # the reader of our output is gone; a normal exit would print another error
    except OSError as error:
        if debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror or error}. Finished work is kept; `fercache --debug COMMAND ...` shows more.", 1)


def _end(message: str, code: int) -> None:
    click.secho(f"fercache: {message}", fg="red" if code != 130 else None, err=True, color=_colour())
    sys.exit(code)
