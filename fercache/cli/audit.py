"""fercache audit"""

from typing import TYPE_CHECKING

import click

from fercache.cli.options import device_option

if TYPE_CHECKING:
    from fercache.stages.audit import Leak


@click.command("audit")
@click.argument("sets", nargs=-1, required=True)
@click.option("--encoder", help="Whose features; default: the bundled one's, else the only ones there are.")
@click.option("--name", default="audit", show_default=True, help="The folder in reports/.")
@device_option
def command(sets: tuple[str, ...], encoder: str | None, name: str, device: str) -> None:
    """Look for trouble in extracted SETS: copies within and between them, swapped labels, labels nobody believes."""
    from fercache.settings import load_settings
    from fercache.stages.audit import AuditRequest, audit

    found = audit(load_settings(), AuditRequest(sets, encoder, name, device))
    click.secho("copies", bold=True)
    for leak in found.leaks:
        if leak.images <= leak.images_of_other:  # the other direction is in the list
            _say_leak(leak)
    if not found.leaks:
        click.secho("  none", fg="green")
    for (one, other), limit in found.calibrations.items():
        where = f"within {one}" if one == other else f"between {one} and {other}"
        if limit.threshold == 1:
            click.echo(f"  {where}: too few faces, or too alike, to tell near copies; only identical ones looked for")
            continue
        kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in limit.found.items()) or "unknown"
        click.echo(
            f"  {where}: copies from cosine {limit.threshold:.2f} on, which {limit.rate:.0e} of other pairs reach (at "
            f"most {limit.expected_by_chance:.1f} pairs are chance); found of copies made on purpose: {kinds}"
        )
    click.secho("label names", bold=True)
    for (one, other), verdict in found.verdicts.items():
        if verdict is None:
            click.echo(f"  {one} and {other} share too few expressions to compare")
        elif verdict.permuted:
            swapped = [f"{name} and {its} are swapped" for name, its in verdict.swaps]
            others = [pair for pair in verdict.permuted if not {pair, pair[::-1]} & set(verdict.swaps)]
            told = "; ".join([*swapped, *(f"what {other} calls {name} is {its} in {one}" for name, its in others)])
            sure = f"mean cosine better by {verdict.margin:.2f}, in {verdict.sure:.0%} of resamples"
            click.secho(f"  {one} and {other} disagree: {told} ({sure})", fg="red")
        elif verdict.agrees:
            click.secho(f"  {one} and {other} agree", fg="green")
        else:
            click.secho(f"  {one} and {other}: too unlike to tell (one assignment in {verdict.sure:.0%} of resamples)")
    if not found.verdicts:
        click.echo("  name a second set to compare with")
    click.secho("raters and suspects", bold=True)
    for name, ceiling in found.ceilings.items():
        click.echo(
            f"  {name}: one rater predicts the majority of the others in {ceiling.accuracy:.1%}, "
            f"mean class recall {ceiling.uar:.1%}"
        )
    for name, twice in found.rerated.items():
        click.echo(
            f"  {name}: {twice.pairs:,} pairs of identical pictures with votes, {twice.other_votes:,} with different "
            f"ones; of {twice.labelled:,} with two majorities {twice.other_label:,} have two labels"
        )
    for name, count in found.suspects.items():
        click.echo(f"  {name}: {count:,} labels that a model of the other faces contradicts")
    click.echo(f"lists: {found.folder}/duplicates.csv, leaks.csv, suspects-*.csv")
    if found.sheet:
        click.echo(f"closest pairs: {found.sheet}")


def _say_leak(leak: "Leak") -> None:
    within = leak.place == leak.other
    where = "again in" if within else "in"
    conflicting = f"; {leak.conflicting:,} have another label there" if leak.conflicting else ""
    told = (
        f"  {leak.place}: {leak.identical:,} of {leak.images:,} images are pixel for pixel {where} {leak.other}, "
        f"{leak.near:,} more nearly ({(leak.identical + leak.near) / leak.images:.1%}){conflicting}"
    )
    click.secho(told, fg=None if within else "red")
