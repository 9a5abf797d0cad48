"""Experiment files: what they mean, and that every mistake is reported with file, place and nearest name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fercache import UsageError
from fercache.experiments.config import Experiment, Trial, load_experiment, trials, variants
from fercache.images.corruptions import SCORED, SEVERITIES
from fercache.scoring.selection import POLICIES

PIPELINES = Path(__file__).parents[2] / "pipelines"
STUDIO = 'sources = ["synthetic:studio"]'
PLAIN = '[[heads]]\nhead = "sigmoid-mask"\n'


def written(folder: Path, top: str = STUDIO, heads: str = PLAIN) -> Path:
    file = folder / "mine.toml"
    file.write_text(f'name = "mine"\n{top}\n{heads}', encoding="utf-8")
    return file


def refused(folder: Path, top: str = STUDIO, heads: str = PLAIN) -> str:
    file = written(folder, top, heads)
    with pytest.raises(UsageError) as caught:
        load_experiment(file)
    assert str(caught.value).startswith(f"{file}: ")
    return str(caught.value).removeprefix(f"{file}: ")


def loaded(folder: Path, top: str = STUDIO, heads: str = PLAIN) -> Experiment:
    return load_experiment(written(folder, top, heads))


def trials_of(folder: Path, top: str) -> list[Trial]:
    return list(trials(loaded(folder, top)))


def settings_of(folder: Path, heads: str, top: str = STUDIO) -> list[Mapping[str, Any]]:
    return [variant.settings for variant in variants(loaded(folder, top, heads))]


@pytest.mark.parametrize("file", sorted(PIPELINES.glob("*.toml")), ids=lambda file: file.stem)
def test_shipped_experiments_can_be_read_and_are_described(file: Path) -> None:
    experiment = load_experiment(file)
    assert experiment.name == experiment.report_name == file.stem
    assert len(experiment.about) > 40 and "\n" not in experiment.about
    assert trials(experiment) and variants(experiment)
    readme = (PIPELINES / "README.md").read_text(encoding="utf-8")
    assert f"({file.name})" in readme


def test_the_example_in_the_readme_is_one(tmp_path: Path) -> None:
    readme = (PIPELINES / "README.md").read_text(encoding="utf-8")
    file = tmp_path / "example.toml"
    file.write_text(readme.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    experiment = load_experiment(file)
    left_out = set(Experiment.model_fields) - experiment.model_fields_set
    # Either of the two, and keys that would need a file.
    assert left_out <= {"leave_one_out", "weights", "report"}


@pytest.mark.parametrize(
    ("top", "heads", "message"),
    [
        ("sorces = []", PLAIN, "'sorces' is not a key of an experiment. Did you mean 'sources'?"),
        (STUDIO, PLAIN + "seting = {}", "'seting' is not a key of [[heads]] number 1. Did you mean 'settings'?"),
        (STUDIO, PLAIN + "[statistics]\nbase = 'x'", "'base' is not a key of statistics. Did you mean 'baseline'?"),
        (
            STUDIO,
            PLAIN + "settings = { epoch = 1 }",
            "'epoch' is not a setting of sigmoid-mask. Did you mean 'epochs'?",
        ),
        (STUDIO, PLAIN + "grid = { mesk = ['off'] }", "'mesk' is not a setting of sigmoid-mask. Did you mean 'mask'?"),
        (STUDIO, '[[heads]]\nhead = "sigmoid"', "There is no head 'sigmoid'. Did you mean 'sigmoid-mask'?"),
        ('sources = ["synthetic:studo"]', PLAIN, "'synthetic' has no domain 'studo'. Did you mean 'studio'?"),
        ('sources = ["ferpluss"]', PLAIN, "There is no dataset 'ferpluss'. Did you mean 'ferplus'?"),
        (STUDIO + '\nprompts = "face"', PLAIN, "There is no prompt set 'face'. Did you mean 'faces'?"),
        (STUDIO + '\npublished = ["cafe:9"]', PLAIN, "there is no published table 'cafe:9'. Did you mean 'cafe:5'?"),
        (STUDIO + '\nrecipe = "caf"', PLAIN, "'caf' is neither a recipe nor a file"),
        (STUDIO + '\nencoder = "bundeled"', PLAIN, "There is no encoder 'bundeled'. Did you mean 'bundled'?"),
        (STUDIO + '\nvotes = "majorty"', PLAIN, "votes: there is no 'majorty'. Did you mean 'majority'?"),
        (STUDIO + '\nselection = ["lest"]', PLAIN, "selection.0: there is no 'lest'. Did you mean 'last'?"),
        (STUDIO, PLAIN + '[statistics]\nbaseline = "knn"', "statistics.baseline: 'knn' is not a head here"),
    ],
)
def test_an_unknown_name_is_reported_with_the_nearest(tmp_path: Path, top: str, heads: str, message: str) -> None:
    assert message in refused(tmp_path, top, heads)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("grid = { epochs = [] }", "[[heads]] number 1: grid.epochs is empty"),
        ("grid = { epochs = [1, 2, 1] }", "[[heads]] number 1: grid.epochs has a value twice"),
        ("settings = { epochs = 1 }\ngrid = { epochs = [2, 3] }", "epochs is in settings and in the grid"),
        ('trunk = "mlp"\ngrid = { trunk = ["mlp"] }', "trunk is in settings and in the grid"),
        ('trunk = "mlp"\nsettings = { trunk = "mlp" }', "trunk is set twice"),
        ("grid = { epochs = [1, 0] }", "epochs = 0: Input should be greater than or equal to 1"),
        ('grid = { mask = ["off", "of"] }', "mask = 'of': Input should be 'sigmoid', 'linear', 'off'"),
        ("grid = { epochs = 3 }", "[[heads]] number 1, grid.epochs: write a list, [3]"),
        ("grid = { learning_rate = [0.1, nan] }", "learning_rate = nan: Input should be a finite number"),
        ("settings = { learning_rate = inf }", "learning_rate = inf: Input should be a finite number"),
        ('[statistics]\nbaseline = "sigmoid-mask"', "'sigmoid-mask' is the only method here"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(tmp_path: Path, grid: str, message: str) -> None:
    assert message in refused(tmp_path, heads=PLAIN + grid)


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ("", "write either sources or leave_one_out"),
        (STUDIO + '\nleave_one_out = ["sfew", "rafdb"]', "write either sources or leave_one_out"),
        ("sources = []", "sources is empty"),
        (STUDIO + "\ntargets = []", "targets is empty"),
        (STUDIO + "\nseeds = []", "seeds is empty"),
        (STUDIO + '\nseeds = "4-0"', "seeds: write one seed (7), a range (0-4), or a list"),
        (STUDIO + '\nseeds = "many"', "seeds: write one seed (7), a range (0-4), or a list"),
        (STUDIO + '\nselection = ["oracle"]', "only allowed beside others"),
        (STUDIO + '\nselection = ["last", "oracle", "oracle"]', "selection: oracle is listed twice"),
        (STUDIO + "\nseeds = [0, 2, 0]", "seeds: 0 is listed twice"),
        (STUDIO + "\nseeds = [true]", "seeds.0: Input should be a valid integer"),
        (STUDIO + "\nstatistics = 3", "statistics: write a table, [statistics]"),
        ("sources = [[]]", "sources: write the names of datasets"),
        (STUDIO + '\ntargets = ["synthetic:webcam@tset"]', "no split 'tset'. Did you mean 'test'?"),
        (STUDIO + '\nlabels = "fer2013new"', "None of its datasets has several"),
        ('sources = ["ferplus"]\nlabels = "fer2013nw"', "Did you mean 'fer2013new'?"),
        ('sources = [["rafdb", "sfew", "rafdb"]]', "names rafdb more than once"),
        ('sources = [["ferplus", "ferplus@test"]]', "names ferplus more than once"),
        ('leave_one_out = ["rafdb"]', "leave_one_out needs two or more datasets"),
        ('leave_one_out = ["rafdb", "sfew", "rafdb"]', "names rafdb more than once"),
        ('sources = ["ferplus+blur"]', "The source ferplus+blur has several severities: write one"),
        ('sources = ["ferplus"]\ntargets = ["ferplus@train"]', "ferplus trains on the target ferplus@train"),
        ('sources = ["ferplus@test"]\ntargets = ["ferplus"]', "ferplus@test trains on the target ferplus,"),
        ('sources = ["ferplus@test"]', "No target is left for the source ferplus@test"),
        (
            'sources = [["rafdb", "sfew@validation"]]\ntargets = ["sfew+blur:2"]',
            "rafdb & sfew@validation trains on the target",
        ),
        (STUDIO + '\nweights = "nowhere.pt"', "weights = nowhere.pt: no such file"),
        (STUDIO + "\nviews = 2", "views are for heads that train on them"),
        (STUDIO + "\ncrops = 32", "crops are for heads that read pixels"),
        (STUDIO + "\nclasses = 6", "classes: Input should be greater than or equal to 7"),
    ],
)
def test_what_could_not_run_is_refused(tmp_path: Path, top: str, message: str) -> None:
    assert message in refused(tmp_path, top)


def test_views_and_crops_must_be_those_that_are_made(tmp_path: Path) -> None:
    assert "trains on views of the recipe cafe, which are not extracted" in refused(
        tmp_path, heads=PLAIN + 'settings = { recipe = "cafe" }'
    )
    assert "trains on views of the recipe ke2nt" in refused(
        tmp_path, STUDIO + "\nviews = 2", PLAIN + 'settings = { recipe = "ke2nt" }'
    )
    assert "reads pixels: write crops" in refused(tmp_path, heads=PLAIN + 'trunk = "resnet18"')
    assert "crops = 64 differs from the experiment's crops = 32" in refused(
        tmp_path, STUDIO + "\ncrops = 32", PLAIN + 'trunk = "resnet18"\nsettings = { crops = 64 }'
    )


def test_a_baseline_is_one_method(tmp_path: Path) -> None:
    baseline = '[[heads]]\nhead = "linear-probe"\n[statistics]\nbaseline = "sigmoid-mask"'
    assert loaded(tmp_path, heads=PLAIN + baseline).statistics.baseline == "sigmoid-mask"
    two = PLAIN + "grid = { epochs = [1, 2] }\n" + baseline
    assert "'sigmoid-mask' has several methods here: sigmoid-mask (epochs=1); sigmoid-mask (epochs=2)" in refused(
        tmp_path, heads=two
    )
    assert "methods are compared by source-shifted, else source-val" in refused(
        tmp_path, STUDIO + '\nselection = ["last"]', PLAIN + baseline
    )


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = ")
    with pytest.raises(UsageError, match=r"broken\.toml is not TOML"):
        load_experiment(tmp_path / "broken.toml")
    with pytest.raises(UsageError, match=r"Cannot read .*absent\.toml: No such file"):
        load_experiment(tmp_path / "absent.toml")


def test_sources_are_single_or_pooled_and_targets_are_all_that_is_named(tmp_path: Path) -> None:
    assert trials_of(tmp_path, 'sources = ["rafdb", ["sfew", "ferplus"]]') == [
        Trial("rafdb", ("rafdb", "ferplus", "sfew")),
        Trial("ferplus & sfew", ("rafdb", "ferplus", "sfew")),
    ]
    assert trials_of(tmp_path, 'sources = ["rafdb"]\ntargets = ["sfew"]') == [Trial("rafdb", ("sfew",))]
    # A set whose scored split is trained on is a target for the other sources alone.
    assert trials_of(tmp_path, 'sources = ["rafdb", "ferplus@test"]') == [
        Trial("rafdb", ("rafdb", "ferplus")),
        Trial("ferplus@test", ("rafdb",)),
    ]
    assert trials_of(tmp_path, 'sources = ["ferplus"]\ntargets = ["ferplus"]') == [Trial("ferplus", ("ferplus",))]


def test_a_dataset_without_published_splits_may_be_its_own_target(tmp_path: Path) -> None:
    assert trials_of(tmp_path, 'sources = ["ckplus"]') == [Trial("ckplus", ("ckplus",))]


def test_corruptions_and_families_are_expanded(tmp_path: Path) -> None:
    (blurred,) = trials_of(tmp_path, 'sources = ["rafdb"]\ntargets = ["ferplus+blur@validation"]')
    assert blurred.targets == tuple(f"ferplus+blur:{severity}@validation" for severity in SEVERITIES)
    (all_of_them,) = trials_of(tmp_path, 'sources = ["rafdb"]\ntargets = ["ferplus+all"]')
    assert len(all_of_them.targets) == len(SCORED) * len(SEVERITIES)
    (drawn,) = trials_of(tmp_path, STUDIO + '\ntargets = ["synthetic"]')
    assert {f"synthetic:{domain}" for domain in ("studio", "night", "sketch", "webcam")} == set(drawn.targets)


def test_each_domain_is_the_target_once(tmp_path: Path) -> None:
    assert trials_of(tmp_path, 'leave_one_out = ["sfew", "rafdb", "ferplus"]\ntargets = ["ckplus"]') == [
        Trial("ferplus & rafdb", ("sfew", "ckplus")),
        Trial("ferplus & sfew", ("rafdb", "ckplus")),
        Trial("rafdb & sfew", ("ferplus", "ckplus")),
    ]


def test_a_grid_is_every_combination(tmp_path: Path) -> None:
    grid = PLAIN + 'settings = { epochs = 2 }\ngrid = { mask = ["sigmoid", "off"], batch_size = [32, 64] }'
    assert settings_of(tmp_path, grid) == [
        {"epochs": 2, "mask": mask, "batch_size": size} for mask in ("sigmoid", "off") for size in (32, 64)
    ]


def test_methods_that_are_the_same_are_one(tmp_path: Path) -> None:
    default = PLAIN + "grid = { separation_weight = [0.5, 1.5] }\n"
    assert settings_of(tmp_path, default + PLAIN + PLAIN + 'trunk = "mlp"') == [
        {"separation_weight": 0.5},
        {"separation_weight": 1.5},
    ]


def test_a_trunk_on_pixels_takes_the_crops_of_the_experiment(tmp_path: Path) -> None:
    heads = PLAIN + 'grid = { trunk = ["resnet18", "mlp"] }'
    assert settings_of(tmp_path, heads, STUDIO + "\ncrops = 32") == [
        {"trunk": "resnet18", "crops": 32},
        {"trunk": "mlp"},
    ]


@pytest.mark.parametrize(("text", "seeds"), [('"0-2"', (0, 1, 2)), ('"7"', (7,)), ("[4, 2]", (4, 2))])
def test_seeds_are_a_range_or_a_list(tmp_path: Path, text: str, seeds: tuple[int, ...]) -> None:
    assert loaded(tmp_path, f"{STUDIO}\nseeds = {text}").seeds == seeds


def test_defaults_are_those_of_the_commands(tmp_path: Path) -> None:
    experiment = loaded(tmp_path)
    assert experiment.seeds == (0, 1, 2, 3, 4)
    assert (experiment.classes, experiment.votes, experiment.prompts) == (7, "majority", "faces")
    assert experiment.selection == POLICIES
    assert loaded(tmp_path, STUDIO + '\nreport = "other"').report_name == "other"


@pytest.mark.parametrize("seeds", ['"0-2000000000"', '"0-99999999999999999999"', str(list(range(10_001)))])
def test_more_seeds_than_anybody_trains_are_refused_before_they_are_there(tmp_path: Path, seeds: str) -> None:
    assert "10,000" in refused(tmp_path, f"{STUDIO}\nseeds = {seeds}").replace("10000", "10,000")


def test_more_methods_than_anybody_trains_are_refused_before_they_are_there(tmp_path: Path) -> None:
    values = ", ".join(str(number) for number in range(1, 200))
    grid = ", ".join(f"{name} = [{values}]" for name in ("epochs", "batch_size", "patience", "hidden"))
    one = f'[[heads]]\nhead = "sigmoid-mask"\ngrid = {{ {grid} }}\n'
    assert "1,568,239,201 methods; at most 10,000" in refused(tmp_path, heads=one)
    several = PLAIN + f"[heads.grid]\nepochs = [{values}]\nbatch_size = [{values[:200]}1]\n"
    assert "methods; at most 10,000" in refused(tmp_path, heads=several * 3)


def test_a_path_that_no_system_could_have_is_no_file(tmp_path: Path) -> None:
    long = "r" * 10_000
    assert "neither a recipe nor a file" in refused(tmp_path, f'{STUDIO}\nrecipe = "{long}"')
    assert "no such file" in refused(tmp_path, f'{STUDIO}\nweights = "{long}"')
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "neither a recipe nor a file" in refused(tmp_path, f'{STUDIO}\nrecipe = "{tmp_path / "loop"}"')
