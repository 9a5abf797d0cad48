"""Errors on the page, and the files beside it that hold every error of a target, for the page's script."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from fercache.reporting.export.figure_files import figure_names
from fercache.reporting.report import Report
from fercache.reporting.sections._confident_errors import ConfidentError, confident_errors
from fercache.reporting.sections._face_images import FaceFiles, face_files, script
from fercache.reporting.sections._face_votes import VotesReader
from fercache.reporting.sections._target_errors import Answered, MethodPair, TargetErrors, report_errors


@dataclass(frozen=True)
class Errors:
    """What a panel shows of the errors on its target; all of them are in the `file` beside the page.

    `methods` have the order of the file's, the leading one first, and `pairs` refer to them; `rival` is the one to
    compare the leading one with at first. `missing` are methods without predictions. `images` says where the page's
    script finds the images of the target.
    """

    file: str
    methods: tuple[str, ...]
    rival: int
    seeds: tuple[int, ...]
    pairs: tuple[MethodPair, ...]
    missing: tuple[str, ...]
    confident: Sequence[ConfidentError]
    images: Mapping[str, Any]

    @property
    def first_pair(self) -> MethodPair | None:
        """The leading method and its rival; None for a single method."""
        return next((pair for pair in self.pairs if (pair.a, pair.b) == (0, self.rival)), None)

    @property
    def pairs_data(self) -> list[list[int | str]]:
        """The fields of the pairs, for the page's script."""
        return [[*astuple(pair)[:-1], p_text(pair.p)] for pair in self.pairs]


def p_text(p: float | None) -> str:
    """`= 0.012`, or `< 0.001`; empty without a test."""
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def shown_errors(report: Report) -> tuple[dict[tuple[str, str, str], Errors], dict[str, str]]:
    """The errors by encoder key, source and target label, and their files by name."""
    if report.cache is None:
        return {}, {}
    listed, faces = report.once(report_errors), report.once(face_files)
    named = figure_names(
        ((report.slugs[each.board.encoder_key, each.board.source], each.label), each) for each in listed
    )
    votes = VotesReader(report.cache)
    found, files = {}, dict(faces.files)
    for name, each in named.items():
        file = f"errors/{name}.js"
        files[file] = error_file(file, each, faces, votes=votes)
        found[each.board.encoder_key, each.board.source, each.label] = errors_of(file, each, faces)
    return found, files


def errors_of(file: str, errors: TargetErrors, faces: FaceFiles) -> Errors:
    """What the page itself shows of errors that are in a file."""
    methods = [each.method for each in errors.methods]
    second = errors.board.leading(row for row in errors.board.headline if row.method in methods[1:])
    return Errors(
        file=file,
        methods=tuple(map(str, methods)),
        rival=methods.index(second.method) if second else 0,
        seeds=tuple(each.seeds[0] for each in errors.methods),
        pairs=errors.pairs,
        missing=errors.missing,
        confident=confident_errors(errors, faces),
        images=faces.described(errors.target),
    )


def error_file(name: str, errors: TargetErrors, faces: FaceFiles, *, votes: VotesReader) -> str:
    """The text of the file `name`: the listed faces, and the answers and probabilities of all methods on them.

    An image is its place in the files of the target's images, -1 without one. Votes are counts for each name.
    """
    ids = [str(id) for id in errors.id]
    places = faces.places(errors.target)
    voted = votes.votes(errors.record, ids)
    data = {
        "target": errors.label,
        "expressions": errors.expressions,
        "most": errors.most,
        "methods": [_method(each) for each in errors.methods],
        "images": faces.described(errors.target),
        "id": ids,
        "truth": errors.truth.tolist(),
        "image": [places.get(id, -1) for id in ids],
        "votes": {"names": voted.names, "counts": voted.counts.tolist()} if voted else None,
    }
    return script(name, data)


def _method(each: Answered) -> Mapping[str, Any]:
    counts = {f"{true} {predicted}": count for (true, predicted), count in each.counts.items()}
    return {
        "name": str(each.method),
        "seeds": each.seeds,
        "faces": counts,
        "answers": each.answer.tolist(),
        "sure": each.sure.tolist(),
        "first": each.first.tolist() if len(each.seeds) > 1 else None,
    }
