"""fercache list"""

import click

from fercache.errors import UsageError

PLUGINS = ("encoders", "detectors", "heads", "trunks", "adaptations", "datasets", "report-sections")
KINDS = (*PLUGINS, "experiments", "tables", "runs")

ENCODERS = """open-clip: any architecture and tag, e.g. --encoder ViT-B-32/openai, or with --weights FILE
timm: any timm backbone, without text, e.g. --encoder timm/resnet50, or with --weights FILE"""
TRUNKS = "timm: any timm backbone, on crops, e.g. --trunk resnet18 or swin_tiny_patch4_window7_224"


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS), required=False, metavar="KIND")
def command(kind: str | None) -> None:
    """List available plugins, experiments, tables or runs.

    KIND is encoders, detectors, heads, trunks, adaptations, datasets, report-sections, experiments, tables or runs.
    """
    if kind is None:
        raise UsageError(f"Name a kind: {', '.join(f'fercache list {each}' for each in KINDS)}.")
    {"experiments": experiments, "tables": _tables, "runs": _runs}.get(kind, lambda: _plugins(kind))()


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


def _tables() -> None:
    from fercache.settings import load_settings
    from fercache.store.tables import find_tables

    for table in find_tables(load_settings().cache):
        name, encoder = table.identity["dataset"], table.provenance["encoder"]
        labels = "  (no labels)" if table.unlabelled else ""
        asked = f"{table.asked:%Y-%m-%d %H:%M:%S}"
        click.echo(f"{name:24} {encoder:24} {table.rows:8} faces  {asked}  {table.path}{labels}")


def _runs() -> None:
    from fercache.settings import load_settings
    from fercache.store.runs import find_runs

    for folder in find_runs(load_settings().cache):
        click.echo(folder.name)
