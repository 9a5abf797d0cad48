"""fercache list"""

import click

from fercache.errors import UsageError

KINDS = ("encoders", "heads", "trunks", "datasets", "report-sections", "tables", "runs")

ENCODERS = """open-clip takes any architecture and tag: --encoder ViT-B-32/openai, or with --weights FILE
timm takes any of timm's, without text: --encoder timm/resnet50, or with --weights FILE"""
TRUNKS = "timm takes any of timm's backbones, on crops: --trunk resnet18, swin_tiny_patch4_window7_224, ..."


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS), required=False)
def command(kind: str | None) -> None:
    """What there is of KIND."""
    if kind is None:
        raise UsageError(f"Say of what: {', '.join(f'fercache list {each}' for each in KINDS)}.")
    {"tables": _tables, "runs": _runs}.get(kind, lambda: _plugins(kind))()


def _plugins(kind: str) -> None:
    from fercache import registry

    of_registry = kind.replace("-", "_")
    for name in registry.names(of_registry):
        origin = registry.origin(of_registry, name)
        click.echo(f"{name:24} from {origin}" if origin else name)
    click.echo({"encoders": ENCODERS, "trunks": TRUNKS}.get(kind, ""), nl=kind in ("encoders", "trunks"))


def _tables() -> None:
    from fercache.settings import load_settings
    from fercache.store.tables import find_tables

    for table in find_tables(load_settings().cache):
        name, encoder = table.identity["dataset"], table.provenance["encoder"]
        asked = f"{table.asked:%Y-%m-%d %H:%M:%S}"
        click.echo(f"{name:24} {encoder:24} {table.rows:8} faces  {asked}  {table.path}")


def _runs() -> None:
    from fercache.settings import load_settings
    from fercache.store.runs import find_runs

    for folder in find_runs(load_settings().cache):
        click.echo(folder.name)
