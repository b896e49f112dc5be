"""What all commands share: wrong keys and options end in one line, and ``--help`` lists the keys without torch."""

import subprocess
import sys

import pytest

from camri_exp.schema.keys import COMMANDS
from tests.conftest import Command

USAGE = {"evaluate": "compare=OTHER_RUN", "predict": "images=FILE_OR_DIR"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss=null", "loss=null: expected one of arcface, camri, ce, "),
        ("data=null", "data=null: expected one of awa2, cifar10, digits, folder, gtsrb."),
        ("trainer=null", "trainer=null: expected one of ddp, ddp_cpu, debug, default, gpu."),
        ("loss=3", "loss=3: expected one of arcface, "),
        ("loss=[1]", "loss=[1]: expected one of arcface, "),
        ("loss=[ce,camri]", "loss.label_smoothing: CAMRILoss has no such argument."),
        ("~loss", "loss has no _target_, the class to build. Choose an option: loss=NAME"),
        ("sweep=3", "sweep=3: expected a mapping of name, rerun, only"),
        ("~trainer.max_epochs", "trainer.max_epochs is missing: expected a whole number of at least 1"),
        ("+sweep.foo=1", "sweep.foo: train has no such key."),
        ("data.batch_size=1.5", "error: data.batch_size=1.5: expected a whole number from 1 to 1000000."),
        ("loss.margin=wide", "error: loss.margin=wide: expected a number or a list of numbers."),
        ("loss.margn=1", "Key 'margn' is not in struct"),
        ("+optimizer.beta=[0.9,0.99]", "optimizer.beta: Adam has no such argument. Did you mean 'betas'"),
        (
            "loss._target_=nowhere.Loss",
            "loss=camri: _target_=nowhere.Loss cannot be imported: No module named 'nowhere'",
        ),
        ("optimizer.lr=null", "error: optimizer.lr=null: expected a number."),
    ],
)
def test_a_wrong_key_or_value_ends_in_one_line(command: Command, override: str, message: str) -> None:
    finished = command("train", override, "logger=none", "hydra.run.dir=run")
    assert finished.code == 1
    assert message in finished.err
    assert "Traceback" not in finished.err
    assert len(finished.err.strip().splitlines()) == 1 or "margn" in override


def test_a_group_of_keys_is_no_group_of_options(command: Command) -> None:
    finished = command("evaluate", "data=5")
    assert finished.code == 1
    assert finished.err == "error: data=5: evaluate has no options for data, only single keys: data.KEY=VALUE\n"


def test_a_wrong_value_in_a_list_ends_the_sweep_before_it_starts(command: Command, tmp_path: object) -> None:
    finished = command("train", "-m", "loss.margin=0.1,wide", "seed=0,1", "logger=none", "hydra.sweep.dir=sweep")
    assert finished.code == 1
    assert finished.err == "error: loss.margin=wide: expected a number or a list of numbers.\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_lists_the_keys_and_imports_nothing_heavy(name: str) -> None:
    module = "data.show" if name == "show" else name
    code = (
        f"import sys; sys.argv = ['{module}', '--help']\n"
        f"from camri_exp.{module} import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'pydantic', 'numpy', 'pytorch_lightning'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, imported = finished.stdout.strip().splitlines()
    assert imported == "[]"
    assert " output=" in finished.stdout or " seed=0 " in finished.stdout
    assert "${camri" not in finished.stdout
    assert USAGE.get(name, "") in finished.stdout
