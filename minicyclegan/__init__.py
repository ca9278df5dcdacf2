"""CycleGAN (Zhu, Park, Isola, Efros, ICCV 2017), small and readable, in PyTorch.

    from minicyclegan import Generator, Discriminator, ImagePool, OneWayGAN, CycleGAN, losses
"""

from . import losses
from .cyclegan import CycleGAN, OneWayGAN, make_model
from .data import PairedImages, UnpairedImages
from .discriminator import Discriminator
from .engine.errors import InputError
from .engine.images import read_image, to_image, to_tensor
from .engine.pretrained import load_reference
from .generator import Generator, UNet
from .image_pool import ImagePool
from .translate import load_generator, translate, translate_image

__version__ = "0.2.0"
__all__ = ["CycleGAN", "Discriminator", "Generator", "ImagePool", "InputError", "OneWayGAN",
           "PairedImages", "UNet", "UnpairedImages", "load_generator", "load_reference", "losses",
           "make_model", "read_image", "to_image", "to_tensor", "translate", "translate_image"]
