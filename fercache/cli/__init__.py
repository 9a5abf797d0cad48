"""The command line: one command a file, loaded when it is called, so that `--help` answers at once."""

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
    "train": "Train heads on a feature table.",
    "evaluate": "Score runs on targets they never saw.",
    "compare": "Put all records into tables and a page.",
    "import-predictions": "Put anybody's predictions beside your own.",
    "demo": "All of it on synthetic faces, in three minutes.",
    "run": "An experiment from a TOML file, all stages.",
    "predict": "Name the expression in your own face pictures.",
    "audit": "Copies, swapped labels and doubtful ones in your sets.",
    "datasets": "What is known, where it is, what was found.",
    "list": "Encoders, heads, trunks, tables, runs.",
    "cache": "Care of the cache: verify, repair.",
    "bench": "How fast this machine is: train, extract.",
}


class LazyGroup(click.Group):
    """Imports a command's file when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"fercache.cli.{cmd_name.replace('-', '_')}").command
        return _speaking_first(command, f"fercache {cmd_name}")

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
    help="Use the head, dataset, encoder, trunk or section of this file or folder; repeatable.",
)


def _speaking_first(command: click.Command, name: str) -> click.Command:
    """The same command with `--plugin`; it first says on standard error that it begins, since loading takes seconds."""
    spoken = copy(command)
    if isinstance(spoken, click.Group):
        spoken.commands = {key: _speaking_first(sub, f"{name} {key}") for key, sub in spoken.commands.items()}
        if not spoken.invoke_without_command:
            return spoken
    spoken.params = [*command.params, PLUGIN]

    def callback(*given: Any, plugins: tuple[str, ...] = (), **named: Any) -> Any:
        if click.get_current_context().invoked_subcommand is None:
            click.echo(f"{name}: starting", err=True)
        _use_plugins(plugins)
        return command.callback(*given, **named) if command.callback else None

    spoken.callback = callback
    return spoken


def _use_plugins(files: tuple[str, ...]) -> None:
    from fercache.plugins import use_plugins
    from fercache.settings import load_settings

    load_settings()  # makes those of fercache.toml known
    use_plugins(files, "--plugin")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="fercache")
def cli(debug: bool) -> None:
    """Facial expression recognition on unseen domains, from CLIP features that are computed once.

    Without options, extract, train, evaluate and compare in a row run an example on synthetic faces.
    """


def main() -> None:
    """Runs the command line; turns errors into one message and an exit code."""
    gc.set_threshold(100_000)  # libraries make a million objects that stay: going through them is a fifth of the start
    debug = "--debug" in sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us wants what Ctrl-C wants
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        _end("Interrupted. Finished shards and runs are kept; the same command goes on from there.", 130)
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
        _end("There was not enough memory. What was finished is kept; --debug shows more.", 1)
    except BrokenPipeError:
        os._exit(1)  # whoever read our output has gone; the interpreter would complain once more on exit
    except OSError as error:
        if debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror or error}. What was finished is kept; --debug shows more.", 1)


def _end(message: str, code: int) -> None:
    click.secho(f"fercache: {message}", fg="red" if code != 130 else None, err=True)
    sys.exit(code)
