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


STUDIO = "synthetic:studio"
"""The only synthetic domain with training faces."""


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
    tables = {}
    for name in every_set((dataset,)):
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        table = tables[name] = read_info(extract(settings, request.but(dataset=name)))
        _print_table(settings, request, table, begun=begun)
    if dataset == "synthetic":
        name, table = STUDIO, tables[STUDIO]
    click.echo(_next(settings, request, table, asked=dataset if "+" in dataset else name))


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


def _next(settings: "Settings", request: ExtractRequest, table: "TableInfo", asked: str) -> str:
    """The line with the next command that works with this table."""
    from fercache.datasets import DatasetName
    from fercache.loading.labelled_faces import expressions_to_train
    from fercache.loading.tables import find_prompts
    from fercache.store.runs import find_runs
    from fercache.store.tables import read_table

    encoder = table.provenance["encoder"] if request.encoder.name != "bundled" else None
    knows_text = find_prompts(settings.cache, table, request.prompts) is not None
    if request.unlabelled:
        return (
            f"{next_command('suggest' if knows_text else 'audit', encoder=encoder)} {asked}"  # by text, without a run
        )
    if "+" in asked:
        return next_command("evaluate", target=asked, encoder=encoder)
    learned = expressions_to_train(read_table(table.path), DatasetName.parse(asked))
    if len(learned) < 2:
        scored = find_runs(settings.cache) and next_command("evaluate", target=asked, encoder=encoder)
        return scored or f"{next_command('audit', encoder=encoder)} {asked}"
    head = None if knows_text and "neutral" in learned else "sigmoid-mask"  # text-similarity learns from neutral faces
    prompts = request.prompts if request.prompts != "faces" and knows_text else None
    return next_command("train", source=asked, head=head, prompts=prompts, encoder=encoder)
