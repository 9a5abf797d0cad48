"""What exists of an experiment's steps, looked up without reading an image or loading an encoder.

A table is out of date when a file of the dataset's root or of the encoder's weights was written or moved there later.
That is cheap to check; files that a manifest lists outside of its root, and remote roots, are not checked. `extract`
itself compares contents: if nothing has changed, it encodes nothing and the table is up to date again. Prompts are
compared by content.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from fercache import registry
from fercache.datasets import DatasetName, has_spare_validation
from fercache.detectors import detector_name
from fercache.errors import UsageError
from fercache.experiments.config import head_settings
from fercache.experiments.states import Found
from fercache.experiments.steps import Compare, Evaluate, Extract, Step, Train
from fercache.extraction.known_faces import LIST
from fercache.images.views import load_recipe
from fercache.layouts.own_lists import is_list
from fercache.loading.earlier_versions import Wanted, why_again
from fercache.loading.run_config import NO_TRUNK, RunConfig, read_config
from fercache.loading.runs import origins_of
from fercache.loading.tables import find_prompts, find_shifted, holds
from fercache.options.evaluate import EvaluateRequest
from fercache.options.extract import EncoderRequest, ExtractRequest
from fercache.options.train import TrainRequest
from fercache.prompts import set_label
from fercache.records import Record
from fercache.reporting.page import made_before, outside_sections, records_key
from fercache.settings import Settings
from fercache.stages.evaluate import records_on, targets_of, unscored
from fercache.stages.extract import root_of
from fercache.stages.train import planned_runs
from fercache.store.crops import find_crops
from fercache.store.runs import find_runs, is_finished
from fercache.store.tables import FACES, RECIPE, TableInfo, find_tables

Runs: TypeAlias = Mapping[int, Sequence[Path]]
"""The run folders of each training, by step number."""


def take_inventory(settings: Settings, steps: Sequence[Step]) -> tuple[Found, ...]:
    """What exists of each step, in order."""
    tables = find_tables(settings.cache)
    found: list[Found] = []
    for step in steps:
        runs = {number: there.runs for number, there in enumerate(found)}
        try:
            found.append(_look(settings, steps, step, tables=tables, runs=runs))
        except UsageError as error:  # an unreadable file; the other steps can still be looked up
            found.append(Found(1, 0, wrong=str(error)))
    return tuple(found)


def _look(settings: Settings, steps: Sequence[Step], step: Step, tables: Sequence[TableInfo], runs: Runs) -> Found:
    match step:
        case Extract():
            return _table_found(settings, step.request, tables)
        case Train():
            return _runs_found(settings, steps, step, tables=tables)
        case Evaluate():
            return _scores_found(settings, steps, step, tables=tables, runs=runs)
        case Compare():
            return _page_found(settings, steps, step, runs=runs)


def table_of(request: ExtractRequest, tables: Sequence[TableInfo]) -> TableInfo | None:
    """The newest table that fits a request; a table with views also serves requests without."""
    name = DatasetName.parse(request.dataset)
    fitting = (table for table in tables if holds(table, name) and _is_by(table, request.encoder))
    if not request.views:
        return next(fitting, None)
    recipe = load_recipe(request.recipe).identity()
    same_views = (t for t in fitting if t.identity.get(RECIPE) == recipe and len(t.views) == request.views + 1)
    return next(same_views, None)


def _is_by(table: TableInfo, wanted: EncoderRequest) -> bool:
    same = EncoderRequest.of(table.provenance["encoder_request"]) == EncoderRequest.of(wanted.stored())
    return same and wanted.precision in ("auto", table.identity["encoder"].get("precision"))


def _table_found(settings: Settings, request: ExtractRequest, tables: Sequence[TableInfo]) -> Found:
    table = table_of(request, tables)
    if table is None:
        return Found(1, 0, wrong=_nowhere(settings, request))
    if other := _other_faces(settings, request, table):
        return Found(1, 1, changed=other)
    if changed := _changed_since(settings, request, table):
        return Found(1, 1, changed=f"{changed} is newer than {table.path.name}")
    if later := _taken_instead(request, table, tables):
        return Found(1, 1, changed=f"{later.path.name} was requested later, so `train` uses it instead")
    return Found(1, 1, wrong=_lacks(settings, request, table))


def _other_faces(settings: Settings, request: ExtractRequest, table: TableInfo) -> str:
    """How a table's faces were found in photographs, if `fercache.toml` says otherwise; empty if not."""
    asked = settings.faces.get(str(DatasetName.parse(request.dataset).clean))
    if asked is None:
        return ""
    wanted = LIST if is_list(asked.detector) else detector_name(asked.detector)
    found = table.identity.get(FACES, {}).get("detector", {}).get("name", "nothing")
    return "" if found == wanted else f"its faces were found by {found}, not by {wanted}"


