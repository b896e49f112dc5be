"""The two heads: what they compute, their precision, and that they export."""

import io

import pytest
import torch
import torch.nn.functional as F

from camri_exp.models.heads import CosineHead, LinearHead, unit


def test_cosine_head_is_the_cosine_similarity_of_torch() -> None:
    torch.manual_seed(0)
    head, features = CosineHead(8, 5).double(), torch.randn(20, 8, dtype=torch.float64)
    assert head.weight.shape == (5, 8)
    expected = F.cosine_similarity(features[:, None], head.weight[None], dim=2)
    torch.testing.assert_close(head(features), expected, rtol=1e-12, atol=1e-12)


def test_linear_head_is_the_linear_layer_of_torch() -> None:
    torch.manual_seed(0)
    head, features = LinearHead(8, 5), torch.randn(20, 8)
    assert head.weight.shape == (5, 8)
    assert torch.equal(head(features), features @ head.weight.T + head.bias)
    assert LinearHead(8, 5, bias=False).bias is None
    assert torch.equal(LinearHead(8, 5, bias=False)(torch.zeros(1, 8)), torch.zeros(1, 5))


@pytest.mark.parametrize("make", [CosineHead, LinearHead])
def test_weights_are_initialised_and_follow_the_seed(make: type[torch.nn.Module]) -> None:
    """The torch port of the reference code does not initialise its weight."""
    heads = []
    for _ in range(2):
        torch.manual_seed(3)
        heads.append(make(64, 10))
    assert torch.equal(heads[0].weight, heads[1].weight)
    assert heads[0].weight.isfinite().all()
    assert 0 < heads[0].weight.std() < 1


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("make", [CosineHead, LinearHead])
def test_scores_are_float32_under_autocast_and_separate_similar_classes(
    make: type[torch.nn.Module], half: torch.dtype
) -> None:
    torch.manual_seed(0)
    head = make(64, 10)
    with torch.no_grad():
        head.weight[1] = head.weight[0] * 1.0001 + 1e-4 * torch.randn(64)  # equal in half precision
    features = torch.randn(20, 64)
    with torch.autocast("cpu", half):
        scores = head(features)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, head(features))
    assert (scores[:, 0] != scores[:, 1]).all()


def test_unit_of_zero_is_zero_without_a_gradient() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-20, 0.0]], requires_grad=True)
    torch.testing.assert_close(unit(vectors), torch.tensor([[0.6, 0.8], [0.0, 0.0], [0.0, 0.0]]))
    (gradient,) = torch.autograd.grad(unit(vectors).sum(), vectors)
    # (I - u u') 1 / |v| for u = (.6, .8), |v| = 5.
    torch.testing.assert_close(gradient, torch.tensor([[0.032, -0.024], [0.0, 0.0], [0.0, 0.0]]))


@pytest.mark.parametrize("make", [CosineHead, LinearHead])
def test_a_head_exports(make: type[torch.nn.Module]) -> None:
    head, features = make(8, 5).eval(), torch.randn(4, 8)
    exported = torch.export.export(head, (features,))
    file = io.BytesIO()
    torch.export.save(exported, file)
    file.seek(0)
    torch.testing.assert_close(torch.export.load(file).module()(features), head(features))
