"""fercache extract"""

import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from fercache.cli.options import next_command, takes
from fercache.errors import UsageError
from fercache.options.extract import ExtractRequest

if TYPE_CHECKING:
    from fercache.settings import Settings
    from fercache.store.tables import TableInfo


@click.command("extract")
@click.argument("folders", nargs=-1, metavar="")
@takes(ExtractRequest)
def command(request: ExtractRequest, folders: tuple[str, ...]) -> None:
    """Encode a dataset's faces, and the prompts, into HDF5 tables in the cache.

    Finished shards survive an interrupt; the same command continues from there.
    """
    if folders:
        known = shlex.join(["fercache", "extract", "--dataset", "folder:NAME", "--root", *folders[:1]])
        raise UsageError(
            f"{folders[0]}: name the dataset. For class folders: {known}; for images without labels, add --unlabelled; "
            "see also `fercache datasets`."
        )
    from fercache.datasets import every_set
    from fercache.settings import load_settings
    from fercache.stages.extract import extract
    from fercache.store.tables import read_info

    settings = load_settings()
    dataset = request.dataset if "dataset" in request.model_fields_set else "synthetic"
    for name in every_set((dataset,)):
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        table = read_info(extract(settings, request.but(dataset=name)))
        _print_table(settings, request, table, begun=begun)
    kept = {"encoder": table.provenance["encoder"] if request.encoder.name != "bundled" else None}
    if request.unlabelled:
        verb = "suggest" if _head_for(settings, request, table)["head"] is None else "audit"  # by text, without a run
        click.echo(f"{next_command(verb, **kept)} {dataset}")
    elif "+" in dataset:
        click.echo(next_command("evaluate", target=dataset, **kept))
    else:
        source = name if dataset != "synthetic" else "synthetic:studio"
        click.echo(next_command("train", source=source, **_head_for(settings, request, table), **kept))


def _print_table(settings: "Settings", request: ExtractRequest, table: "TableInfo", begun: str) -> None:
    from fercache.store.crops import find_crops

    done = table.provenance
    rate = f", {done['encoded'] / done['seconds']:.0f} faces/s on {done['device']}" if done["encoded"] else ""
    work = f"{done['encoded']} encoded, {done['copied']} copied{rate}"
    if done["date"] < begun:
        work = f"already extracted on {done['date'][:10]}"
    why = "unreadable" if "faces" not in done else "without a face, or unreadable"
    unreadable = f"; {done['quarantined']} {why}, see {table.path.with_suffix('.quarantine.csv')}"
    if request.crops is not None:
        found = find_crops(settings.cache, table)[0]
        click.echo(f"{found.path}: {table.rows} crops of {found.side} pixels")
    click.echo(f"{table.path}: {table.rows} faces ({work}){unreadable if done['quarantined'] else ''}")


def _head_for(settings: "Settings", request: ExtractRequest, table: "TableInfo") -> dict[str, str | None]:
    """The options of `train` that this table needs."""
    from fercache.loading.tables import find_prompts

    knows_text = find_prompts(settings.cache, table, request.prompts) is not None
    own_prompts = request.prompts if request.prompts != "faces" and knows_text else None
    return {"head": None if knows_text else "sigmoid-mask", "prompts": own_prompts}
