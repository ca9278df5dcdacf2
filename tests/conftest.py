"""What several tests share: small networks, and a small data set."""

import pytest
import torch
from PIL import Image

from minicyclegan import CycleGAN, Discriminator, Generator, OneWayGAN

torch.set_num_threads(2)


def small_networks(one_way=False, dtype=torch.float64):
    torch.manual_seed(0)
    networks = {"G_AB": Generator(2, 1), "G_BA": Generator(2, 1), "D_B": Discriminator(2, 1)}
    if not one_way:
        networks["D_A"] = Discriminator(2, 1)
    return {name: network.to(dtype) for name, network in networks.items()}


@pytest.fixture
def make_cyclegan():
    return lambda **settings: CycleGAN(**small_networks(), **settings)


@pytest.fixture
def make_one_way():
    return lambda **settings: OneWayGAN(**small_networks(one_way=True), **settings)


@pytest.fixture
def batch():
    """real_A, real_B: three images each."""
    torch.manual_seed(1)
    return tuple(torch.rand(3, 3, 16, 16, dtype=torch.float64) * 2 - 1 for _ in "AB")


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A data set like one of real photographs: unpaired names, no two images alike."""
    root = tmp_path_factory.mktemp("photos")
    generator = torch.Generator().manual_seed(0)
    for split, count in {"trainA": 5, "trainB": 7, "testA": 2, "testB": 3}.items():
        (root / split).mkdir()
        for i in range(count):
            pixels = torch.randint(256, (24, 20, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(root / split / f"{split[-1]}{i}.png")
    return root


TINY = dict(size=16, width=2, blocks=1, disc_width=2, disc_depth=2, steps=4, lr=1e-3, log_every=2,
            device="cpu", precision="fp32")
