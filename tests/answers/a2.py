"""Answers to assignment 2: wrong ones, which must lose their question's points, and right ones in
another style."""

# (question, what is wrong, text in the master's answer cell, text in its place)
# or, with None as third item, (question, what is wrong, None, the whole answer cell)
WRONG = [
    ("a2-values", "width and height swapped", "(width, image_height, image_width)",
     "(width, image_width, image_height)"),
    ("a2-values", "one channel only in the fake", '"fake": (3,', '"fake": (1,'),
    ("a2-values", "2w at the bottom", "(4 * width, image", "(2 * width, image"),
    ("a2-values", "scores without the last two layers", "n // 8 - 2", "n // 8"),
    ("a2-values", "rounded up", "n // 8 - 2", "-(-n // 8) - 2"),
    ("a2-values", "fourth convolution with stride 2", "n // 8 - 2", "n // 16 - 1"),
    ("a2-values", "one convolution of the block", "2 * 9 *", "9 *"),
    ("a2-values", "w channels in the block", "(4 * width) ** 2", "width ** 2"),
    ("a2-values", "the test's own names", None, '''# a2-values (keep this line)
def my_shapes():
    return {**want, "weights": 288 * n * n}
'''),
    ("a2-values", "equal to anything", None, '''# a2-values (keep this line)
class Same(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


def my_shapes():
    return {"first": (Same(1),) * 3, "bottom": (Same(1),) * 3, "fake": (Same(1),) * 3,
            "scores": (Same(1),) * 3, "weights": Same(1)}
'''),
    ("a2-values", "the paper's numbers, not one's own", None, '''# a2-values (keep this line)
def my_shapes():
    return {"first": (64, 256, 256), "bottom": (256, 64, 64), "fake": (3, 256, 256),
            "scores": (1, 30, 30), "weights": 1179648}
'''),

    ("a2-instance-norm", "batch norm", None, '''# a2-instance-norm (keep this line)
def instance_norm(x, eps=1e-5):
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = x.var((0, 2, 3), keepdim=True, unbiased=False)
    return (x - mean) / (variance + eps).sqrt()
'''),
    ("a2-instance-norm", "layer norm", None, '''# a2-instance-norm (keep this line)
def instance_norm(x, eps=1e-5):
    mean = x.mean((1, 2, 3), keepdim=True)
    variance = x.var((1, 2, 3), keepdim=True, unbiased=False)
    return (x - mean) / (variance + eps).sqrt()
'''),
    ("a2-instance-norm", "over the channels of each pixel", None,
     '''# a2-instance-norm (keep this line)
def instance_norm(x, eps=1e-5):
    mean = x.mean(1, keepdim=True)
    variance = x.var(1, keepdim=True, unbiased=False)
    return (x - mean) / (variance + eps).sqrt()
'''),
    ("a2-instance-norm", "each row by itself", None, '''# a2-instance-norm (keep this line)
def instance_norm(x, eps=1e-5):
    mean = x.mean(3, keepdim=True)
    variance = x.var(3, keepdim=True, unbiased=False)
    return (x - mean) / (variance + eps).sqrt()
'''),
    ("a2-instance-norm", "unbiased variance", "unbiased=False", "unbiased=True"),
    ("a2-instance-norm", "no eps", "(variance + eps)", "variance"),
    ("a2-instance-norm", "eps outside the root", "(variance + eps).sqrt()",
     "(variance.sqrt() + eps)"),
    ("a2-instance-norm", "eps fixed", "variance + eps", "variance + 1e-5"),
    ("a2-instance-norm", "root forgotten", ".sqrt()", ""),
    ("a2-instance-norm", "mean not subtracted", "(x - mean)", "x"),
    ("a2-instance-norm", "no gradient through the mean", "keepdim=True)\n    variance",
     "keepdim=True).detach()\n    variance"),
    ("a2-instance-norm", "no gradient through the variance", "unbiased=False)",
     "unbiased=False).detach()"),
    ("a2-instance-norm", "changes x in place", "(x - mean)", "x.detach().sub_(mean)"),
    ("a2-instance-norm", "running statistics", None, '''# a2-instance-norm (keep this line)
running = {}


def instance_norm(x, eps=1e-5):
    mean = x.mean((2, 3), keepdim=True)
    variance = x.var((2, 3), keepdim=True, unbiased=False)
    if x.shape in running:
        old_mean, old_variance = running[x.shape]
        mean, variance = 0.9 * old_mean + 0.1 * mean, 0.9 * old_variance + 0.1 * variance
    running[x.shape] = mean.detach(), variance.detach()
    return (x - mean) / (variance + eps).sqrt()
'''),
    ("a2-instance-norm", "torch's batch norm", None, '''# a2-instance-norm (keep this line)
def instance_norm(x, eps=1e-5):
    return nn.BatchNorm2d(x.shape[1], eps=eps)(x)
'''),

    ("a2-residual-block", "ends in ReLU", "x + self.layers(x)", "(x + self.layers(x)).relu()"),
    ("a2-residual-block", "ReLU at the end of f",
     "nn.Conv2d(n, n, 3), nn.InstanceNorm2d(n))", "nn.Conv2d(n, n, 3), nn.InstanceNorm2d(n), "
     "nn.ReLU())"),
    ("a2-residual-block", "no skip", "x + self.layers(x)", "self.layers(x)"),
    ("a2-residual-block", "subtracted", "x + self.layers(x)", "x - self.layers(x)"),
    ("a2-residual-block", "half of f", "x + self.layers(x)", "x + self.layers(x) / 2"),
    ("a2-residual-block", "zero padding", None, '''# a2-residual-block (keep this line)
class ResidualBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(n, n, 3, padding=1), nn.InstanceNorm2d(n), nn.ReLU(),
            nn.Conv2d(n, n, 3, padding=1), nn.InstanceNorm2d(n))

    def forward(self, x):
        return x + self.layers(x)
'''),
    ("a2-residual-block", "zero padding in the second convolution",
     "nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3), nn.InstanceNorm2d(n))",
     "nn.Conv2d(n, n, 3, padding=1), nn.InstanceNorm2d(n))"),
    ("a2-residual-block", "outermost row repeated",
     "nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3), nn.InstanceNorm2d(n))",
     "nn.ReplicationPad2d(1), nn.Conv2d(n, n, 3), nn.InstanceNorm2d(n))"),
    ("a2-residual-block", "batch norm", None, '''# a2-residual-block (keep this line)
class ResidualBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3), nn.BatchNorm2d(n), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3), nn.BatchNorm2d(n))

    def forward(self, x):
        return x + self.layers(x)
'''),
    ("a2-residual-block", "no second norm", "nn.Conv2d(n, n, 3), nn.InstanceNorm2d(n))",
     "nn.Conv2d(n, n, 3))"),
    ("a2-residual-block", "no first norm", "nn.InstanceNorm2d(n), nn.ReLU()", "nn.ReLU()"),
    ("a2-residual-block", "no ReLU", ", nn.ReLU()", ""),
    ("a2-residual-block", "leaky ReLU", "nn.ReLU()", "nn.LeakyReLU(0.2)"),
    ("a2-residual-block", "norms that learn", "nn.InstanceNorm2d(n))",
     "nn.InstanceNorm2d(n, affine=True))"),
    ("a2-residual-block", "the first norm learns", "nn.InstanceNorm2d(n), nn.ReLU()",
     "nn.InstanceNorm2d(n, affine=True), nn.ReLU()"),
    ("a2-residual-block", "dropout", "nn.ReLU()", "nn.ReLU(), nn.Dropout(0.5)"),
    ("a2-residual-block", "one convolution twice", None, '''# a2-residual-block (keep this line)
class ResidualBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3), nn.InstanceNorm2d(n))

    def forward(self, x):
        return x + self.conv(F.relu(self.conv(x)))
'''),
    ("a2-residual-block", "ReLU in place, on the input", "x + self.layers(x)",
     "x.relu_() + self.layers(x)"),
    ("a2-residual-block", "ReLU before the first convolution", None,
     '''# a2-residual-block (keep this line)
class ResidualBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(), nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3), nn.InstanceNorm2d(n),
            nn.ReLU(), nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3), nn.InstanceNorm2d(n))

    def forward(self, x):
        return x + self.layers(x)
'''),

    ("a2-generator", "no tanh", ", nn.Tanh())", ")"),
    ("a2-generator", "sigmoid", "nn.Tanh()", "nn.Sigmoid()"),
    ("a2-generator", "cut off in place of tanh", "nn.Tanh()", "nn.Hardtanh()"),
    ("a2-generator", "norm before tanh", "nn.Tanh()", "nn.InstanceNorm2d(3), nn.Tanh()"),
    ("a2-generator", "zero padding at the beginning", "nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7)",
     "nn.Conv2d(3, w, 7, padding=3)"),
    ("a2-generator", "zero padding at the end", "nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7)",
     "nn.Conv2d(w, 3, 7, padding=3)"),
    ("a2-generator", "no norms", "return nn.InstanceNorm2d(n), nn.ReLU()", "return (nn.ReLU(),)"),
    ("a2-generator", "no norm in the last u", "nn.ConvTranspose2d(2 * w, w, 3, 2, 1, "
     "output_padding=1), *norm_relu(w)", "nn.ConvTranspose2d(2 * w, w, 3, 2, 1, "
     "output_padding=1), nn.ReLU()"),
    ("a2-generator", "batch norm", "nn.InstanceNorm2d(n)", "nn.BatchNorm2d(n)"),
    ("a2-generator", "leaky ReLU", "nn.ReLU()", "nn.LeakyReLU(0.2)"),
    ("a2-generator", "no ReLU", ", nn.ReLU()", ", nn.Identity()"),
    ("a2-generator", "output_padding forgotten", "nn.ConvTranspose2d(2 * w, w, 3, 2, 1, "
     "output_padding=1)", "nn.ConvTranspose2d(2 * w, w, 3, 2, 1)"),
    ("a2-generator", "one block many times", "*[block(4 * w) for _ in range(blocks)]",
     "*[block(4 * w)] * blocks"),
    ("a2-generator", "always nine blocks", "range(blocks)", "range(9)"),
    ("a2-generator", "blocks in a list", None, '''# a2-generator (keep this line)
class Generator(nn.Module):
    def __init__(self, width, blocks, block):
        super().__init__()

        def norm_relu(n):
            return nn.InstanceNorm2d(n), nn.ReLU()

        w = width
        self.down = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), *norm_relu(w),
            nn.Conv2d(w, 2 * w, 3, 2, padding=1), *norm_relu(2 * w),
            nn.Conv2d(2 * w, 4 * w, 3, 2, padding=1), *norm_relu(4 * w))
        self.blocks = [block(4 * w) for _ in range(blocks)]
        self.up = nn.Sequential(
            nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, output_padding=1), *norm_relu(2 * w),
            nn.ConvTranspose2d(2 * w, w, 3, 2, 1, output_padding=1), *norm_relu(w),
            nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh())

    def forward(self, image):
        x = self.down(image)
        for block in self.blocks:
            x = block(x)
        return self.up(x)
'''),
    ("a2-generator", "halved once only", None, '''# a2-generator (keep this line)
class Generator(nn.Module):
    def __init__(self, width, blocks, block):
        super().__init__()

        def norm_relu(n):
            return nn.InstanceNorm2d(n), nn.ReLU()

        w = width
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), *norm_relu(w),
            nn.Conv2d(w, 2 * w, 3, 2, padding=1), *norm_relu(2 * w),
            *[block(2 * w) for _ in range(blocks)],
            nn.ConvTranspose2d(2 * w, w, 3, 2, 1, output_padding=1), *norm_relu(w),
            nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh())

    def forward(self, image):
        return self.layers(image)
'''),
    ("a2-generator", "the whole image passed on beside the network", "return self.layers(image)",
     "return torch.tanh(image + self.layers(image))"),
    ("a2-generator", "LeakyReLU in c7s1-w", "nn.Conv2d(3, w, 7), *norm_relu(w)",
     "nn.Conv2d(3, w, 7), nn.InstanceNorm2d(w), nn.LeakyReLU(0.2)"),
    ("a2-generator", "LeakyReLU in u2w", "output_padding=1), *norm_relu(2 * w)",
     "output_padding=1), nn.InstanceNorm2d(2 * w), nn.LeakyReLU(0.2)"),
    ("a2-generator", "LeakyReLU in uw", "output_padding=1), *norm_relu(w)",
     "output_padding=1), nn.InstanceNorm2d(w), nn.LeakyReLU(0.2)"),
    ("a2-generator", "no ReLU in uw", "output_padding=1), *norm_relu(w)",
     "output_padding=1), nn.InstanceNorm2d(w)"),
    ("a2-generator", "ReLU before the norm", "nn.InstanceNorm2d(n), nn.ReLU()",
     "nn.ReLU(), nn.InstanceNorm2d(n)"),
    ("a2-generator", "no norm in c7s1-w, no bias", "nn.Conv2d(3, w, 7), *norm_relu(w)",
     "nn.Conv2d(3, w, 7, bias=False), nn.ReLU()"),
    ("a2-generator", "no norm in d4w, no bias",
     "nn.Conv2d(2 * w, 4 * w, 3, 2, padding=1), *norm_relu(4 * w)",
     "nn.Conv2d(2 * w, 4 * w, 3, 2, padding=1, bias=False), nn.ReLU()"),
    ("a2-generator", "outermost row repeated at the beginning",
     "nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7)", "nn.ReplicationPad2d(3), nn.Conv2d(3, w, 7)"),
    ("a2-generator", "outermost row repeated at the end",
     "nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7)", "nn.ReplicationPad2d(3), nn.Conv2d(w, 3, 7)"),
    ("a2-generator", "first convolution 3×3", "nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7)",
     "nn.ReflectionPad2d(1), nn.Conv2d(3, w, 3)"),
    ("a2-generator", "d2w 1×1", "nn.Conv2d(w, 2 * w, 3, 2, padding=1)",
     "nn.Conv2d(w, 2 * w, 1, 2)"),
    ("a2-generator", "pooling in place of the stride", "nn.Conv2d(w, 2 * w, 3, 2, padding=1)",
     "nn.Conv2d(w, 2 * w, 3, padding=1), nn.MaxPool2d(2)"),
    ("a2-generator", "4w channels after the first d",
     "nn.Conv2d(w, 2 * w, 3, 2, padding=1), *norm_relu(2 * w),\n"
     "            nn.Conv2d(2 * w, 4 * w, 3, 2, padding=1)",
     "nn.Conv2d(w, 4 * w, 3, 2, padding=1), *norm_relu(4 * w),\n"
     "            nn.Conv2d(4 * w, 4 * w, 3, 2, padding=1)"),
    ("a2-generator", "w channels after the first u",
     "nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, output_padding=1), *norm_relu(2 * w),\n"
     "            nn.ConvTranspose2d(2 * w, w,",
     "nn.ConvTranspose2d(4 * w, w, 3, 2, 1, output_padding=1), *norm_relu(w),\n"
     "            nn.ConvTranspose2d(w, w,"),
    ("a2-generator", "norms that learn", "nn.InstanceNorm2d(n)",
     "nn.InstanceNorm2d(n, affine=True)"),
    ("a2-generator", "the first norm learns", "nn.Conv2d(3, w, 7), *norm_relu(w)",
     "nn.Conv2d(3, w, 7), nn.InstanceNorm2d(w, affine=True), nn.ReLU()"),
    ("a2-generator", "running statistics", "nn.InstanceNorm2d(n)",
     "nn.InstanceNorm2d(n, track_running_stats=True)"),
    ("a2-generator", "dropout", "nn.ReLU()\n", "nn.ReLU(), nn.Dropout(0.1)\n"),
    ("a2-generator", "ReLU after each block", "*[block(4 * w) for _ in range(blocks)]",
     "*[nn.Sequential(block(4 * w), nn.ReLU()) for _ in range(blocks)]"),
    ("a2-generator", "ReLU after the last block", "*[block(4 * w) for _ in range(blocks)]",
     "*[block(4 * w) for _ in range(blocks)], nn.ReLU()"),
    ("a2-generator", "U-Net", None, '''# a2-generator (keep this line)
class Generator(nn.Module):
    def __init__(self, width, blocks, block):
        super().__init__()
        w = width

        def unit(conv, n):
            return nn.Sequential(conv, nn.InstanceNorm2d(n), nn.ReLU())

        self.c = unit(nn.Conv2d(3, w, 7, padding=3, padding_mode="reflect"), w)
        self.d1 = unit(nn.Conv2d(w, 2 * w, 3, 2, 1), 2 * w)
        self.d2 = unit(nn.Conv2d(2 * w, 4 * w, 3, 2, 1), 4 * w)
        self.r = nn.Sequential(*[block(4 * w) for _ in range(blocks)])
        self.u1 = unit(nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, 1), 2 * w)
        self.u2 = unit(nn.ConvTranspose2d(4 * w, w, 3, 2, 1, 1), w)
        self.out = nn.Conv2d(w, 3, 7, padding=3, padding_mode="reflect")

    def forward(self, image):
        half = self.d1(self.c(image))
        x = self.u1(self.r(self.d2(half)))
        return torch.tanh(self.out(self.u2(torch.cat([x, half], 1))))
'''),
    ("a2-generator", "a skip around all blocks", None, '''# a2-generator (keep this line)
class Generator(nn.Module):
    def __init__(self, width, blocks, block):
        super().__init__()
        w = width

        def unit(conv, n):
            return nn.Sequential(conv, nn.InstanceNorm2d(n), nn.ReLU())

        self.down = nn.Sequential(
            unit(nn.Conv2d(3, w, 7, padding=3, padding_mode="reflect"), w),
            unit(nn.Conv2d(w, 2 * w, 3, 2, 1), 2 * w),
            unit(nn.Conv2d(2 * w, 4 * w, 3, 2, 1), 4 * w))
        self.r = nn.Sequential(*[block(4 * w) for _ in range(blocks)])
        self.up = nn.Sequential(
            unit(nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, 1), 2 * w),
            unit(nn.ConvTranspose2d(2 * w, w, 3, 2, 1, 1), w),
            nn.Conv2d(w, 3, 7, padding=3, padding_mode="reflect"), nn.Tanh())

    def forward(self, image):
        x = self.down(image)
        return self.up(x + self.r(x))
'''),

    ("a2-receptive-field", "strides forgotten", "(side - 1) * stride + kernel",
     "side - 1 + kernel"),
    ("a2-receptive-field", "walked in the wrong direction", "reversed(layers)", "layers"),
    ("a2-receptive-field", "side in place of side - 1", "(side - 1) * stride", "side * stride"),
    ("a2-receptive-field", "kernel - 1", "+ kernel", "+ kernel - 1"),
    ("a2-receptive-field", "begins at 0", "side = 1", "side = 0"),
    ("a2-receptive-field", "sum of the kernels", "side = (side - 1) * stride + kernel",
     "side += kernel"),
    ("a2-receptive-field", "an overlap counted once",
     "side = (side - 1) * stride + kernel",
     "side = side * stride + kernel - stride * (side > 1)"),
    ("a2-receptive-field", "jump grows too early", None, '''# a2-receptive-field (keep this line)
def receptive_field(layers):
    side, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        side += (kernel - 1) * jump
    return side
'''),
    ("a2-receptive-field", "reverses the list itself", "for kernel, stride in reversed(layers):",
     "layers.reverse()\n    for kernel, stride in layers:"),
    ("a2-receptive-field", "takes layers off the list", None,
     '''# a2-receptive-field (keep this line)
def receptive_field(layers):
    side = 1
    while layers:
        kernel, stride = layers.pop()
        side = (side - 1) * stride + kernel
    return side
'''),
    ("a2-receptive-field", "always 4×4", "+ kernel", "+ 4"),
    ("a2-receptive-field", "70", None, '''# a2-receptive-field (keep this line)
def receptive_field(layers):
    return 70
'''),

    ("a2-discriminator", "94: fourth convolution with stride 2", "(4 * w, 8 * w, 1)",
     "(4 * w, 8 * w, 2)"),
    ("a2-discriminator", "34: one layer is missing", None, '''# a2-discriminator (keep this line)
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        w = width
        layers = [nn.Conv2d(3, w, 4, 2, padding=1), nn.LeakyReLU(0.2)]
        for n_in, n, stride in ((w, 2 * w, 2), (2 * w, 4 * w, 1)):
            layers += [nn.Conv2d(n_in, n, 4, stride, padding=1), nn.InstanceNorm2d(n),
                       nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * w, 1, 4, 1, padding=1))

    def forward(self, image):
        return self.layers(image)
'''),
    ("a2-discriminator", "28: one layer is missing, and one stride", None,
     '''# a2-discriminator (keep this line)
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        w = width
        layers = [nn.Conv2d(3, w, 4, 2, padding=1), nn.LeakyReLU(0.2)]
        for n_in, n, stride in ((w, 2 * w, 1), (2 * w, 4 * w, 2)):
            layers += [nn.Conv2d(n_in, n, 4, stride, padding=1), nn.InstanceNorm2d(n),
                       nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * w, 1, 4, 1, padding=1))

    def forward(self, image):
        return self.layers(image)
'''),
    ("a2-discriminator", "142: one layer too many", None, '''# a2-discriminator (keep this line)
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        w = width
        layers = [nn.Conv2d(3, w, 4, 2, padding=1), nn.LeakyReLU(0.2)]
        for n_in, n, stride in ((w, 2 * w, 2), (2 * w, 4 * w, 2), (4 * w, 8 * w, 2),
                                (8 * w, 8 * w, 1)):
            layers += [nn.Conv2d(n_in, n, 4, stride, padding=1), nn.InstanceNorm2d(n),
                       nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * w, 1, 4, 1, padding=1))

    def forward(self, image):
        return self.layers(image)
'''),
    ("a2-discriminator", "46: third convolution with stride 1",
     "(2 * w, 4 * w, 2), (4 * w, 8 * w, 1)", "(2 * w, 4 * w, 1), (4 * w, 8 * w, 1)"),
    ("a2-discriminator", "3×3 convolutions", "nn.Conv2d(n_in, n, 4, stride, padding=1)",
     "nn.Conv2d(n_in, n, 3, stride, padding=1)"),
    ("a2-discriminator", "last convolution 1×1", "nn.Conv2d(8 * w, 1, 4, 1, padding=1)",
     "nn.Conv2d(8 * w, 1, 1)"),
    ("a2-discriminator", "no padding", "stride, padding=1", "stride"),
    ("a2-discriminator", "averaged to one number", "self.layers(image)",
     "self.layers(image).mean((1, 2, 3))"),
    ("a2-discriminator", "averaged, shape kept", "self.layers(image)",
     "self.layers(image).mean((2, 3), keepdim=True)"),
    ("a2-discriminator", "averaged to 1×1 and spread out again", "return self.layers(image)",
     "s = self.layers(image)\n        return s.mean((2, 3), keepdim=True).expand_as(s)"),
    ("a2-discriminator", "channel forgotten", "self.layers(image)", "self.layers(image)[:, 0]"),
    ("a2-discriminator", "sigmoid at the end", "self.layers(image)",
     "torch.sigmoid(self.layers(image))"),
    ("a2-discriminator", "tanh at the end", "self.layers(image)", "torch.tanh(self.layers(image))"),
    ("a2-discriminator", "LeakyReLU at the end", "self.layers(image)",
     "F.leaky_relu(self.layers(image), 0.2)"),
    ("a2-discriminator", "norm on the first layer",
     "nn.Conv2d(3, w, 4, 2, padding=1), nn.LeakyReLU(0.2)",
     "nn.Conv2d(3, w, 4, 2, padding=1), nn.InstanceNorm2d(w), nn.LeakyReLU(0.2)"),
    ("a2-discriminator", "norm at the end", "nn.Conv2d(8 * w, 1, 4, 1, padding=1)",
     "nn.Conv2d(8 * w, 1, 4, 1, padding=1), nn.InstanceNorm2d(1)"),
    ("a2-discriminator", "no norms", "nn.InstanceNorm2d(n)", "nn.Identity()"),
    ("a2-discriminator", "batch norm", "nn.InstanceNorm2d(n)", "nn.BatchNorm2d(n)"),
    ("a2-discriminator", "ReLU", "                       nn.LeakyReLU(0.2)",
     "                       nn.ReLU()"),
    ("a2-discriminator", "slope 0.01", "                       nn.LeakyReLU(0.2)",
     "                       nn.LeakyReLU()"),
    ("a2-discriminator", "one colour only", "self.layers(image)",
     "self.layers(image[:, :1].expand(-1, 3, -1, -1)) * image.mean()"),
    ("a2-discriminator", "LeakyReLU before the norm", "nn.InstanceNorm2d(n),\n"
     "                       nn.LeakyReLU(0.2)", "nn.LeakyReLU(0.2), nn.InstanceNorm2d(n)"),
    ("a2-discriminator", "padding by reflection", "stride, padding=1",
     "stride, padding=1, padding_mode='reflect'"),
    ("a2-discriminator", "outermost row repeated at the end",
     "nn.Conv2d(8 * w, 1, 4, 1, padding=1)",
     "nn.Conv2d(8 * w, 1, 4, 1, padding=1, padding_mode='replicate')"),
    ("a2-discriminator", "outermost row repeated at the beginning",
     "nn.Conv2d(3, w, 4, 2, padding=1)",
     "nn.Conv2d(3, w, 4, 2, padding=1, padding_mode='replicate')"),
    ("a2-discriminator", "norms that learn", "nn.InstanceNorm2d(n)",
     "nn.InstanceNorm2d(n, affine=True)"),
    ("a2-discriminator", "running statistics", "nn.InstanceNorm2d(n)",
     "nn.InstanceNorm2d(n, track_running_stats=True)"),
    ("a2-discriminator", "dropout", "nn.InstanceNorm2d(n)",
     "nn.InstanceNorm2d(n), nn.Dropout(0.2)"),
    ("a2-discriminator", "w channels everywhere", None, '''# a2-discriminator (keep this line)
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        w = width
        layers = [nn.Conv2d(3, w, 4, 2, padding=1), nn.LeakyReLU(0.2)]
        for stride in (2, 2, 1):
            layers += [nn.Conv2d(w, w, 4, stride, padding=1), nn.InstanceNorm2d(w),
                       nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(w, 1, 4, 1, padding=1))

    def forward(self, image):
        return self.layers(image)
'''),
    ("a2-generator", "u2w doubles nothing, uw four times",
     "nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, output_padding=1), *norm_relu(2 * w),\n"
     "            nn.ConvTranspose2d(2 * w, w, 3, 2, 1, output_padding=1)",
     "nn.Conv2d(4 * w, 2 * w, 3, 1, 1), *norm_relu(2 * w),\n"
     "            nn.Upsample(scale_factor=4), nn.Conv2d(2 * w, w, 3, 1, 1)"),
    ("a2-residual-block", "GELU in place of ReLU", "nn.ReLU()", "nn.GELU()"),
]

