"""The generators: networks that turn an image of one domain into the other.

Generator is the paper's ResNet (section 7.2), here for 256×256 images, 11.4 million weights:

    c7s1-64, d128, d256, R256 × 9, u128, u64, c7s1-3, tanh

The halved and doubled resolutions let nine residual blocks work where they are cheap and see far.
But all of a small image has to go through a quarter of its size, and fine things get lost there.
UNet hands them across: each way up is shown what the way down saw at the same size.
"""

import torch
from torch import nn


class Generator(nn.Module):
    """Image to image: (N, channels, H, W) in [-1, 1] to the same shape and range.

    width     channels after the first layer; the paper's 64
    blocks    residual blocks; the paper's 9 for 256×256 images, 6 for 128×128
    channels  3 for colour, 1 for grayscale
    upsample  "transpose" is the paper's transposed convolution; "resize" enlarges by nearest
              neighbour and convolves after it, which leaves no checkerboard

    H and W must be multiples of 4 and at least 8, else forward raises ValueError.
    """

    multiple, copies = 4, 4  # of H and W; of the first layer's output, in memory at once

    def __init__(self, width=64, blocks=9, channels=3, upsample="transpose"):
        super().__init__()
        if upsample not in ("transpose", "resize"):
            raise ValueError(f'upsample is "transpose" or "resize", not {upsample!r}')
        up = upsample_transpose if upsample == "transpose" else upsample_resize
        self.layers = nn.Sequential(
            *conv7(channels, width), *norm_relu(width),  # (N, 64, H, W)
            *downsample(width, 2 * width),  # (N, 128, H/2, W/2)
            *downsample(2 * width, 4 * width),  # (N, 256, H/4, W/4)
            *[ResidualBlock(4 * width) for _ in range(blocks)],
            *up(4 * width, 2 * width),  # (N, 128, H/2, W/2)
            *up(2 * width, width),  # (N, 64, H, W)
            *conv7(width, channels, bias=True), nn.Tanh(),  # (N, 3, H, W)
        )
        start_small(self)

    def forward(self, image):
        need_multiple(self, image)
        return self.layers(image)


class UNet(nn.Module):
    """Image to image, as Generator, with skip connections: for small images.

    width     channels at full size; twice as many at 1/2, four times at 1/4, eight times at 1/8
    blocks    residual blocks at 1/8
    channels  3 for colour, 1 for grayscale

    H and W must be multiples of 8 and at least 16, else forward raises ValueError.
    """

    multiple, copies = 8, 13

    def __init__(self, width=16, blocks=0, channels=3):
        super().__init__()
        n = [width, 2 * width, 4 * width, 8 * width]
        self.first = nn.Sequential(*conv3(channels, n[0]), *norm_relu(n[0]))  # (N, 16, H, W)
        self.down = nn.ModuleList([  # to (N, 32, H/2, W/2), (N, 64, H/4, W/4), (N, 128, H/8, W/8)
            nn.Sequential(*downsample(n[i], n[i + 1])) for i in range(3)])
        self.bottom = nn.Sequential(*[ResidualBlock(n[3]) for _ in range(blocks)])
        self.up = nn.ModuleList([  # and back, each with the skip of its size beside it
            nn.Sequential(*conv3(n[i + 1] + n[i], n[i]), *norm_relu(n[i])) for i in (2, 1, 0)])
        self.last = nn.Sequential(ReflectionPad(1), nn.Conv2d(n[0], channels, 3), nn.Tanh())
        start_small(self)

    def forward(self, image):
        need_multiple(self, image)
        skips, x = [], self.first(image)
        for down in self.down:
            skips.append(x)
            x = down(x)
        x = self.bottom(x)
        for up in self.up:
            larger = nn.functional.interpolate(x, scale_factor=2)  # nearest neighbour
            x = up(torch.cat([larger, skips.pop()], 1))
        return self.last(x)


class ResidualBlock(nn.Module):
    """R256: x + f(x). No ReLU after the sum, so a block can subtract as well as add."""

    def __init__(self, n):
        super().__init__()
        self.layers = nn.Sequential(*conv3(n, n), *norm_relu(n), *conv3(n, n), norm(n))

    def forward(self, x):
        return x + self.layers(x)


def need_multiple(network, image):
    (height, width), n = image.shape[-2:], network.multiple
    if height % n or width % n or min(height, width) < 2 * n:
        raise ValueError(f"the generator needs a height and width that are multiples of {n} and "
                         f"at least {2 * n}, not {height}×{width}")


def start_small(network):
    """Section 7.1: weights from N(0, 0.02), biases 0."""
    for m in network.modules():
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(m.weight, 0.0, 0.02)
            if m.bias is not None:
                nn.init.zeros_(m.bias)


def norm(n):
    # Instance norm: each image, each channel, to mean 0 and variance 1, in training and in use.
    # It removes what a bias adds, which is why the convolutions in front of it have none.
    return nn.InstanceNorm2d(n)


def norm_relu(n):
    return norm(n), nn.ReLU(inplace=True)


class ReflectionPad(nn.ReflectionPad2d):
    """nn.ReflectionPad2d in the precision of what comes in: autocast on a CPU would bring it to
    float32 and back."""

    def forward(self, x):
        with torch.autocast("cpu", enabled=False):
            return super().forward(x)


def conv7(n_in, n_out, bias=False):
    return ReflectionPad(3), nn.Conv2d(n_in, n_out, 7, bias=bias)


def conv3(n_in, n_out):
    return ReflectionPad(1), nn.Conv2d(n_in, n_out, 3, bias=False)


def downsample(n_in, n_out):
    return nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), *norm_relu(n_out)


def upsample_transpose(n_in, n_out):
    conv = nn.ConvTranspose2d(n_in, n_out, 3, 2, padding=1, output_padding=1, bias=False)
    return conv, *norm_relu(n_out)


def upsample_resize(n_in, n_out):
    return nn.Upsample(scale_factor=2), *conv3(n_in, n_out), *norm_relu(n_out)
