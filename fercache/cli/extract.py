"""fercache extract"""

import shlex
from pathlib import Path

import click

from fercache.cli.options import encoder_options, next_command
from fercache.errors import UsageError


@click.command("extract")
@click.argument("folders", nargs=-1, metavar="")
@click.option(
    "--dataset",
    default="synthetic",
    show_default=True,
    help="NAME[:DOMAIN][+CORRUPTION[:SEVERITY]]; see `fercache datasets`.",
)
@click.option("--root", type=click.Path(path_type=Path), help="Where the set lies (or write it into fercache.toml).")
@encoder_options
@click.option("--prompts", default="faces", show_default=True, help="faces, ke2nt, or a TOML file of your own.")
@click.option(
    "--views", default=0, show_default=True, type=click.IntRange(0, 64), help="Augmented views beside the clean."
)
@click.option("--recipe", default="cafe", show_default=True, help="How views are made: cafe, ke2nt, or a TOML file.")
@click.option("--crops", type=click.IntRange(16, 512), help="Store crops of this side, for trunks that look at pixels.")
@click.option(
    "--shifted/--no-shifted", default=True, help="Also the validation split in changed pictures, to choose epochs by."
)
@click.option("--batch-size", type=click.IntRange(1, 65536), help="Faces encoded at once. [default: by the device]")
@click.option(
    "--shard-rows", default=2048, show_default=True, type=click.IntRange(1), help="Faces per unit of progress."
)
@click.option("--engine", type=click.Choice(("local", "ray")), default="local", show_default=True)
@click.option("--address", help="Of a Ray cluster; default: the one that this machine belongs to, else a new one.")
def command(
    folders: tuple[str, ...],
    dataset: str,
    root: Path | None,
    encoder: str,
    weights: Path | None,
    preprocessing: str,
    device: str,
    precision: str,
    prompts: str,
    views: int,
    recipe: str,
    crops: int | None,
    shifted: bool,
    batch_size: int | None,
    shard_rows: int,
    engine: str,
    address: str | None,
) -> None:
    """Encode a data set's faces, and the prompts, into HDF5 tables in the cache.

    What an interrupted call finished is kept; the same command goes on from there.
    """
    if folders:
        known = shlex.join(["fercache", "extract", "--dataset", "folder:NAME", "--root", *folders[:1]])
        raise UsageError(
            f"{folders[0]}: say what it is, too: {known} (class folders), or another of `fercache datasets`."
        )
    from datetime import UTC, datetime

    from fercache.datasets import every_set
    from fercache.encoders import EncoderRequest
    from fercache.loading.tables import find_prompts
    from fercache.settings import load_settings
    from fercache.stages.extract import ExtractRequest, extract
    from fercache.store.crops import find_crops
    from fercache.store.tables import read_info

    settings = load_settings()
    wanted = EncoderRequest(encoder, weights, preprocessing, device, precision)
    for name in every_set((dataset,)):
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        request = ExtractRequest(
            name, root, wanted, prompts, views, recipe, crops, shifted, batch_size, shard_rows, engine, address
        )
        path = extract(settings, request)
        table = read_info(path)
        done = table.provenance
        rate = f", {done['encoded'] / done['seconds']:.0f} faces/s on {done['device']}" if done["encoded"] else ""
        work = f"{done['encoded']} encoded, {done['copied']} copied{rate}"
        if done["date"] < begun:
            work = f"as extracted on {done['date'][:10]}"
        left_out = (
            f"; {done['quarantined']} unreadable, see {path.with_suffix('.quarantine.csv')}"
            if done["quarantined"]
            else ""
        )
        if crops is not None:
            found = find_crops(settings.cache, table)[0]
            click.echo(f"{found.path}: {table.rows} crops of {found.side} pixels")
        click.echo(f"{path}: {table.rows} faces ({work}){left_out}")
    kept = {"encoder": table.provenance["encoder"] if encoder != "bundled" else None}
    if "+" in dataset:
        click.echo(next_command("evaluate", target=dataset, **kept))
    else:
        source = name if dataset != "synthetic" else "synthetic:studio"
        knows_text = find_prompts(settings.cache, table, prompts) is not None
        kept |= {"prompts": prompts if prompts != "faces" and knows_text else None}
        click.echo(next_command("train", source=source, head=None if knows_text else "sigmoid-mask", **kept))
