"""CycleGAN (Zhu, Park, Isola, Efros, ICCV 2017), small and readable, in PyTorch.

    from minicyclegan import Generator, Discriminator, ImagePool, OneWayGAN, CycleGAN, losses
"""

from . import losses
from .cyclegan import CycleGAN, OneWayGAN
from .data import PairedImages, UnpairedImages
from .discriminator import Discriminator
from .engine.checkpoint import load_generator, load_reference
from .engine.errors import InputError
from .engine.images import read_image, to_image, to_tensor
from .generator import Generator
from .image_pool import ImagePool
from .translate import translate, translate_image

__version__ = "0.1.0"
__all__ = ["CycleGAN", "Discriminator", "Generator", "ImagePool", "InputError", "OneWayGAN",
           "PairedImages", "UnpairedImages", "load_generator", "load_reference", "losses",
           "read_image", "to_image", "to_tensor", "translate", "translate_image"]
