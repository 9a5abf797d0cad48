"""fercache datasets"""

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from fercache.cli.options import echo_folded, terminal_width

if TYPE_CHECKING:
    from fercache.datasets import Finding
    from fercache.stages.check import Checked

INDENT = 13
"""Columns of the table of counts for the splits."""


@click.group("datasets", invoke_without_command=True)
@click.option("--csv", "as_csv", is_flag=True, help="Print the counts as CSV.")
@click.option("--markdown", is_flag=True, help="Print docs/datasets.md: the description of every known dataset.")
@click.pass_context
def command(ctx: click.Context, as_csv: bool, markdown: bool) -> None:
    """List known datasets and check your files.

    Shows the root of every dataset, and its image counts compared with the expected ones.
    """
    if ctx.invoked_subcommand:
        return
    from fercache.settings import load_settings
    from fercache.stages.check import check_all
    from fercache.stages.document import datasets_document

    if markdown:
        click.echo(datasets_document(), nl=False)
    elif as_csv:
        _write_csv(list(check_all(load_settings())))
    else:
        for checked in check_all(load_settings()):
            _print(checked)
        click.echo('Set roots under [datasets] in fercache.toml, e.g. rafdb = "/data/RAF-DB".')
        click.echo("next: fercache datasets show NAME")


@command.command("show")
@click.argument("name")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the dataset, to count its images.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the counts as CSV.")
def show_command(name: str, root: Path | None, as_csv: bool) -> None:
    """Describe the dataset NAME.

    Shows where to get it, its expected layout, and which images are missing.
    """
    from fercache import registry
    from fercache.datasets import DatasetName
    from fercache.settings import load_settings
    from fercache.stages.check import check_one
    from fercache.stages.document import about, totals

    found = check_one(load_settings(), name, root)
    if as_csv:
        _write_csv(found)
        return
    dataset = registry.load("datasets", DatasetName.parse(name).family)
    click.secho(name, bold=True)
    _print_paragraph("", about(dataset))
    _print_paragraph("", " ".join((type(dataset).__doc__ or "").split()))
    facts = {
        "images": ", ".join(f"{split or 'all'} {total:,}" for split, total in totals(dataset).items()),
        "scored": dataset.target_split or "all faces",
        "labels": ", ".join(dataset.expressions),
        "domains": ", ".join(dataset.domains or ()),
        "layout": dataset.layout,
        "licence": dataset.licence,
        "homepage": dataset.homepage,
        "cite": dataset.citation,
    }
    for fact, text in facts.items():
        if text:
            _print_paragraph(fact, text)
    for checked in found:
        _print(checked)


def _print_paragraph(fact: str, text: str) -> None:
    begin = f"{fact + ':' if fact else '':10}"
    lines = wrap(begin + text, terminal_width(), subsequent_indent=" " * 10, break_on_hyphens=False)
    click.echo("\n".join(lines) if " " in text else begin + text)  # keep an address in one piece


def _print(checked: "Checked") -> None:
    where = checked.root or ("" if checked.findings else "no root yet")
    click.echo(f"{click.style(checked.name, bold=True)}  {where}  {_verdict(checked.findings)}".rstrip())
    if checked.problem:
        echo_folded(f"  {checked.problem}", fg="red")
    for split, findings in groupby(checked.findings, key=lambda finding: finding.split):
        for line in _lines(split, list(findings)):
            click.echo(line)


def _verdict(findings: Sequence["Finding"]) -> str:
    known = [finding for finding in findings if finding.expected is not None]
    other = sum(not finding.agrees for finding in known)
    if not known:
        return ""
    return click.style(f"{other} counts differ" if other else "all as expected", fg="red" if other else "green")


def _lines(split: str, findings: Sequence["Finding"]) -> Iterator[str]:
    """The counts of a split, or of each of its label files, in lines as wide as the terminal."""
    for file, of_file in groupby(findings, key=lambda finding: finding.label.rpartition(":")[0]):
        first, *others = map(_count, of_file)
        line = f"  {split or 'all'}".ljust(INDENT) + f"{f'{file}: ' if file else ''}{first}"
        for count in others:
            longer = f"{line}  {count}"
            if len(click.unstyle(longer)) > terminal_width():
                yield line
                longer = " " * INDENT + count
            line = longer
        yield line


def _count(finding: "Finding") -> str:
    name = finding.label.rpartition(":")[2].strip()
    shown = finding.expected is not None and not (name and finding.agrees)
    expected = f" of {finding.expected:,}" if shown else ""
    colour = None if finding.expected is None else "green" if finding.agrees else "red"
    return (f"{name} " if name else "") + click.style(f"{finding.found:,}{expected}", fg=colour)


def _write_csv(found: Sequence["Checked"]) -> None:
    import csv

    from fercache.stages.check import rows

    names = ("dataset", "root", "split", "label", "expected", "found", "agrees", "problem")
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(found))
