"""fercache datasets"""

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fercache.datasets import Finding
    from fercache.stages.check import Checked


@click.group("datasets", invoke_without_command=True)
@click.option("--csv", "as_csv", is_flag=True, help="The check as CSV.")
@click.option("--markdown", is_flag=True, help="All that is known of every set, as docs/datasets.md.")
@click.pass_context
def command(ctx: click.Context, as_csv: bool, markdown: bool) -> None:
    """Every known set, where it lies, and what is found there against what is expected."""
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
            _say(checked)
        click.echo('roots: [datasets] in fercache.toml, e.g. rafdb = "/data/RAF-DB"; more: fercache datasets show NAME')


@command.command("show")
@click.argument("name")
@click.option("--root", type=click.Path(path_type=Path), help="Where it lies; counts what is found there.")
@click.option("--csv", "as_csv", is_flag=True, help="The check as CSV.")
def show_command(name: str, root: Path | None, as_csv: bool) -> None:
    """What a set is, where to ask for it, the layout expected, and what is missing."""
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
    _say_paragraph("", about(dataset))
    _say_paragraph("", " ".join((type(dataset).__doc__ or "").split()))
    facts = {
        "images": ", ".join(f"{split or 'in all'} {total:,}" for split, total in totals(dataset).items()),
        "scored": dataset.target_split or "all faces",
        "labels": ", ".join(dataset.expressions),
        "domains": ", ".join(dataset.domains or ()),
        "layout": dataset.layout,
        "licence": dataset.licence,
        "ask at": dataset.homepage,
        "cite": dataset.citation,
    }
    for fact, told in facts.items():
        if told:
            _say_paragraph(fact, told)
    for checked in found:
        _say(checked)


def _say_paragraph(fact: str, told: str) -> None:
    begin = f"{fact + ':' if fact else '':9}"
    wrapped = click.wrap_text(told, 110, begin, " " * 9)
    click.echo(wrapped if " " in told else begin + told)  # an address must stay in one piece


def _say(checked: "Checked") -> None:
    where = checked.root or ("" if checked.findings else "no root yet")
    click.echo(f"{click.style(checked.name, bold=True)}  {where}  {_verdict(checked.findings)}".rstrip())
    if checked.problem:
        click.secho(f"  {checked.problem}", fg="red")
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
    """A line per split, and one per label file where there are several."""
    for file, of_file in groupby(findings, key=lambda finding: finding.label.rpartition(":")[0]):
        told = "  ".join(_count(finding) for finding in of_file)
        yield f"  {split or 'all':10} {f'{file}: ' if file else ''}{told}"


def _count(finding: "Finding") -> str:
    name = finding.label.rpartition(":")[2].strip()
    told = finding.expected is not None and not (name and finding.agrees)
    expected = f" of {finding.expected:,}" if told else ""
    colour = None if finding.expected is None else "green" if finding.agrees else "red"
    return (f"{name} " if name else "") + click.style(f"{finding.found:,}{expected}", fg=colour)


def _write_csv(found: Sequence["Checked"]) -> None:
    import csv

    from fercache.stages.check import rows

    names = ("set", "root", "split", "label", "expected", "found", "agrees", "problem")
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(found))
