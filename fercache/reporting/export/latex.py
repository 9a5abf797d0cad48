"""Tables for a paper as LaTeX."""

from collections.abc import Iterable, Sequence

from fercache.reporting.export.paper_tables import Entry, PaperTable

_LATEX = str.maketrans(
    {
        **{character: "\\" + character for character in "{}$&#%_"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "[": "{[}",  # after a line's end it would be an argument, as a star would
        "*": "{*}",
        '"': "''",
        "`": r"\textasciigrave{}",
        "±": r"$\pm$",
        "†": r"$^\dagger$",
        "‡": r"$^\ddagger$",
        "§": r"$^\S$",
        "–": "--",
    }
)


def latex_text(text: str) -> str:
    """Plain text with everything escaped that LaTeX would read as a command or print as something else."""
    return " ".join(text.split()).translate(_LATEX)


def latex(tables: Sequence[PaperTable]) -> str:
    """The tables as LaTeX, each a float over both columns: the content of `table.tex`, for `\\input`."""
    texts = ["% Needs \\usepackage{booktabs}.", *("\n".join(_latex_table(table)) for table in tables)]
    return "\n\n".join(texts) + "\n"


def _latex_table(table: PaperTable) -> Iterable[str]:
    gap = r"@{\hspace{1em}}"
    width = 2 + sum(len(columns.names) for columns in table.columns) + table.compares
    groups = [gap + "l" * len(columns.names) for columns in table.columns]
    yield "\\begin{table*}[t]\n\\centering\\footnotesize\n\\setlength{\\tabcolsep}{3pt}"
    yield f"\\caption{{{latex_text(table.caption)}}}\n\\label{{{table.label}}}"
    yield f"\\begin{{tabular}}{{@{{}}ll{''.join(groups)}{(gap + 'l') * table.compares}@{{}}}}\n\\toprule"
    yield from _latex_heading(table)
    for i, block in enumerate(table.blocks):
        yield "\\midrule" if i < 2 else "\\addlinespace"
        if block.title:
            yield f"\\multicolumn{{{width}}}{{@{{}}l}}{{\\emph{{Published: {latex_text(block.title)}}}}} \\\\"
        for line in block.lines:
            cells = [latex_text(line.method), latex_text(line.trunk), *map(_latex_entry, line.entries)]
            yield " & ".join(cells + [line.protocol] * table.compares) + r" \\"
    yield "\\bottomrule\n\\end{tabular}\n\\par\\smallskip"
    yield f"\\parbox{{\\textwidth}}{{\\raggedright\\scriptsize {latex_text(' '.join(table.notes))}}}\n\\end{{table*}}"


def _latex_heading(table: PaperTable) -> Iterable[str]:
    top, rules, names, start = ["", ""], [], ["Method", "Trunk"], 3
    for columns in table.columns:
        end = start + len(columns.names)
        top.append(f"\\multicolumn{{{end - start}}}{{c}}{{{columns.title}}}")
        rules.append(f"\\cmidrule(lr){{{start}-{end - 1}}}")
        names += map(latex_text, columns.names)
        start = end
    yield " & ".join(top + [""] * table.compares) + r" \\"
    yield " ".join(rules)
    yield " & ".join(names + ["Protocol"] * table.compares) + r" \\"


def _latex_entry(entry: Entry) -> str:
    text = latex_text(entry.mean)
    marked = {"best": f"\\textbf{{{text}}}", "second": f"\\underline{{{text}}}"}.get(entry.rank, text)
    return f"{marked}\\,{{\\scriptsize$\\pm${entry.deviation}}}" if entry.deviation else marked
