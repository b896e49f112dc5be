"""The preset for pretrained weights: its settings arrive in the run, for any loss."""

import timm
import torch
import yaml

from tests.conftest import QUICK
from tests.helpers.image_files import class_folders


def test_the_preset_trains_a_folder_with_a_file_of_weights(command, tmp_path):
    root = class_folders(tmp_path / "mine", count=24)
    torch.manual_seed(0)
    torch.save(timm.create_model("mobilenetv3_small_050").state_dict(), tmp_path / "weights.pth")
    small = ("model.name=mobilenetv3_small_050", "data.image_size=32", "data.stored_size=40", "data.batch_size=16")
    finished = command(
        "train", "experiment=finetune", f"data.root={root}", "important_class=cat", "loss=camri", *QUICK, *small,
        f"model.weights={tmp_path / 'weights.pth'}", "trainer.max_epochs=2", "hydra.run.dir=run",
    )  # fmt: skip
    assert finished.code == 0, finished.err
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["model"]["layer_decay"] == 0.85
    assert config["trainer"]["gradient_clip_val"] == 1.0
    content = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert content["camri_exp"]["resize"] == "crop"
    assert "current_model_state" in content
    groups = content["optimizer_states"][0]["param_groups"]
    assert len({group["lr_scale"] for group in groups}) > 5
    assert {group["weight_decay"] for group in groups} == {0.0, 0.05}
