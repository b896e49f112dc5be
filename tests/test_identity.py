"""What makes two runs the same: job names, config hashes, and the configuration that a run belongs to."""

import json
import random
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from camri_exp.errors import UserError
from camri_exp.identity import config_hash, identity_of, job_name
from tests.conftest import QUICK, TRUST, Command
from tests.helpers.configs import composed
from tests.helpers.new_loss import add_loss
from tests.helpers.results import result_of

overrides = st.lists(
    st.tuples(st.sampled_from(["loss", "loss.margin", "+a/b", "data.root", "seed"]), st.text(max_size=80)).map(
        "=".join
    ),
    max_size=8,
    unique=True,
)


def test_name_is_readable() -> None:
    assert job_name(["seed=0", "loss.margin=0.1", "loss=camri"]) == "loss-camri+loss.margin-0.1+seed-0"
    assert job_name([]) == "default"


def test_names_that_are_too_long_start_with_what_jobs_differ_by() -> None:
    constant = ["data=folder", f"data.root=/{'very/long/' * 12}photographs", "+callbacks.best.monitor=val/accuracy"]
    names = [
        job_name([*constant, f"loss.margin={margin}", "loss=camri", f"seed={seed}"])
        for margin in (0.1, 0.2)
        for seed in (0, 1, 2)
    ]
    assert [name[:33] for name in names] == [
        f"seed-{seed}+loss-camri+loss.margin-{margin}" for margin in (0.1, 0.2) for seed in (0, 1, 2)
    ]
    assert len({name.rpartition("+")[2] for name in names}) == 6


def test_what_changes_no_number_is_not_in_the_name() -> None:
    assert job_name(["loss=ce", "sweep.name=mine", "++sweep.only.ce.seed=1", "logger=none"]) == "loss-ce"


@given(overrides, st.randoms(use_true_random=False))
def test_name_is_a_short_plain_file_name_and_does_not_depend_on_the_order(
    items: list[str], shuffler: random.Random
) -> None:
    name = job_name(items)
    shuffled = list(items)
    shuffler.shuffle(shuffled)

    assert job_name(shuffled) == name
    assert 0 < len(name) <= 160
    assert set(name) <= set(string.ascii_letters + string.digits + "_.+-")
    assert not name.startswith("-")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["data.root=a b"], ["data.root=a_b"]),
        (["data.root=a/b"], ["data.root=[a,b]"]),
        (["data.root=a=b"], ["data.root=a-b"]),
        (["data.root=a+seed=1"], ["data.root=a", "seed=1"]),
        (["data.root=" + "a" * 300], ["data.root=" + "a" * 301]),
        (["a=1", "b=-1"], ["a=-1", "b=1"]),
        (["seed="], []),
    ],
)
def test_different_overrides_have_different_names(one: list[str], other: list[str]) -> None:
    assert job_name(one) != job_name(other)


def hashed(root: str | None) -> str:
    return config_hash(OmegaConf.create({"seed": 0, "data": {"name": "gtsrb", "root": root}}))


def test_a_run_is_the_same_wherever_a_machine_keeps_its_data_sets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CAMRI_DATA", raising=False)
    here = hashed("data")
    monkeypatch.setenv("CAMRI_DATA", str(tmp_path))
    assert hashed(str(tmp_path)) == here


def test_a_folder_given_as_data_root_is_part_of_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAMRI_DATA", str(tmp_path))
    assert len({hashed(root) for root in (str(tmp_path), str(tmp_path / "mine"), "data", None)}) == 4


def config(**values: object) -> object:
    return OmegaConf.create({"seed": 3, "important_class": 8, "data": {"name": "digits", "root": None}} | values)


def test_runs_that_differ_by_the_seed_are_one_configuration() -> None:
    first, second = (identity_of(config(seed=seed, split_seed="${seed}"), ()) for seed in (1, 2))
    assert first == second
    assert config_hash(config(seed=1)) != config_hash(config(seed=2))


def test_runs_that_differ_by_the_fold_are_one_configuration() -> None:
    runs = [config(data={"name": "digits", "folds": 5, "fold": fold}) for fold in ("${seed}", 1, 2)]
    assert len({identity_of(run, ()).configuration for run in runs}) == 1
    assert len({config_hash(run) for run in runs}) == 3


