"""fercache audit"""

from textwrap import wrap
from typing import TYPE_CHECKING

import click

from fercache.cli.options import echo_folded, takes
from fercache.options.audit import AuditRequest

if TYPE_CHECKING:
    from fercache.stages.audit import Audit


PLACE = 33
"""Columns of the table of copies for places; the counts take the rest of 80."""
COUNTS = f"{'images':>8}{'identical':>11}{'near':>8}{'share':>7}{'other label':>13}"


@click.command("audit")
@takes(AuditRequest)
def command(request: AuditRequest) -> None:
    """Check extracted DATASETS for copies within and between them, swapped label names and doubtful labels."""
    from fercache.datasets import every_set
    from fercache.settings import load_settings
    from fercache.stages.audit import audit

    found = audit(load_settings(), request.but(datasets=every_set(request.datasets)))
    _print_copies(found)
    _print_verdicts(found)
    _print_labels(found)
    echo_folded(f"lists: {found.folder}/duplicates.csv, leaks.csv, searches.csv, suspects-*.csv")
    if found.sheet:
        click.echo(f"closest pairs: {found.sheet}")


def _print_copies(found: "Audit") -> None:
    # One line per pair of places: the smaller one in the larger one. The CSV file has both directions.
    leaks = [leak for leak in found.leaks if leak.images <= leak.images_of_other]
    click.echo(click.style(f"{'copies':{PLACE}}", bold=True) + (COUNTS if leaks else ""))
    for leak in leaks:
        where = f"{leak.place} in {'itself' if leak.place == leak.other else leak.other}"
        *above, last = wrap(where, PLACE - 2, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
        share = f"{(leak.identical + leak.near) / leak.images:.1%}"
        counts = f"{leak.images:8,}{leak.identical:11,}{leak.near:8,}{share:>7}{leak.conflicting:13,}"
        click.secho("\n".join([*above, f"{last:{PLACE}}{counts}"]), fg=None if leak.place == leak.other else "red")
    if not leaks:
        click.secho("  none", fg="green")
    for (one, other), limit in found.calibrations.items():
        between = f"within {one}" if one == other else f"between {one} and {other}"
        if limit.threshold == 1:
            echo_folded(
                f"  {between}: too few or too similar faces to find near copies; searched for identical ones only"
            )
            continue
        kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in limit.found.items()) or "unknown"
        echo_folded(
            f"  {between}: near copies have a cosine of {limit.threshold:.2f} or more, which {limit.rate:.0e} of other "
            f"pairs reach; at most {limit.expected_by_chance:.1f} pairs are chance"
        )
        echo_folded(f"    share of known copies found: {kinds}")
    for search in found.searches:
        if search.sampled:
            between = f"within {search.name}" if search.name == search.other else f"{search.name}, {search.other}"
            echo_folded(
                f"  {between}: searched by an index; {search.sampled:,} faces compared with all others have "
                f"{search.sampled_pairs:,} near or identical copies, of which the index found {search.sampled_found:,}"
            )


def _print_verdicts(found: "Audit") -> None:
    click.secho("label names", bold=True)
    for (one, other), verdict in found.verdicts.items():
        if verdict is None:
            echo_folded(f"  {one} and {other}: too few common expressions to compare")
        elif verdict.permuted:
            swapped = [f"{name} and {its} are swapped" for name, its in verdict.swaps]
            others = [pair for pair in verdict.permuted if not {pair, pair[::-1]} & set(verdict.swaps)]
            pairs = "; ".join([*swapped, *(f"{name} of {other} is {its} of {one}" for name, its in others)])
            sure = f"mean cosine higher by {verdict.margin:.2f}, in {verdict.sure:.0%} of resamples"
            echo_folded(f"  {one} and {other} disagree: {pairs} ({sure})", fg="red")
        elif verdict.agrees:
            echo_folded(f"  {one} and {other} agree", fg="green")
        else:
            echo_folded(
                f"  {one} and {other}: too different to compare (same assignment in {verdict.sure:.0%} of resamples)"
            )
    if not found.verdicts:
        click.echo("  name a second dataset to compare with")


def _print_labels(found: "Audit") -> None:
    click.secho("raters and suspects", bold=True)
    for name, ceiling in found.ceilings.items():
        echo_folded(
            f"  {name}: one rater predicts the majority of the others with accuracy {ceiling.accuracy:.1%}, "
            f"mean class recall {ceiling.mean_class_recall:.1%}"
        )
    for name, twice in found.rerated.items():
        echo_folded(
            f"  {name}: {twice.other_votes:,} of {twice.pairs:,} pairs of identical images have different votes; "
            f"{twice.other_label:,} of the {twice.labelled:,} pairs with labels have two different ones"
        )
    for name, count in found.suspects.items():
        echo_folded(f"  {name}: {count:,} doubtful labels, contradicted by a model of the other faces")
