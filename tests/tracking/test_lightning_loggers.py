"""``logger=tensorboard`` and ``logger=mlflow``: real runs with Lightning's own loggers."""

import sys
from pathlib import Path

import pytest

from tests.conftest import Command

SCALARS = {"train/loss", "val/accuracy", "val/recall_important", "test/accuracy"}


def test_tensorboard_logs_into_the_folder_of_the_run(train: Command, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    finished = train("logger=tensorboard")
    assert finished.code == 0, finished.err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    folder = tmp_path / "run" / "lightning_logs"
    assert (folder / "hparams.yaml").is_file()
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    assert set(events.Tags()["scalars"]) >= SCALARS
    assert len(events.Scalars("val/accuracy")) >= 1


def test_mlflow_logs_into_logs_mlruns(train: Command, tmp_path: Path) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    finished = train("logger=mlflow")
    assert finished.code == 0, finished.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "run"]
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["mlruns"]
    client = tracking.MlflowClient(f"sqlite:///{tmp_path / 'logs' / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("camri_exp")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert set(run.data.metrics) >= SCALARS
    assert run.data.params["loss/name"] == "camri"


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_one_line(name: str, train: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'")

    kind = {"tensorboard": "TensorBoardLogger", "mlflow": "MLFlowLogger"}[name]
    monkeypatch.setattr(getattr(sys.modules["pytorch_lightning.loggers"], kind), "__init__", refuse)
    finished = train(f"logger={name}")
    assert finished.code == 1
    assert f"pip install 'camri_exp[{name}]'" in finished.err
    assert "Traceback" not in finished.err
