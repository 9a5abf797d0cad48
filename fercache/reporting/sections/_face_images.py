"""Images of faces in files beside the page, and how the page's script reads such files.

A page that was opened as a file may load scripts, but no data: so every file is a script that gives its data a name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fercache.reporting.export.figure_files import figure_names
from fercache.reporting.report import Report
from fercache.reporting.sections._map_faces import report_places
from fercache.reporting.sections._target_errors import report_errors

IN_FILE = 100
"""Images in a file: about 300 KB."""


def script(name: str, data: Any) -> str:
    """The content of the file `name`, beside the page."""
    return f"fercache.give({json.dumps(name)}, {json.dumps(data, separators=(',', ':'))});\n"


@dataclass(frozen=True)
class FaceFiles:
    """The images that the page may show, as data URIs: by target (the dataset's name) and id.

    In the files they have the order of these mappings, IN_FILE in each. `name_of` has what the files of a target begin
    with.
    """

    images: Mapping[str, Mapping[str, str]]
    name_of: Mapping[str, str]

    @property
    def files(self) -> dict[str, str]:
        """The text of all files, by name."""
        found = {}
        for target, images in self.images.items():
            uris = list(images.values())
            for first in range(0, len(uris), IN_FILE):
                name = f"{self.name_of[target]}-{first // IN_FILE}.js"
                found[name] = script(name, uris[first : first + IN_FILE])
        return found

    def described(self, target: str) -> dict[str, Any]:
        """Where the page's script finds the images of a target."""
        return {"files": self.name_of.get(target, ""), "each": IN_FILE}

    def places(self, target: str) -> dict[str, int]:
        """The place of each image of a target in its files."""
        return {id: place for place, id in enumerate(self.images.get(target, ()))}


def face_files(report: Report) -> FaceFiles:
    """The images of all faces that errors and maps list, as far as the request allows them; use `Report.once`."""
    wanted: dict[str, dict[str, None]] = {}
    for errors in report.once(report_errors):
        wanted.setdefault(errors.target, {}).update(dict.fromkeys(map(str, errors.id)))
    for placed in report.once(report_places):
        sampled = placed.sampled
        for domain, target in enumerate(sampled.targets):
            ids = map(str, sampled.id[sampled.domain == domain])
            wanted.setdefault(target, {}).update(dict.fromkeys(ids))
    read = report.request.images
    shown = {target: read(target, list(ids)) if read else {} for target, ids in wanted.items()}
    images = {
        target: {id: found[id] for id in wanted[target] if id in found} for target, found in shown.items() if found
    }
    names = figure_names(((target,), target) for target in images)
    return FaceFiles(images, {target: f"faces/{name}" for name, target in names.items()})
