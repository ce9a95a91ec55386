"""The projection and the prototypes on top of a region's descriptor."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from anomalyncd.discovery.classifier import ProjectionHead, PrototypeHeads

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "mgvit.safetensors")


@torch.no_grad()
def test_published_projection() -> None:
    head = ProjectionHead(24, hidden=32, out=16)
    head.load_state_dict(
        {k.removeprefix("head."): v for k, v in GOLDEN.items() if k.startswith("head.mlp")}
    )
    projected = head(GOLDEN["cls"])
    torch.testing.assert_close(projected, GOLDEN["head_projection"], atol=1e-7, rtol=1e-5)


@torch.no_grad()
def test_published_prototypes() -> None:
    heads = PrototypeHeads(24, n_classes=7, n_heads=4)
    directions = [GOLDEN[f"head.last_layer.{index}.weight_v"] for index in range(4)]
    heads.prototypes.copy_(torch.stack(directions))
    torch.testing.assert_close(heads(GOLDEN["cls"]), GOLDEN["head_logits"], atol=1e-6, rtol=1e-5)


def test_start_of_the_projection() -> None:
    torch.manual_seed(0)
    head = ProjectionHead(96)
    assert head(torch.zeros(3, 96)).shape == (3, 256)
    for name, parameter in head.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            assert 0.019 < parameter.std() < 0.021


def test_logits_are_cosines() -> None:
    torch.manual_seed(0)
    heads = PrototypeHeads(16, n_classes=5, n_heads=3)
    features = torch.randn(6, 16)
    logits = heads(features)
    assert logits.shape == (3, 6, 5)
    assert logits.abs().max() <= 1
    expected = torch.cosine_similarity(features[4], heads.prototypes[2, 1], dim=0)
    torch.testing.assert_close(logits[2, 4, 1], expected)
    torch.testing.assert_close(heads(7 * features), logits)
    with torch.no_grad():
        heads.prototypes *= torch.tensor([0.1, 1, 30])[:, None, None]
    torch.testing.assert_close(heads(features), logits)


def test_heads_start_apart_and_follow_the_seed() -> None:
    torch.manual_seed(3)
    first = PrototypeHeads(16, n_classes=5)
    torch.manual_seed(3)
    again = PrototypeHeads(16, n_classes=5)
    assert torch.equal(first.prototypes, again.prototypes)
    assert not torch.allclose(first.prototypes[0], first.prototypes[1])


def test_a_prototype_turns_without_growing() -> None:
    torch.manual_seed(0)
    heads = PrototypeHeads(16, n_classes=5)
    heads(torch.randn(6, 16)).square().sum().backward()
    gradient = heads.prototypes.grad
    assert gradient is not None
    assert gradient.abs().max() > 0
    along = (gradient * heads.prototypes).sum(-1)
    torch.testing.assert_close(along, torch.zeros_like(along), atol=1e-5, rtol=0)
