import pytest
import torch

from minicyclegan import Generator, UNet
from minicyclegan.generator import ResidualBlock


@pytest.mark.parametrize("upsample", ["transpose", "resize"])
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_range(upsample, channels):
    image = torch.rand(2, channels, 20, 28) * 2 - 1
    out = Generator(4, 2, channels, upsample)(image)
    assert out.shape == image.shape
    assert out.abs().max() <= 1


def test_parameters_of_the_paper():
    # The authors' networks have 11,378,179 and 7,837,699 parameters, with the biases that an
    # instance norm cancels: one a channel, in 23 and 17 convolutions.
    def cancelled(blocks):
        return 64 + 128 + 256 + 2 * blocks * 256 + 128 + 64
    for blocks, count in ((9, 11_378_179), (6, 7_837_699)):
        parameters = sum(p.numel() for p in Generator(blocks=blocks).parameters())
        assert parameters == count - cancelled(blocks)


def test_initial_weights():
    generator = Generator(16, 3)
    weights = torch.cat([p.flatten() for n, p in generator.named_parameters() if "weight" in n])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert all((p == 0).all() for n, p in generator.named_parameters() if "bias" in n)


def test_residual_block_can_go_negative():
    x = torch.zeros(1, 8, 16, 16)
    x += torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    assert ResidualBlock(8)(x.relu()).min() < 0  # a ReLU after the sum would forbid it


@pytest.mark.parametrize("network", [Generator, UNet])
def test_images_of_a_batch_do_not_meet(network):
    # Batch norm would fail this; it is also what lets a step put images into one call.
    generator = network(4, 1).double()
    images = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    together = generator(images)
    alone = torch.cat([generator(image[None]) for image in images])
    assert torch.allclose(together, alone, atol=1e-12, rtol=0)


def test_same_in_training_and_in_use():
    generator, image = Generator(4, 1), torch.rand(1, 3, 16, 16)
    trained = generator.train()(image)
    assert torch.equal(trained, generator.eval()(image))


@pytest.mark.parametrize("network, n", [(Generator, 4), (UNet, 8)])
def test_sizes_that_do_not_fit(network, n):
    for height, width in ((8 * n - n // 2, 8 * n), (8 * n, 8 * n - 1), (n, 8 * n)):
        with pytest.raises(ValueError, match=f"multiples of {n}.*{height}×{width}"):
            network(4, 1)(torch.rand(1, 3, height, width))
    assert network.multiple == n
    assert network(4, 1)(torch.rand(1, 3, 2 * n, 3 * n)).shape == (1, 3, 2 * n, 3 * n)


@pytest.mark.parametrize("channels", [1, 3])
def test_unet_hands_details_across(channels):
    """What changes from one pixel to the next reaches the output at its place; behind the bottom,
    at an eighth of the size, it could not."""
    torch.manual_seed(0)
    network = UNet(4, 1, channels)
    image = torch.rand(1, channels, 32, 32)
    out = network(image)
    assert out.shape == image.shape and out.abs().max() <= 1
    network.down[-1][0].weight.data.zero_()  # nothing gets to the bottom
    still = image.clone().requires_grad_()
    network(still)[0, 0, 16, 16].backward()
    assert still.grad[0, :, 16, 16].abs().max() > 0


@pytest.mark.parametrize("network", [lambda: Generator(4, 1, upsample="resize"), lambda: UNet(4)])
def test_under_autocast_padding_stays_in_bfloat16(network):
    """On a CPU autocast would send it to float32 and back, twice for every convolution."""
    network, seen = network(), []
    for m in network.modules():
        if isinstance(m, torch.nn.ReflectionPad2d):
            m.register_forward_hook(lambda m, i, out: seen.append((i[0].dtype, out.dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.rand(1, 3, 16, 16)).float().sum().backward()
    assert len(seen) > 4 and all(one == other for one, other in seen)
    assert [one for one, _ in seen[1:]] == [torch.bfloat16] * (len(seen) - 1)


def test_unknown_upsampling():
    with pytest.raises(ValueError, match="bilinear"):
        Generator(upsample="bilinear")


@pytest.mark.parametrize("network", [Generator, UNet])
def test_torch_export(network, tmp_path):
    """As the README shows it: a program that needs no code of ours."""
    generator, image = network(4, 1).eval(), torch.rand(1, 3, 32, 32)
    torch.export.save(torch.export.export(generator, (image,)), tmp_path / "G.pt2")
    program = torch.export.load(tmp_path / "G.pt2").module()
    assert torch.allclose(program(image), generator(image), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("network", [Generator, UNet])
def test_onnx(network, tmp_path):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    import onnxruntime
    generator, image = network(4, 1).eval(), torch.rand(1, 3, 32, 32)
    torch.onnx.export(generator, (image,), tmp_path / "G.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "G.onnx")
    (fake,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    assert torch.allclose(torch.from_numpy(fake), generator(image), atol=1e-5)