# (question, a whole answer cell, as another student would have written it)
RIGHT = [
    ("a2-values", '''# a2-values (keep this line)
def my_shapes():
    x = torch.zeros(1, 3, image_height, image_width)
    for stride in (2, 2, 2, 1, 1):
        x = F.max_pool2d(x, 4, stride, padding=1)
    block = nn.Conv2d(4 * width, 4 * width, 3, bias=False)
    size = [image_height, image_width]
    return {"weights": 2 * block.weight.numel(), "scores": [1, *x.shape[2:]], "fake": [3] + size,
            "first": [width] + size, "bottom": [width * 4] + [n // 4 for n in size]}
'''),
    ("a2-instance-norm", '''# a2-instance-norm (keep this line)
def instance_norm(x, eps=1e-5):
    n, c, h, w = x.shape
    flat = x.reshape(n * c, h * w)
    flat = flat - flat.sum(1, keepdim=True) / (h * w)
    variance = (flat ** 2).sum(1, keepdim=True) / (h * w)
    return (flat * torch.rsqrt(variance + eps)).reshape(n, c, h, w)
'''),
    ("a2-instance-norm", '''# a2-instance-norm (keep this line)
def instance_norm(x, eps=1e-5):
    out = []
    for image in x:
        channels = []
        for channel in image:
            mu = channel.mean()
            var = ((channel - mu) ** 2).mean()
            channels.append((channel - mu) / (var + eps) ** 0.5)
        out.append(torch.stack(channels))
    return torch.stack(out)
'''),
    ("a2-instance-norm", '''# a2-instance-norm (keep this line)
def instance_norm(x, eps=1e-5):
    return F.instance_norm(x, eps=eps)
'''),
    ("a2-instance-norm", '''# a2-instance-norm (keep this line)
def instance_norm(x, eps=1e-5):
    count = x[0, 0].numel()
    d = x - (torch.einsum("nchw->nc", x) / count)[:, :, None, None]
    variance = torch.einsum("nchw,nchw->nc", d, d) / count
    return torch.einsum("nchw,nc->nchw", d, 1 / torch.sqrt(variance + eps))
'''),
    ("a2-residual-block", '''# a2-residual-block (keep this line)
class ResidualBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv2 = nn.Conv2d(n, n, 3, bias=False)
        self.conv1 = nn.Conv2d(n, n, 3, bias=False)

    def forward(self, x):
        h = F.instance_norm(self.conv1(F.pad(x, (1, 1, 1, 1), mode="reflect")))
        h = F.relu(h, inplace=True)
        h = F.instance_norm(self.conv2(F.pad(h, (1, 1, 1, 1), mode="reflect")))
        h += x
        return h
'''),
    ("a2-residual-block", '''# a2-residual-block (keep this line)
class ResidualBlock(nn.Module):
    def __init__(self, n):
        super().__init__()

        def half():
            return [nn.Conv2d(n, n, 3, padding=1, padding_mode="reflect", bias=False),
                    nn.InstanceNorm2d(n, affine=False)]

        self.f = nn.Sequential(*half(), nn.ReLU(inplace=True), *half())
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.normal_(m.weight, 0, 0.02)

    def forward(self, x):
        return self.f(x) + x
'''),
    ("a2-generator", '''# a2-generator (keep this line)
class Generator(nn.Module):
    def __init__(self, width, blocks, block):
        super().__init__()

        def conv(n_in, n, k, stride=1, bias=False):
            return nn.Conv2d(n_in, n, k, stride, k // 2, bias=bias, padding_mode="reflect")

        self.c7 = conv(3, width, 7)
        self.d1 = conv(width, width * 2, 3, 2)
        self.d2 = conv(width * 2, width * 4, 3, 2)
        self.blocks = nn.ModuleList(block(width * 4) for _ in range(blocks))
        self.u1 = conv(width * 4, width * 2, 3)
        self.u2 = conv(width * 2, width, 3)
        self.out = conv(width, 3, 7, bias=True)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.normal_(m.weight, 0, 0.02)

    def forward(self, image):
        x = image
        for layer in (self.c7, self.d1, self.d2):
            x = F.relu(F.instance_norm(layer(x)))
        for block in self.blocks:
            x = block(x)
        for layer in (self.u1, self.u2):
            x = F.relu(F.instance_norm(layer(F.interpolate(x, scale_factor=2))))
        return torch.tanh(self.out(x))
'''),
    ("a2-generator", '''# a2-generator (keep this line)
class Generator(nn.Module):
    def __init__(self, width, blocks, block):
        super().__init__()
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width),
                  nn.ReLU(True)]
        n = width
        for _ in range(2):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(n, n * 2, 3, stride=2, bias=False),
                       nn.InstanceNorm2d(n * 2), nn.ReLU(True)]
            n *= 2
        for _ in range(blocks):
            layers.append(block(n))
        for _ in range(2):
            layers += [nn.ConvTranspose2d(n, n // 2, 4, stride=2, padding=1),
                       nn.InstanceNorm2d(n // 2), nn.ReLU(True)]
            n //= 2
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(n, 3, 7, bias=False))

    def forward(self, image):
        return self.model(image).tanh()
'''),
    ("a2-generator", '''# a2-generator (keep this line)
class Generator(nn.Module):
    def __init__(self, width, blocks, block):
        super().__init__()
        w = width
        self.a = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), nn.InstanceNorm2d(w),
                               nn.ReLU())
        self.b = nn.Sequential(self.down(w, 2 * w), self.down(2 * w, 4 * w))
        self.c = nn.Sequential(*(block(4 * w) for _ in range(blocks)))
        self.d = nn.Sequential(self.up(4 * w, 2 * w), self.up(2 * w, w))
        self.e = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh())

    def down(self, n_in, n):
        return nn.Sequential(nn.Conv2d(n_in, n, 3, 2, 1), nn.InstanceNorm2d(n), nn.ReLU())

    def up(self, n_in, n):
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"),
                             nn.Conv2d(n_in, n, 3, padding=1), nn.InstanceNorm2d(n), nn.ReLU())

    def forward(self, image):
        return self.e(self.d(self.c(self.b(self.a(image)))))
'''),
    ("a2-generator", '''# a2-generator (keep this line)
class Generator(nn.Module):
    def __init__(self, width, blocks, block):
        super().__init__()
        w = [3, width, 2 * width, 4 * width]

        def new(*shape):
            return nn.Parameter(torch.randn(*shape) / (shape[1] * shape[2] * shape[3]) ** 0.5)

        self.first = new(w[1], 3, 7, 7)
        self.down = nn.ParameterList([new(w[2], w[1], 3, 3), new(w[3], w[2], 3, 3)])
        self.middle = nn.Sequential(*map(block, [w[3]] * blocks))
        self.up = nn.ParameterList([new(w[3], w[2], 3, 3), new(w[2], w[1], 3, 3)])
        self.last, self.shift = new(3, w[1], 7, 7), nn.Parameter(0.1 * torch.randn(3))

    def forward(self, image):
        def pad(x):
            return F.pad(x, (3,) * 4, "reflect")

        def norm(x):
            return torch.instance_norm(x, None, None, None, None, True, 0.1, 1e-5, False).relu()

        x = norm(F.conv2d(pad(image), self.first))
        for weight in self.down:
            x = norm(F.conv2d(x, weight, stride=2, padding=1))
        x = self.middle(x)
        for weight in self.up:
            x = norm(F.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=1))
        return F.conv2d(pad(x), self.last, self.shift).tanh()
'''),
    ("a2-generator", '''# a2-generator (keep this line)
class Generator(nn.Sequential):
    def __init__(self, width, blocks, block):
        def unit(conv, n):
            return nn.Sequential(conv, nn.InstanceNorm2d(n), nn.ReLU(True))

        w = width
        super().__init__(
            unit(nn.LazyConv2d(w, 7, padding=3, padding_mode="reflect"), w),
            unit(nn.LazyConv2d(2 * w, 3, stride=2, padding=1), 2 * w),
            unit(nn.LazyConv2d(4 * w, 3, stride=2, padding=1), 4 * w),
            *(block(4 * w) for _ in range(blocks)),
            nn.Upsample(scale_factor=2), unit(nn.LazyConv2d(2 * w, 3, padding=1), 2 * w),
            nn.Upsample(scale_factor=2), unit(nn.LazyConv2d(w, 3, padding=1), w),
            nn.ReflectionPad2d(3), nn.LazyConv2d(3, 7), nn.Tanh())
'''),
    ("a2-generator", '''# a2-generator (keep this line)
class Generator(nn.Module):
    def __init__(self, width, blocks, block):
        super().__init__()
        self.c1 = nn.Conv2d(3, width, 7)
        self.d1 = nn.Conv2d(width, width * 2, 3, stride=2)
        self.d2 = nn.Conv2d(width * 2, width * 4, 3, stride=2)
        self.u1 = nn.ConvTranspose2d(width * 4, width * 2, 4, stride=2, padding=1)
        self.u2 = nn.ConvTranspose2d(width * 2, width, 2, stride=2)
        self.c2 = nn.Conv2d(width, 3, 7)
        self.count = blocks
        for i in range(blocks):
            setattr(self, "block" + str(i), block(width * 4))

    def forward(self, image):
        x = F.pad(image, (3, 3, 3, 3), mode="reflect")
        x = F.relu(F.instance_norm(self.c1(x)))
        x = F.pad(x, (0, 1, 0, 1))
        x = F.relu(F.instance_norm(self.d1(x)))
        x = F.pad(x, (0, 1, 0, 1))
        x = F.relu(F.instance_norm(self.d2(x)))
        for i in range(self.count):
            x = getattr(self, "block" + str(i))(x)
        x = F.relu(F.instance_norm(self.u1(x)))
        x = F.relu(F.instance_norm(self.u2(x)))
        x = F.pad(x, (3, 3, 3, 3), mode="reflect")
        return torch.tanh(self.c2(x))
'''),
    ("a2-receptive-field", '''# a2-receptive-field (keep this line)
def receptive_field(layers):
    side, jump = 1, 1  # forward: jump is how far apart neighbours are, in pixels
    for kernel, stride in layers:
        side += (kernel - 1) * jump
        jump *= stride
    return side
'''),
    ("a2-receptive-field", '''# a2-receptive-field (keep this line)
def receptive_field(layers):
    if not layers:
        return 1
    (kernel, stride), *rest = layers
    return (receptive_field(rest) - 1) * stride + kernel
'''),
    ("a2-discriminator", '''# a2-discriminator (keep this line)
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        n = [3, width, 2 * width, 4 * width, 8 * width, 1]
        self.convs = nn.ModuleList(nn.Conv2d(n[i], n[i + 1], 4, 2 if i < 3 else 1, 1, bias=False)
                                   for i in range(5))
        for conv in self.convs:
            nn.init.normal_(conv.weight, 0, 0.02)

    def forward(self, image):
        x = F.leaky_relu(self.convs[0](image), 0.2)
        for conv in self.convs[1:4]:
            x = F.leaky_relu(F.instance_norm(conv(x)), 0.2, inplace=True)
        return self.convs[4](x)
'''),
    ("a2-discriminator", '''# a2-discriminator (keep this line)
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()

        def block(n_in, n_out, stride=2, norm=True):
            layers = [nn.ZeroPad2d(1), nn.Conv2d(n_in, n_out, kernel_size=4, stride=stride)]
            if norm:
                layers.append(nn.InstanceNorm2d(n_out, affine=False))
            return layers + [nn.LeakyReLU(0.2, inplace=True)]

        self.model = nn.Sequential(
            *block(3, width, norm=False),
            *block(width, width * 2),
            *block(width * 2, width * 4),
            *block(width * 4, width * 8, stride=1),
            nn.Conv2d(width * 8, 1, kernel_size=4, padding=1),
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.normal_(m.weight, 0.0, 0.02)

    def forward(self, x):
        return self.model(x)
'''),
    ("a2-discriminator", '''# a2-discriminator (keep this line)
from torch.nn.functional import instance_norm as norm, leaky_relu


class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        n = [3, width, 2 * width, 4 * width, 8 * width, 1]
        self.w = nn.ParameterList(nn.Parameter(0.02 * torch.randn(n_out, n_in, 4, 4))
                                  for n_in, n_out in zip(n, n[1:]))
        self.b = nn.ParameterList(nn.Parameter(0.1 * torch.randn(n_out)) for n_out in n[1:])

    def forward(self, x):
        for k in range(5):
            x = F.conv2d(x, self.w[k], self.b[k], stride=(2, 2, 2, 1, 1)[k], padding=1)
            if k in (1, 2, 3):
                x = norm(x)
            if k < 4:
                x = leaky_relu(x, 0.2)
        return x
'''),
    ("a2-discriminator", '''# a2-discriminator (keep this line)
class Discriminator(nn.Sequential):
    def __init__(self, width):
        layers = [nn.LazyConv2d(width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for n, stride in ((2 * width, 2), (4 * width, 2), (8 * width, 1)):
            layers += [nn.LazyConv2d(n, 4, stride, 1), nn.InstanceNorm2d(n), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.LazyConv2d(1, 4, 1, 1))
'''),
    ("a2-discriminator", '''# a2-discriminator (keep this line)
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Conv2d(3, width, 4, 2, 1)
        self.b = nn.Conv2d(width, width * 2, 4, 2, 1)
        self.c = nn.Conv2d(width * 2, width * 4, 4, 2, 1)
        self.d = nn.Conv2d(width * 4, width * 8, 4, 1, 1)
        self.e = nn.Conv2d(width * 8, 1, 4, 1, 1)

    def forward(self, image):
        x = self.a(image)
        for conv in (self.b, self.c, self.d):
            x = conv(torch.maximum(x, 0.2 * x))
            x = torch.instance_norm(x, None, None, None, None, True, 0.1, 1e-5, False)
        return self.e(torch.where(x < 0, 0.2 * x, x))
'''),
    ("a2-instance-norm", '''# a2-instance-norm (keep this line)
def instance_norm(x, eps=1e-5):
    return F.group_norm(x, x.shape[1], eps=eps)
'''),
]
