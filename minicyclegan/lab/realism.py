"""How real does a fake look? A small classifier, trained on real A and real B, is asked.

The paper asks a segmentation network (its FCN score, section 5.1). A classifier takes the easiest
way: in colour, this one looks at the ground alone, and takes a horse on a zebra's grass for a
zebra. So it is shown gray images, brightness and contrast made equal, the shades of gray mixed
anew each time, with noise on top: what is left is the animal's stripes and shape. `views` tells.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ..data import read_square
from ..engine.errors import InputError
from ..engine.images import list_images

LEAST = 10  # training images of each domain


class Classifier(nn.Module):
    """Images (N, channels, H, W) in [-1, 1] to scores (N,), above 0 for domain B.

    Each place of the image is judged by a patch of 22×22 pixels; the score is the mean.
    """

    def __init__(self, width=16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1), nn.ReLU(),  # (N, 16, H/2, W/2)
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1), nn.ReLU(),  # (N, 64, H/8, W/8)
            nn.Conv2d(4 * width, 1, 1))

    def forward(self, image):
        gray = image.mean(1, keepdim=True)
        return self.layers(normalised(gray)).mean((1, 2, 3))


def normalised(x):
    """Every image to mean 0 and standard deviation 1."""
    return (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 1e-3)


def train_classifier(real_A, real_B, steps=400, seed=0):
    """A Classifier trained on real images, two tensors (N, C, H, W) in [-1, 1]: 15 seconds on one
    core. The same images give the same classifier."""
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier()
    optimizer = torch.optim.Adam(classifier.parameters(), 1e-3)
    target = torch.tensor([0.0] * 16 + [1.0] * 16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the rounding depends on it; and it is as fast
    for _ in range(steps):
        x = torch.cat([images[torch.randint(len(images), (16,), generator=rng)]
                       for images in (real_A, real_B)])
        side = min(64, *x.shape[2:])  # a random crop of larger images
        top, left = (int(torch.randint(n - side + 1, (), generator=rng)) for n in x.shape[2:])
        x = x[:, :, top:top + side, left:left + side]
        if torch.rand((), generator=rng) < 0.5:
            x = x.flip(-1)
        shades = 1 / 3 + torch.rand(*x.shape[:2], 1, 1, generator=rng) - 0.5
        x = normalised((x * shades).sum(1, keepdim=True))
        strength = 0.5 * torch.rand(len(x), 1, 1, 1, generator=rng)
        x = x + strength * torch.randn(x.shape, generator=rng)
        loss = F.binary_cross_entropy_with_logits(classifier(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_num_threads(threads)
    return classifier.eval()


@torch.no_grad()
def share(classifier, images, domain):
    """The share of images that the classifier takes for `domain`, "A" or "B"."""
    return ((torch.cat([classifier(x) for x in images.split(16)]) > 0) == (domain == "B")
            ).float().mean().item()


def views(classifier, real_A, real_B, mask=None):
    """A sentence on what the classifier sees: test pairs, and pairs with exchanged animals."""
    text = (f"The classifier is right about {share(classifier, real_A, 'A'):.0%} of the real test "
            f"images of A and {share(classifier, real_B, 'B'):.0%} of B")
    if mask is not None:  # does it go by the animal, or by the ground?
        animal_A = mask * real_A + (1 - mask) * real_B
        animal_B = mask * real_B + (1 - mask) * real_A
        text += (f"; with their animals exchanged, it takes {share(classifier, animal_A, 'A'):.0%} "
                 f"of A's animals on B's ground for A, {share(classifier, animal_B, 'B'):.0%} of "
                 "B's on A's for B")
    return text + "."


def training_images(root, size, channels):
    """The middle squares of trainA and of trainB (a thousand each, at most), as two tensors
    (N, channels, size, size). InputError where there are fewer than LEAST."""
    tensors = []
    for domain in "AB":
        files = list_images(Path(root) / f"train{domain}")[:1000]
        if len(files) < LEAST:
            raise InputError(f"{root}/train{domain} holds {len(files)} images; the classifier that "
                             f"measures realism needs at least {LEAST}.")
        tensors.append(torch.stack([read_square(f, size, channels) for f in files]))
    return tensors
