"""What there is of an experiment's steps, looked up without reading a picture or loading an encoder.

A table counts as out of date when a file of the set's root or of the encoder's weights was written, or put where it is,
after it, which is cheap to see; what a manifest points at outside of its root, and a root at an address, are not
looked at. `extract` itself compares contents: where nothing has changed it encodes nothing, and the table counts as
fresh again. Prompts are compared by what they say.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from fercache import registry
from fercache.datasets import DatasetName, has_spare_validation
from fercache.errors import UsageError
from fercache.experiments.config import head_settings
from fercache.experiments.steps import Compare, Evaluate, Extract, Found, Step, Train
from fercache.images.views import load_recipe
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
from fercache.stages.evaluate import is_scored, records_on, targets_of
from fercache.stages.extract import root_of
from fercache.stages.train import planned_runs
from fercache.store.crops import find_crops
from fercache.store.runs import find_runs, is_finished
from fercache.store.tables import RECIPE, TableInfo, find_tables

Runs: TypeAlias = Mapping[int, Sequence[Path]]
"""The folders of the runs of each training, by the number of its step."""


def take_inventory(settings: Settings, steps: Sequence[Step]) -> tuple[Found, ...]:
    """What there is of each step, in their order."""
    tables = find_tables(settings.cache)
    found: list[Found] = []
    for step in steps:
        runs = {number: there.runs for number, there in enumerate(found)}
        try:
            found.append(_look(settings, steps, step, tables=tables, runs=runs))
        except UsageError as error:  # a file that cannot be read; the other steps can be told about
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
    """The newest of the tables that was extracted by such a request; one with views serves those who ask for none."""
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
    if changed := _changed_since(settings, request, table):
        return Found(1, 1, changed=f"{changed} is newer than {table.path.name}")
    if later := _taken_instead(request, table, tables):
        return Found(1, 1, changed=f"{later.path.name} was extracted later, so that is what `train` takes")
    return Found(1, 1, wrong=_lacks(settings, request, table))


def _nowhere(settings: Settings, request: ExtractRequest) -> str:
    """Why a set that is not extracted cannot be, or not at once, as far as that is known."""
    name = DatasetName.parse(request.dataset)
    try:
        root_of(settings, name, registry.load("datasets", name.family), given=request.root)
        address = registry.encoder_family(request.encoder.name).unfetched(request.encoder)
    except UsageError as error:
        return str(error)
    told = f"the weights of {request.encoder.name} are not on this machine: they will be fetched from {address}"
    return told if address else ""


def _lacks(settings: Settings, request: ExtractRequest, table: TableInfo) -> str:
    """What stands beside a table and is not there."""
    if request.crops and request.crops not in [info.side for info in find_crops(settings.cache, table)]:
        return f"there are no crops of {request.crops} pixels"
    name = DatasetName.parse(request.dataset)
    wants_shifted = request.shifted and has_spare_validation(table.splits, name)
    if wants_shifted and find_shifted(settings.cache, table, name, split="validation") is None:
        return "there are no changed pictures of its validation split"
    try:
        find_prompts(settings.cache, table, request.prompts)
    except UsageError:
        return f"the prompts {request.prompts} are not embedded as they are now"
    return ""


def _taken_instead(request: ExtractRequest, table: TableInfo, tables: Sequence[TableInfo]) -> TableInfo | None:
    """A newer table of the same set and encoder with other features: the newest is what `train` and `evaluate` take."""
    name, encoder = DatasetName.parse(request.dataset), table.provenance["encoder"]
    same = [t for t in tables if holds(t, name) and t.provenance["encoder"] == encoder]
    if same[0].clean_key != table.clean_key:
        return same[0]
    recipe = load_recipe(request.recipe).name
    with_views = [t for t in same if request.views and t.identity.get(RECIPE, {}).get("name") == recipe]
    return with_views[0] if with_views and with_views[0].key != table.key else None


def _changed_since(settings: Settings, request: ExtractRequest, table: TableInfo) -> Path | None:
    """The first file found that the table is made of and that was written after it."""
    name = DatasetName.parse(request.dataset)
    root = settings.root_of(str(name.clean)) if registry.load("datasets", name.family).needs_root else None
    written = table.asked.timestamp() * 1e9
    everything = (path for root in (root, request.encoder.weights) if root is not None for path in _files(root))
    return next((path for path in everything if _time_of(path) > written), None)


def _files(root: Path) -> Iterator[Path]:
    """The root, and all below it; a folder's own time tells of files that were taken away."""
    yield root
    for folder, folders, files in os.walk(root):
        yield from (Path(folder, name) for name in (*folders, *files))


