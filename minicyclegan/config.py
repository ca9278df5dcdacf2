"""All options of a run, with the presets: a minute on a laptop, hours, or the paper's recipe.

The command line makes its options of these, and a run folder keeps them in config.json.
"""

from dataclasses import dataclass

from .discriminator import Discriminator
from .engine.device import seeded
from .engine.errors import InputError
from .engine.options import check_options, dashed, option

TOY = "data/toy"

# What may change when a run is resumed: none of it changes what is learned or logged.
FREE = ("data", "device", "compile", "workers", "sample_every", "save_seconds", "keep_every")


@dataclass
class Config:
    """All options of a run. The defaults are the preset "toy"; PRESETS has the others.

    Raises InputError for a value that no run can use, and for two that exclude each other.
    """

    data: str = option(TOY, "folder with trainA and trainB (testA and testB, if there are any)")
    size: int = option(64, "train on crops of SIZE × SIZE pixels", most=8192)
    zoom: float = option(1.0, "shorter side before the crop: SIZE × ZOOM", least=1, most=16)
    flip: bool = option(True, "mirror half of the images")
    channels: int = option(3, "3 for colour, 1 for grayscale", (1, 3))
    pairs: bool = option(True, "take test images of the same name for true counterparts")
    skip_bad: bool = option(False, "leave out what cannot be read, and list it in skipped.csv")
    # the networks
    model: str = option("cyclegan", "both ways, or A to B alone", ("cyclegan", "one_way"))
    generator: str = option("unet", "the paper's ResNet, or a U-Net, better for small images",
                            ("resnet", "unet"))
    width: int = option(16, "channels after the generator's first layer", least=1, most=1024)
    blocks: int = option(1, "residual blocks of the generator", least=0, most=100)
    upsample: str = option("resize", "how the ResNet enlarges", ("transpose", "resize"))
    disc_width: int = option(32, "channels after D's first layer", least=1, most=1024)
    disc_depth: int = option(2, "halvings in D: 2 judges patches of 34 pixels, 3 of 70",
                             least=1, most=6)
    init: str = option("", "start from the networks of a run, an export, or the authors' files")
    # the losses
    adversarial: str = option("log", "adversarial loss", ("least_squares", "log"))
    reconstruction: str = option("L1", "cycle loss", ("L1", "L2"))
    lambda_adversarial: float = option(1.0, "weight of the adversarial losses", least=0)
    lambda_cycle_A: float = option(5.0, "weight of the cycle A to B to A", least=0)
    lambda_cycle_B: float = option(2.0, "weight of the cycle B to A to B", least=0)
    lambda_identity: float = option(0.0, "weight of the identity losses, times the cycle's",
                                    least=0)
    pool_size: int = option(0, "past fakes shown to D again", least=0, most=10**6)
    # the optimisation
    epochs: int = option(0, "times to go through the larger domain; 0: STEPS counts", least=0,
                         most=10**9)
    steps: int = option(0, "steps to train; 0: EPOCHS counts", least=0, most=10**12)
    flat: float = option(0.5, "share of the run at the full rate, before it falls", least=0, most=1)
    batch: int = option(1, "images of each domain in a step, for each process", least=1)
    lr: float = option(1e-3, "learning rate of Adam", least=0)
    lr_D: float = option(2e-4, "that of the discriminators; 0: as --lr", least=0)
    disc_steps: int = option(1, "steps of the discriminators for each of the generators",
                             least=1, most=100)
    beta1: float = option(0.5, "Adam's first beta", least=0, most=0.9999)
    beta2: float = option(0.999, "Adam's second beta", least=0, most=0.999999)
    average: float = option(0.0, "translate by running averages of the generators' weights, with "
                            "so much of the old: 0.999, for one; 0: off", least=0, most=0.99999)
    seed: int = option(0, "of the weights, the data order and the pools", least=0, most=2**32)
    # where and how: device and intervals do not change what is learned
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps, ...")
    precision: str = option("auto", "auto takes bf16 where it is fast", ("auto", "fp32", "bf16"))
    compile: bool = option(False, "torch.compile, for long runs on a GPU: takes minutes first")
    workers: int = option(4, "threads that read images which do not all fit in memory", least=1)
    log_every: int = option(20, "steps from one line of log.csv to the next", least=1)
    sample_every: int = option(100, "steps from one picture of samples to the next", least=1)
    save_seconds: float = option(60.0, "seconds from one checkpoint to the next", least=0)
    keep_every: int = option(0, "keep the generators of every so many steps; 0: none", least=0)

    def __post_init__(self):
        check_options(self)
        if self.epochs and self.steps:
            raise InputError("--epochs and --steps both say how long to train; give one of them.")
        if not self.epochs and not self.steps:
            self.steps = PRESETS["toy"]["steps"]
        unit = 4 if self.generator == "resnet" else 8
        with seeded(0):  # only asked for its size, its weights don't matter
            smallest = max(2 * unit, Discriminator(1, self.disc_depth).smallest_input())
        if self.size % unit or self.size < smallest:
            raise InputError(f"--size must be a multiple of {unit} and at least {smallest} for a "
                             f"{self.generator} and a discriminator of depth {self.disc_depth}, "
                             f"not {self.size}.")
        weights = ["lambda_adversarial", "lambda_cycle_A", "lambda_cycle_B"]
        used = weights if self.model == "cyclegan" else weights[:2]
        if not any(getattr(self, name) for name in used):
            raise InputError(f"--{' and --'.join(map(dashed, used))} are 0: nothing is left to "
                             "learn; give one of them a weight.")