def _nowhere(settings: Settings, request: ExtractRequest) -> str:
    """Why a dataset cannot be extracted, or what has to be downloaded first; empty if neither is known."""
    name = DatasetName.parse(request.dataset)
    try:
        root_of(settings, name, registry.load("datasets", name.family), given=request.root)
        address = registry.encoder_family(request.encoder.name).unfetched(request.encoder)
    except UsageError as error:
        return str(error)
    return f"the weights of {request.encoder.name} will be downloaded from {address}" if address else ""


def _lacks(settings: Settings, request: ExtractRequest, table: TableInfo) -> str:
    """What is missing beside a table: crops, shifted images or prompts; empty if nothing is."""
    if request.crops and request.crops not in [info.side for info in find_crops(settings.cache, table)]:
        return f"crops of {request.crops} pixels are missing"
    name = DatasetName.parse(request.dataset)
    wants_shifted = request.shifted and has_spare_validation(table.splits, name)
    if wants_shifted and find_shifted(settings.cache, table, name, split="validation") is None:
        return "shifted images of its validation split are missing"
    try:
        find_prompts(settings.cache, table, request.prompts)
    except UsageError:
        return f"the prompts {request.prompts} are not embedded, or have changed since"
    return ""


def _taken_instead(request: ExtractRequest, table: TableInfo, tables: Sequence[TableInfo]) -> TableInfo | None:
    """A newer table of the same dataset and encoder with other features, which `train` and `evaluate` would use."""
    name, encoder = DatasetName.parse(request.dataset), table.provenance["encoder"]
    same = [t for t in tables if holds(t, name) and t.provenance["encoder"] == encoder]
    if same[0].clean_key != table.clean_key:
        return same[0]
    recipe = load_recipe(request.recipe).name
    with_views = [t for t in same if request.views and t.identity.get(RECIPE, {}).get("name") == recipe]
    return with_views[0] if with_views and with_views[0].key != table.key else None


def _changed_since(settings: Settings, request: ExtractRequest, table: TableInfo) -> Path | None:
    """The first file found that the table depends on and that was written after it."""
    name = DatasetName.parse(request.dataset)
    root = settings.root_of(str(name.clean)) if registry.load("datasets", name.family).needs_root else None
    written = table.asked.timestamp() * 1e9
    everything = (path for root in (root, request.encoder.weights) if root is not None for path in _files(root))
    return next((path for path in everything if _time_of(path) > written), None)


def _files(root: Path) -> Iterator[Path]:
    """The root and everything below it; a folder's own time reveals removed files."""
    yield root
    for folder, folders, files in os.walk(root):
        yield from (Path(folder, name) for name in (*folders, *files))


def _time_of(path: Path) -> int:
    """When the content was written or the file was moved there with its old date, whichever was later."""
    try:
        found = path.stat()
    except OSError:  # removed, or a broken link, which extraction reports
        return 0
    return max(found.st_mtime_ns, found.st_ctime_ns)


def on_tables(steps: Sequence[Step], step: Train, tables: Sequence[TableInfo]) -> TrainRequest:
    """The step's request with the cache's name of the encoder, which differs between checkpoints of an architecture.

    Raises UsageError if a dataset of the source is not extracted.
    """
    requests = [each.request for number in step.needs if isinstance(each := steps[number], Extract)]
    found = {request.dataset: table_of(request, tables) for request in requests}
    names = [table.provenance["encoder"] for table in found.values() if table is not None]
    if len(names) < len(found):
        lacking = ", ".join(name for name, table in found.items() if table is None)
        raise UsageError(f"{lacking}: not extracted with the experiment's options")
    return step.request.but(encoder=names[0])


def _runs_found(settings: Settings, steps: Sequence[Step], step: Train, tables: Sequence[TableInfo]) -> Found:
    seeds = len(step.request.seeds)
    try:
        folders = planned_runs(settings, on_tables(steps, step, tables))
    except UsageError as error:
        return Found(seeds, 0, wrong=str(error))
    lacking = [folder for folder in folders if not is_finished(folder)]
    wanted = _wanted(step)
    changes = [change for folder in lacking if (change := _nearest_change(settings, wanted, folder)) is not None]
    same = sum(not change for change in changes)
    changed = f"the source has changed since {same} of its {seeds} runs" if same else ""
    other = next((f"not trained with {'; '.join(change)}" for change in changes if change), "")
    again = why_again(settings.cache, lacking, wanted)
    changed = f"an earlier version trained {_some(lacking)} under other keys: {again}" if again else changed
    return Found(seeds, seeds - len(lacking), changed, wrong=other, runs=tuple(folders))


