"""fercache list"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from fercache.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from fercache.housekeeping.run_list import ListedRun
    from fercache.housekeeping.table_list import ListedTable

PLUGINS = ("encoders", "detectors", "heads", "trunks", "adaptations", "datasets", "report-sections")
KINDS = (*PLUGINS, "experiments", "tables", "runs")
USUAL_TRUNKS = ("mlp", "none")
"""Trunks that a list does not name, unless a head has several."""

ENCODERS = """bundled: also bundled-general, trained without labels of photographs, and earlier versions, as bundled@2
open-clip: any architecture and tag, e.g. --encoder ViT-B-32/openai, or with --weights FILE
timm: any timm backbone, without text, e.g. --encoder timm/resnet50, or with --weights FILE"""
TRUNKS = "timm: any timm backbone, on crops, e.g. --trunk resnet18 or swin_tiny_patch4_window7_224"


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS), required=False, metavar="KIND")
@click.option("--json", "as_json", is_flag=True, help="Print everything known about tables or runs as JSON.")
def command(kind: str | None, as_json: bool) -> None:
    """List available plugins, experiments, tables or runs.

    KIND is encoders, detectors, heads, trunks, adaptations, datasets, report-sections, experiments, tables or runs.
    """
    if kind is None:
        raise UsageError(f"Name a kind: {', '.join(f'fercache list {each}' for each in KINDS)}.")
    if as_json and kind not in ("tables", "runs"):
        raise UsageError(f"--json is for tables and runs: fercache list runs --json. Leave it out for {kind}.")
    if kind == "experiments":
        experiments()
    elif kind in PLUGINS:
        _plugins(kind)
    else:
        {"tables": _tables, "runs": _runs}[kind](as_json)


def _plugins(kind: str) -> None:
    from fercache import registry

    of_registry = kind.replace("-", "_")
    for name in registry.names(of_registry):
        origin = registry.origin(of_registry, name)
        click.echo(f"{name:24} from {origin}" if origin else name)
    click.echo({"encoders": ENCODERS, "trunks": TRUNKS}.get(kind, ""), nl=kind in ("encoders", "trunks"))


def experiments() -> None:
    """Prints the experiments that ship with fercache, and the user's own in the working folder."""
    from fercache.cli.options import terminal_width
    from fercache.experiments.shipped import own_experiments, shipped_experiments

    own = own_experiments()
    for title, there in (("in this folder", own), ("shipped with fercache", shipped_experiments())):
        if there and own:
            click.secho(title, bold=True)
        for name, about in there.items():
            begin = f"{name:22} "
            click.echo(click.wrap_text(begin + about, terminal_width(), subsequent_indent=" " * len(begin)))
    click.echo("next: fercache run NAME --dry-run; your own: fercache init")


def _tables(as_json: bool) -> None:
    from fercache.housekeeping.table_list import listed_tables
    from fercache.settings import load_settings

    cache = load_settings().cache
    tables = listed_tables(cache)
    if as_json:
        _print_json(tables)
        return
    if not tables:
        click.echo(f"There are no tables in {cache}. Run: fercache extract")
    for encoder in dict.fromkeys(table.encoder for table in tables):
        click.echo(f"encoder {encoder}, in {cache / 'features' / encoder}")
        _print_tables([table for table in tables if table.encoder == encoder])
    _print_reasons([(f"{table.dataset} {table.key}", table.state, table.why) for table in tables])


def _print_tables(tables: Sequence["ListedTable"]) -> None:
    from fercache.cli.columns import Column, aligned, size

    columns = [Column("dataset", least=12), Column("key"), Column("faces", right=True), Column("views", right=True)]
    columns += [Column("runs", right=True), Column("size", right=True), Column("requested"), Column("state")]
    rows = [
        (
            table.dataset + (f"@{table.split}" if table.split else ""),
            table.key,
            "" if table.faces is None else f"{table.faces:,}",
            f"{table.views} {table.recipe}" if table.views else "",
            str(len(table.runs) or ""),
            size(table.bytes),
            _day(table.date),
            table.state + ("" if table.labels else ", no labels"),
        )
        for table in tables
    ]
    for line in aligned(columns, rows):
        click.echo(line)


def _runs(as_json: bool) -> None:
    from fercache.housekeeping.run_list import listed_runs
    from fercache.settings import load_settings

    cache = load_settings().cache
    runs = listed_runs(cache)
    if as_json:
        _print_json(runs)
        return
    if not runs:
        click.echo(f"There are no runs in {cache}. Run: fercache train")
    for place, (encoder, source) in enumerate(dict.fromkeys((run.encoder, run.source) for run in runs)):
        click.echo("\n" * bool(place) + f"trained on {source or 'unknown'}, encoder {encoder or 'unknown'}")
        _print_runs([run for run in runs if (run.encoder, run.source) == (encoder, source)])
    if any(run.score for run in runs):
        click.echo("\naccuracy: mean over unseen targets, in percent, and their number.")
    _print_reasons([(run.name, run.state, run.why) for run in runs])


def _print_runs(runs: Sequence["ListedRun"]) -> None:
    from fercache.cli.columns import Column, aligned, size
    from fercache.loading.run_summaries import written

    columns = [Column("run"), Column("trunk", least=6), Column("differs in", least=8), Column("accuracy", right=True)]
    columns += [Column("size", right=True), Column("date"), Column("state")]
    trunks = {head: {run.trunk for run in runs if run.head == head} for head in {run.head for run in runs}}
    rows = [
        (
            run.name,
            run.trunk if len(trunks[run.head]) > 1 or run.trunk not in USUAL_TRUNKS else "",
            written(run.differs),
            f"{100 * run.score.accuracy:.1f} ({len(run.score.targets)})" if run.score else "",
            size(run.bytes),
            _day(run.date),
            run.state,
        )
        for run in runs
    ]
    for line in aligned(columns, rows):
        click.echo(line)


def _print_reasons(found: Sequence[tuple[str, str, str]]) -> None:
    """The reasons of states, each once, with the first name that it holds for."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, state, why in found:
        if why and state != "imported":
            reasons.setdefault((state, why), []).append(name)
    for (state, why), names in reasons.items():
        click.echo(f"{state}: {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {why}")


def _day(date: "datetime") -> str:
    return f"{date:%Y-%m-%d}" if date.year > 1 else ""


def _print_json(found: Sequence[Any]) -> None:
    """A list of objects; dates are ISO 8601, scores fractions."""
    from dataclasses import asdict

    click.echo(json.dumps([asdict(each) for each in found], indent=1, ensure_ascii=False, default=_text))


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