PRESETS = {
    "toy": dict(steps=800),
    "photos": dict(size=96, zoom=112 / 96, width=24, blocks=2, disc_depth=3,
                   adversarial="least_squares", lambda_cycle_A=2.0, lambda_cycle_B=1.0,
                   pool_size=50, steps=20000, flat=0.8, lr=2e-4, lr_D=4e-4, disc_steps=3,
                   average=0.999, log_every=100, sample_every=1000),
    "paper": dict(size=256, zoom=286 / 256, generator="resnet", width=64, blocks=9,
                  upsample="transpose", disc_width=64, disc_depth=3,
                  adversarial="least_squares", lambda_cycle_A=10.0, lambda_cycle_B=10.0,
                  pool_size=50, epochs=200, lr=2e-4, lr_D=0.0, log_every=100, sample_every=2000,
                  save_seconds=300.0),
}


def make_config(preset="toy", brought=None, **named):
    """The Config of a preset with options that somebody named: those win over the preset's, and
    over those that networks have `brought` along.

    Raises InputError as Config does, and for a named option that would have no effect.
    """
    options = PRESETS[preset] | (brought or {}) | named
    for one, other in (("epochs", "steps"), ("steps", "epochs")):
        if named.get(one) and other not in named:
            options[other] = 0  # they exclude each other, and the preset's gives way
    config = Config(**options)
    for name, because in idle(config):
        if name in named:
            raise InputError(f"--{dashed(name)} has no effect {because}; leave it out.")
    return config


def idle(config):
    """The options that others of a Config switch off: (name, because of what) for each."""
    if config.model == "one_way":
        for name in ("lambda_cycle_B", "lambda_identity"):
            yield name, "with --model one_way"
    if config.generator == "unet":
        yield "upsample", "with --generator unet"
    if not config.lambda_adversarial:
        for name in ("adversarial", "pool_size", "disc_width", "lr_D", "disc_steps"):
            yield name, "with --lambda-adversarial 0"
    if not config.lambda_cycle_A and not (config.model == "cyclegan" and config.lambda_cycle_B):
        for name in ("reconstruction", "lambda_identity"):
            yield name, "without a cycle weight"


def as_config(options, source):
    """A Config from what a file, `source`, has stored."""
    try:
        return Config(**options)
    except TypeError as error:
        raise InputError(f"{source} was written by another version of minicyclegan ({error}); "
                         "go on with that one.") from error
