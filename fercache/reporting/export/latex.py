"""Text as LaTeX prints it."""

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
    """Plain text with nothing left in it that LaTeX would take for a command or print as something else."""
    return " ".join(text.split()).translate(_LATEX)
