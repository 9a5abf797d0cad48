"""fercache audit"""

from typing import TYPE_CHECKING

import click

from fercache.cli.options import takes
from fercache.options.audit import AuditRequest

if TYPE_CHECKING:
    from fercache.stages.audit import Audit


@click.command("audit")
@takes(AuditRequest)
def command(request: AuditRequest) -> None:
    """Check extracted SETS: copies within and between them, swapped labels, doubtful labels."""
    from fercache.datasets import every_set
    from fercache.settings import load_settings
    from fercache.stages.audit import audit

    found = audit(load_settings(), request.but(sets=every_set(request.sets)))
    _say_copies(found)
    _say_verdicts(found)
    _say_labels(found)
    click.echo(f"lists: {found.folder}/duplicates.csv, leaks.csv, suspects-*.csv")
    if found.sheet:
        click.echo(f"closest pairs: {found.sheet}")


def _say_copies(found: "Audit") -> None:
    # Of two places the larger one holds the smaller one's pictures; the list has the other direction as well.
    leaks = [leak for leak in found.leaks if leak.images <= leak.images_of_other]
    where = [f"{leak.place} in {'itself' if leak.place == leak.other else leak.other}" for leak in leaks]
    width = max(map(len, where), default=0)
    columns = f"{'images':>8}{'identical':>11}{'nearly':>8}{'share':>8}{'another label':>15}" if leaks else ""
    click.echo(click.style(f"{'copies':{width + 2}}", bold=True) + columns)
    for place, leak in zip(where, leaks, strict=True):
        share = f"{(leak.identical + leak.near) / leak.images:.1%}"
        counts = f"{leak.images:8,}{leak.identical:11,}{leak.near:8,}{share:>8}{leak.conflicting:15,}"
        click.secho(f"  {place:{width}}{counts}", fg=None if leak.place == leak.other else "red")
    if not leaks:
        click.secho("  none", fg="green")
    for (one, other), limit in found.calibrations.items():
        between = f"within {one}" if one == other else f"between {one} and {other}"
        if limit.threshold == 1:
            click.echo(f"  {between}: too few faces, or too alike, to tell near copies; only identical ones looked for")
            continue
        kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in limit.found.items()) or "nobody knows"
        click.echo(
            f"  {between}: nearly is a cosine from {limit.threshold:.2f} on, which {limit.rate:.0e} of other pairs "
            f"reach; at most {limit.expected_by_chance:.1f} pairs are chance"
        )
        click.echo(f"    of copies made on purpose it finds: {kinds}")


def _say_verdicts(found: "Audit") -> None:
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
            click.echo(f"  {one} and {other}: too unlike to tell (one assignment in {verdict.sure:.0%} of resamples)")
    if not found.verdicts:
        click.echo("  name a second set to compare with")


def _say_labels(found: "Audit") -> None:
    click.secho("raters and suspects", bold=True)
    for name, ceiling in found.ceilings.items():
        click.echo(
            f"  {name}: one rater predicts the majority of the others in {ceiling.accuracy:.1%}, "
            f"mean class recall {ceiling.uar:.1%}"
        )
    for name, twice in found.rerated.items():
        click.echo(
            f"  {name}: of {twice.pairs:,} pairs of identical pictures {twice.other_votes:,} have different votes; "
            f"of {twice.labelled:,} with two majorities {twice.other_label:,} have two labels"
        )
    for name, count in found.suspects.items():
        click.echo(f"  {name}: {count:,} labels that a model of the other faces contradicts")
