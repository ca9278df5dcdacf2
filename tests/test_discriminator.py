import pytest
import torch

from minicyclegan import Discriminator


def test_returns_a_map():
    # A single number here, or a sigmoid, is the mistake of many copies.
    scores = Discriminator()(torch.rand(1, 3, 256, 256))
    assert scores.shape == (1, 1, 30, 30)
    assert scores.min() < 0


@pytest.mark.parametrize("depth, side", [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_receptive_field(depth, side):
    """One score depends on side × side pixels: by formula, and by the gradient.

    The instance norms are left out here: they let every pixel of an image touch the statistics
    of the whole, which is not what the receptive field means.
    """
    discriminator = Discriminator(2, depth).double()
    assert discriminator.receptive_field() == side
    for i, layer in enumerate(discriminator.layers):
        if isinstance(layer, torch.nn.InstanceNorm2d):
            discriminator.layers[i] = torch.nn.Identity()
    image = torch.rand(1, 3, 320, 320, dtype=torch.float64, requires_grad=True)
    scores = discriminator(image)
    middle = scores.shape[-1] // 2
    scores[0, 0, middle, middle].backward()
    touched = image.grad[0].abs().sum(0) > 0
    assert touched.any(1).sum() == side and touched.any(0).sum() == side


def test_parameters_of_the_paper():
    # The authors' has 2,764,737, with the biases that an instance norm cancels.
    parameters = sum(p.numel() for p in Discriminator().parameters())
    assert parameters == 2_764_737 - (128 + 256 + 512)


def test_images_of_a_batch_do_not_meet():
    discriminator = Discriminator(4, 2).double()
    images = torch.rand(2, 3, 24, 24, dtype=torch.float64)
    alone = torch.cat([discriminator(image[None]) for image in images])
    assert torch.allclose(discriminator(images), alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_smallest_input(depth):
    discriminator = Discriminator(2, depth)
    side = discriminator.smallest_input()
    assert discriminator(torch.rand(1, 3, side, side + 5)).isfinite().all()
    with pytest.raises(ValueError, match=f"at least {side} pixels"):
        discriminator(torch.rand(1, 3, side + 5, side - 1))


def test_depth_zero():
    with pytest.raises(ValueError, match="depth"):
        Discriminator(depth=0)
