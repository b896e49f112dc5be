"""Pretrained weights without a network: one quick clear line."""

import logging

import pytest
import timm
import torch
from huggingface_hub import constants

from camri_exp.errors import UserError
from camri_exp.models import backbones, hub


def test_without_a_network_nothing_is_retried_and_the_line_says_what_to_do(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with caplog.at_level(logging.INFO), pytest.raises(UserError) as refused:
        backbones.create("tf_efficientnet_lite0", channels=3, image_size=32, pretrained=True)
    assert str(refused.value).splitlines() == [
        "model.pretrained=true: the weights of tf_efficientnet_lite0 could not be loaded (http://127.0.0.1:9 cannot be "
        "reached).",
        "Without a network, use a file of weights: model.weights=FILE",
    ]
    assert "Retrying" not in caplog.text
    assert constants.HF_HUB_OFFLINE is False


def test_an_error_of_the_server_is_an_answer(monkeypatch):
    def refuse(request, timeout):
        raise hub.urllib.error.HTTPError(request.full_url, 403, "no", {}, None)

    monkeypatch.setattr(hub.urllib.request, "urlopen", refuse)
    assert hub.is_reachable()


def test_an_address_that_is_none_is_not_reachable(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "nowhere")
    assert not hub.is_reachable()


def test_a_file_of_weights_needs_no_network(monkeypatch, tmp_path):
    state = timm.create_model("mobilenetv3_small_050", pretrained=False).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    backbone, _ = backbones.create(
        "mobilenetv3_small_050", 3, 32, pretrained=True, weights=str(tmp_path / "weights.pth")
    )
    assert torch.equal(backbone.state_dict()["conv_stem.weight"], state["conv_stem.weight"])