def _some(folders: Sequence[Path]) -> str:
    return "its run" if len(folders) == 1 else f"its {len(folders)} runs"


def _wanted(step: Train) -> Wanted:
    (head,), request = step.request.heads, step.request
    chosen = head_settings(head, request.set, step.title)
    origins = origins_of(head, getattr(chosen, "trunk", NO_TRUNK))
    return Wanted(chosen.model_dump(mode="json"), request, set_label(request.prompts), origins)


def _nearest_change(settings: Settings, wanted: Wanted, folder: Path) -> list[str] | None:
    """How the wanted run differs from the most similar one, `prompts: faces -> ke2nt`; None without a similar run.

    A similar run's folder name differs in the key alone. Empty: it was trained on other faces or features.
    """
    beginning = folder.name.rpartition("-")[0] + "-"
    alike = _readable([run for run in find_runs(settings.cache) if run.name.startswith(beginning)])
    changes = [config.changes(wanted.settings, wanted.options, wanted.prompts) for _, config in alike]
    return min(([f"{name}: {text}" for name, text in each.items()] for each in changes), key=len, default=None)


def finished_runs(step: Step, runs: Runs) -> list[Path]:
    """The folders of the finished runs that a step needs."""
    return [folder for number in step.needs for folder in runs.get(number, ()) if is_finished(folder)]


def _scores_found(
    settings: Settings, steps: Sequence[Step], step: Evaluate, tables: Sequence[TableInfo], runs: Runs
) -> Found:
    trains = [each for number in step.needs if isinstance(each := steps[number], Train)]
    wanted = sum(len(train.request.seeds) for train in trains) * len(step.targets)
    request = EvaluateRequest(targets=step.targets, exclude_duplicates=step.exclude_duplicates, adapt=step.adapt)
    there, damaged = 0, []
    for folder in finished_runs(step, runs):
        _, config = read_config(folder)
        for target in targets_of(settings, request, config, tables=tables):
            there += not unscored(folder, target, config, request=request)
            damaged += records_on(folder, target, config)[1]
    return Found(wanted, there, wrong=str(damaged[0]) if damaged else "")


def records_of(settings: Settings, steps: Sequence[Step], step: Compare, runs: Runs) -> list[Record]:
    """The report's records: the experiment's runs on its targets and splits, by its selection policies.

    Includes scores without duplicates, or of adapted runs, only if the experiment asks for them. Leaves out unreadable
    runs; scoring them reports why.
    """
    tables = find_tables(settings.cache)
    found: list[Record] = []
    for scored in (each for number in step.needs if isinstance(each := steps[number], Evaluate)):
        request = EvaluateRequest(targets=scored.targets)
        for folder, config in _readable(finished_runs(scored, runs)):
            for target in targets_of(settings, request, config, tables=tables):
                there = records_on(folder, target, config)[0]
                found += [each for each in there if each.selection in step.selection and _is_asked(each, scored)]
    return found


def _is_asked(record: Record, step: Evaluate) -> bool:
    adapted = record.adaptation is None or record.adaptation.name in step.adapt
    return adapted and record.without_duplicates <= step.exclude_duplicates


def _readable(folders: Sequence[Path]) -> Iterator[tuple[Path, RunConfig]]:
    for folder in folders:
        with suppress(UsageError):
            yield folder, read_config(folder)[1]


def _page_found(settings: Settings, steps: Sequence[Step], step: Compare, runs: Runs) -> Found:
    folder = settings.report(step.name)
    made = made_before(folder)
    if made is None:
        return Found(1, 0)
    if made.baseline != step.baseline:
        return Found(1, 1, changed=f"it compares with {made.baseline or 'no baseline'}")
    if made.about != step.about:
        return Found(1, 1, changed="its `about` text is another")
    if made.published != step.published:
        return Found(1, 1, changed="it lists other published tables")
    present = outside_sections()
    if changed := sorted(n for n in {*made.sections, *present} if made.sections.get(n) != present.get(n)):
        return Found(1, 1, changed=f"plugin sections have changed: {', '.join(changed)}")
    records = records_of(settings, steps, step, runs=runs)
    if made.records_key != records_key(records):
        return Found(1, 1, changed="its scores are out of date")
    return Found(1, 1)
