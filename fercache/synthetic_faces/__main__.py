"""`python -m fercache.synthetic_faces PATH` writes the contact sheet."""

import sys
from pathlib import Path

from fercache.errors import UsageError
from fercache.synthetic_faces import make_contact_sheet


def main(arguments: list[str]) -> int:
    """Write the sheet to the one path given; returns the exit code."""
    try:
        if len(arguments) != 1:
            raise UsageError("Give one path: python -m fercache.synthetic_faces faces.png")
        print(make_contact_sheet(Path(arguments[0])))
    except OSError as error:
        print(f"The contact sheet could not be written to {arguments[0]}: {error.strerror}.", file=sys.stderr)
        return 1
    except UsageError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
