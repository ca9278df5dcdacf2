"""The discriminator: a PatchGAN, which judges every patch of an image (paper, section 7.2).

    C64, C128, C256, C512, then one 4×4 convolution to a single channel

Each score sees a patch of 70×70 pixels and nothing else, so D judges texture and local shape, and
works on images of any size. `D_B` judges whether patches belong to domain B.
"""

from torch import nn


class Discriminator(nn.Module):
    """Image to score map: (N, channels, H, W) in [-1, 1] to (N, 1, H', W'), raw scores.

    The scores are not probabilities (no sigmoid) and not averaged: the loss does both.
    256×256 gives 30×30 scores with the paper's settings.

    width     channels after the first layer; the paper's 64
    depth     convolutions that halve the image; the paper's 3; each doubles the patch, roughly:
              16, 34, 70, 142 pixels for depth 1, 2, 3, 4
    channels  3 for colour, 1 for grayscale

    Images smaller than `smallest_input()` on a side make forward raise ValueError.
    """

    def __init__(self, width=64, depth=3, channels=3):
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth is at least 1, not {depth}")
        self.depth = depth
        # No norm on the first layer, hence a bias there; none where a norm would cancel it.
        layers = [nn.Conv2d(channels, width, 4, 2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        n = width
        for i in range(1, depth + 1):
            n_in, n = n, width * min(2**i, 8)
            stride = 2 if i < depth else 1  # the last of them keeps the size
            layers += [nn.Conv2d(n_in, n, 4, stride, padding=1, bias=False),
                       nn.InstanceNorm2d(n), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(n, 1, 4, padding=1))
        for m in self.modules():  # section 7.1: weights from N(0, 0.02)
            if isinstance(m, nn.Conv2d):
                nn.init.normal_(m.weight, 0.0, 0.02)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, image):
        if min(image.shape[-2:]) < self.smallest_input():
            raise ValueError(f"a discriminator of depth {self.depth} needs images of at least "
                             f"{self.smallest_input()} pixels a side, not "
                             f"{image.shape[-2]}×{image.shape[-1]}")
        return self.layers(image)

    def receptive_field(self):
        """The side of the patch that one score sees, in pixels: 70 with the paper's settings."""
        side = 1
        for m in reversed(self.layers):  # from one score back to the image
            if isinstance(m, nn.Conv2d):
                side = (side - 1) * m.stride[0] + m.kernel_size[0]
        return side

    def smallest_input(self):
        """The smallest side, in pixels: below it the last instance norm has one value to norm."""
        return 3 * 2**self.depth
