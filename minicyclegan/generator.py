"""The generator: a ResNet that turns an image of one domain into the other (paper, section 7.2).

    c7s1-64, d128, d256, R256 × 9, u128, u64, c7s1-3, tanh

`G_AB = Generator()` is the paper's network for 256×256 images: 11.4 million weights. The halved
and doubled resolutions let nine residual blocks work where they are cheap and see far.
"""

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
        for m in self.modules():  # section 7.1: weights from N(0, 0.02)
            if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(m.weight, 0.0, 0.02)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, image):
        height, width = image.shape[-2:]
        if height % 4 or width % 4 or min(height, width) < 8:
            raise ValueError(f"the generator needs a height and width that are multiples of 4 and "
                             f"at least 8, not {height}×{width}")
        return self.layers(image)


class ResidualBlock(nn.Module):
    """R256: x + f(x). No ReLU after the sum, so a block can subtract as well as add."""

    def __init__(self, n):
        super().__init__()
        self.layers = nn.Sequential(*conv3(n, n), *norm_relu(n), *conv3(n, n), norm(n))

    def forward(self, x):
        return x + self.layers(x)


def norm(n):
    # Instance norm: each image, each channel, to mean 0 and variance 1, in training and in use.
    # It removes what a bias adds, which is why the convolutions in front of it have none.
    return nn.InstanceNorm2d(n)


def norm_relu(n):
    return norm(n), nn.ReLU(inplace=True)


def conv7(n_in, n_out, bias=False):
    return nn.ReflectionPad2d(3), nn.Conv2d(n_in, n_out, 7, bias=bias)


def conv3(n_in, n_out):
    return nn.ReflectionPad2d(1), nn.Conv2d(n_in, n_out, 3, bias=False)


def downsample(n_in, n_out):
    return nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), *norm_relu(n_out)


def upsample_transpose(n_in, n_out):
    conv = nn.ConvTranspose2d(n_in, n_out, 3, 2, padding=1, output_padding=1, bias=False)
    return conv, *norm_relu(n_out)


def upsample_resize(n_in, n_out):
    return nn.Upsample(scale_factor=2), *conv3(n_in, n_out), *norm_relu(n_out)
