"""What several tests share: small networks, and a small data set."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from minicyclegan import CycleGAN, Discriminator, Generator, OneWayGAN

# With networks this small, more threads than one would only wait for each other.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start


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


def draw_photos(root):
    """A data set like one of real photographs: unpaired names, no two images alike."""
    generator = torch.Generator().manual_seed(0)
    for split, count in {"trainA": 5, "trainB": 7, "testA": 2, "testB": 3}.items():
        (root / split).mkdir(parents=True)
        for i in range(count):
            pixels = torch.randint(256, (24, 20, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(root / split / f"{split[-1]}{i}.png")
    return root


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    return draw_photos(tmp_path_factory.mktemp("photos"))


TOY_SET = Path(__file__).parent.parent / "data" / "toy"
TINY = dict(generator="resnet", size=16, width=2, blocks=1, disc_width=2, disc_depth=2, batch=2,
            pool_size=50, steps=4, lr=1e-3, lr_D=0.0, log_every=2, device="cpu", precision="fp32")
OPTIONS = [x for name, value in TINY.items()
           for x in (f"--{name.replace('_', '-')}", str(value))]


def same(one, other):
    """Whether two checkpoints, or parts of them, are equal to the last bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if torch.is_tensor(one) else one == other
