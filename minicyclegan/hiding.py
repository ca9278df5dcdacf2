"""Does a fake carry hidden notes? (Chu, Zhmoginov, Sandler 2017: CycleGAN, a master of steganography)

The cycle loss asks for rec_A = G_BA(fake_B) close to real_A, but the colours of A cannot be read
off an honest zebra. G_AB may write them into fake_B as a faint pattern that G_BA knows to read.
The test: damage fake_B a little, and see how much worse rec_A gets.

    minicyclegan hiding runs/toy

Two yardsticks belong to it. The same damage, done to the true zebra: G_BA(true_B) holds no notes,
so whatever its error grows by, damage does to any image. And G_BA(true_B) without damage: where
the error of rec_A ends when every note is lost, and only what can be seen is left.
"""

import csv
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from . import plots
from .checkpoint import load_checkpoint, load_generator, pick_device
from .data import PairedImages
from .evaluate import mean_absolute_error