def _time_of(path: Path) -> int:
    """When its content was written, or it was moved or copied there with its old date, whichever was later."""
    try:
        found = path.stat()
    except OSError:  # gone, or a link to nowhere: whoever extracts says so
        return 0
    return max(found.st_mtime_ns, found.st_ctime_ns)


def on_tables(steps: Sequence[Step], step: Train, tables: Sequence[TableInfo]) -> TrainRequest:
    """The step's request, its encoder named as the cache names it: checkpoints of one architecture differ in that.

    Raises UsageError where a set of the source is not extracted.
    """
    requests = [each.request for number in step.needs if isinstance(each := steps[number], Extract)]
    found = {request.dataset: table_of(request, tables) for request in requests}
    names = [table.provenance["encoder"] for table in found.values() if table is not None]
    if len(names) < len(found):
        lacking = ", ".join(name for name, table in found.items() if table is None)
        raise UsageError(f"{lacking}: not extracted as the experiment asks for it")
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
    """How what is wanted differs from the run that is most like it, `prompts: faces -> ke2nt`; None without a run.

    A run is like the one planned where its folder differs in the key alone. Empty: it learned from other faces or
    features.
    """
    beginning = folder.name.rpartition("-")[0] + "-"
    alike = _readable([run for run in find_runs(settings.cache) if run.name.startswith(beginning)])
    changes = [config.changes(wanted.settings, wanted.options, wanted.prompts) for _, config in alike]
    return min(([f"{name}: {text}" for name, text in each.items()] for each in changes), key=len, default=None)


def finished_runs(step: Step, runs: Runs) -> list[Path]:
    """The folders of the runs that a step needs and that are whole."""
    return [folder for number in step.needs for folder in runs.get(number, ()) if is_finished(folder)]


def _scores_found(
    settings: Settings, steps: Sequence[Step], step: Evaluate, tables: Sequence[TableInfo], runs: Runs
) -> Found:
    trains = [each for number in step.needs if isinstance(each := steps[number], Train)]
    wanted = sum(len(train.request.seeds) for train in trains) * len(step.targets)
    request = EvaluateRequest(targets=step.targets, exclude_duplicates=step.exclude_duplicates)
    there, damaged = 0, []
    for folder in finished_runs(step, runs):
        _, config = read_config(folder)
        for target in targets_of(settings, request, config, tables=tables):
            there += is_scored(folder, target, config, request=request)
            damaged += records_on(folder, target, config)[1]
    return Found(wanted, there, wrong=str(damaged[0]) if damaged else "")


def records_of(settings: Settings, steps: Sequence[Step], step: Compare, runs: Runs) -> list[Record]:
    """What the report shows: the experiment's runs on its targets and their splits, by the policies that it names.

    Scores without duplicates are among them only where it asks for them. Runs that cannot be read have none: whoever
    scores them says why.
    """
    tables = find_tables(settings.cache)
    found: list[Record] = []
    for scored in (each for number in step.needs if isinstance(each := steps[number], Evaluate)):
        request = EvaluateRequest(targets=scored.targets)
        for folder, config in _readable(finished_runs(scored, runs)):
            for target in targets_of(settings, request, config, tables=tables):
                found += [
                    record
                    for record in records_on(folder, target, config)[0]
                    if record.selection in step.selection and record.without_duplicates <= scored.exclude_duplicates
                ]
    return found


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
        return Found(1, 1, changed="it says something else of what it is about")
    present = outside_sections()
    if changed := sorted(n for n in {*made.sections, *present} if made.sections.get(n) != present.get(n)):
        return Found(1, 1, changed=f"sections from outside have changed: {', '.join(changed)}")
    records = records_of(settings, steps, step, runs=runs)
    if made.records_key != records_key(records):
        return Found(1, 1, changed="it shows other scores than there are")
    return Found(1, 1)