def test_the_important_class_counts_where_the_loss_needs_it() -> None:
    for needs, same in ((("num_classes",), True), (("num_classes", "important_class"), False)):
        first, second = (identity_of(config(important_class=k), needs) for k in (3, 8))
        assert first.class_free == second.class_free == same
        assert (first.configuration == second.configuration) == same


@pytest.mark.parametrize(
    "values",
    [
        {"callbacks": {"best": {"monitor": "val/recall_important"}}},
        {"data": {"name": "digits", "root": None, "imbalance": {"class_name": "${important_class}"}}},
    ],
)
def test_a_config_that_refers_to_the_important_class_is_not_class_free(values: dict[str, object]) -> None:
    assert not identity_of(config(**values), ()).class_free


def test_a_resumed_run_belongs_to_the_configuration_of_its_first_start(
    train: Command, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stored config is resolved: there, ``split_seed=${seed}`` has become a number."""

    def power_cut(*_: object) -> None:
        raise UserError("the power went out")

    study = ("+data.split_seed=${seed}", "loss=ce", "trainer.max_epochs=1")
    for seed in (0, 1):
        assert train(*study, f"seed={seed}", into=f"seed{seed}").code == 0
    with monkeypatch.context() as power:
        power.setattr("camri_exp.training.callbacks.ReseedEachEpoch.on_train_epoch_start", power_cut)
        assert train(*study, "seed=2", into="seed2").code == 1
    assert command("train", TRUST, f"resume={tmp_path / 'seed2'}").code == 0
    results = [result_of(tmp_path / f"seed{seed}") for seed in (0, 1, 2)]
    assert len({result["setting"] for result in results}) == 1
    assert len({result["config_hash"] for result in results}) == 3


FORWARDING = """
from camri_exp.losses import CAMRILoss


class WiderLoss(CAMRILoss):
    def __init__(self, margin: float, **rest) -> None:
        super().__init__(margin=2 * margin, **rest)
"""


def test_a_report_keeps_both_classes_of_a_loss_that_forwards_its_arguments(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a loss was taken for one that does not depend on the class: its runs for a second class were dropped."""
    settings = "margin: 0.1\nscale: 16.0\n"
    search = add_loss(tmp_path, monkeypatch, "wider", "wider_loss.WiderLoss", FORWARDING, settings)
    sweep = ("data=tiny", search, *QUICK, "loss=ce,wider", "important_class=red,blue", "sweep.name=two")
    assert command("train", "-m", *sweep).code == 0
    results = [json.loads(path.read_text()) for path in Path("logs/sweeps/two").glob("*/result.json")]
    assert {result["loss"]: result["class_free"] for result in results} == {"ce": True, "wider": False}
    finished = command("report", "sweep=logs/sweeps/two")
    assert finished.code == 0, finished.err
    rows = (Path("logs/sweeps/two/report/table.csv")).read_text().splitlines()
    assert sorted(row.split(",")[2] for row in rows if ",wider," in row) == ["blue", "red"]


def test_a_key_that_was_added_later_changes_nothing_at_the_value_that_trains_as_before() -> None:
    """Otherwise a sweep of an earlier version would train all of its runs again."""
    cfg = {"seed": 0, "data": {"name": "gtsrb"}, "loss": {"name": "camri", "margin": 0.2}}
    before, same, other = (
        config_hash(OmegaConf.create(cfg | {"loss": cfg["loss"] | added}))
        for added in ({}, {"other_margin": 0.0}, {"other_margin": 0.1})
    )
    assert before == same != other


# Of the last version without the keys of ADDED_LATER.
EARLIER = {
    "data=digits loss=camri": "6ad9ee528ef019d4",
    "data=cifar10 loss=ldam model=resnet18": "c79a05ff4834aa54",
    "data=gtsrb loss=mse_outlying data.val_fraction=0.25": "5d98ea4edf45334c",
    "data=awa2 loss=arcface": "854f1f51f47147e9",
    "data=folder data.root=/images loss=ce important_class=a optimizer=sgd": "f4d7c1621e393e60",
    "data=digits loss=wce callbacks=early_stopping": "5c0608a44b0b08e6",
}


@pytest.mark.parametrize("overrides", EARLIER)
def test_the_hash_of_a_config_is_that_of_the_earlier_version(overrides: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key needs an entry in ``ADDED_LATER``."""
    monkeypatch.delenv("CAMRI_DATA", raising=False)
    cfg = composed("train", *overrides.split())
    assert config_hash(cfg) == EARLIER[overrides]
