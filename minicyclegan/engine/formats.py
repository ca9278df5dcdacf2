"""What Pillow cannot read, would read wrongly, or says nothing about: PNG, TIFF and their like.

engine/images.py asks here before and after it decodes a file; tests/engine/test_images.py has the
table of all kinds. TIFF's tags go by their numbers, as in its specification: 258 bits, 259
compression, 262 photometric interpretation (gray, RGB, ...), 277 bands, 284 planar configuration,
320 palette, 338 extra samples (alpha or others), 339 sample format.
"""

import ctypes
import warnings
from contextlib import suppress
from itertools import islice

import numpy as np
from PIL import Image, ImagePalette, TiffImagePlugin, UnidentifiedImageError

# What a file holds counts, not how it is called. Pillow knows more formats than these; it even
# starts other programs for some of them.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
GEOREFERENCE = {33550, 33922, 34264, 34735}  # TIFF tags: pixel scale, tie points, matrix, keys
NUMBERS = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}  # TIFF's tag 339
# What comes out right of band after band: RGB, RGB and alpha, CMYK, by their tags 262, 277, 338.
PLANAR = {(2, 3, ()), (2, 4, (2,)), (5, 4, ())}

# What Pillow and libtiff print about a damaged file says neither its name nor what to do.
warnings.filterwarnings("ignore", module=r"PIL\.")
with suppress(AttributeError, OSError):  # where libtiff is inside of Pillow, it goes on printing
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


def open_image(path):
    """The file as Pillow opens it, not yet decoded. ValueError with the reason where Pillow cannot
    read it, or would read it wrongly."""
    with open(path, "rb") as stream:
        head = stream.read(16)
        if head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"):
            raise ValueError("is HEIC or AVIF inside; save it as JPEG or PNG")
        if head.lstrip().startswith(b"<"):
            raise ValueError("is a web page or the like, no image")
        if head.startswith(b"MM\0+"):
            raise ValueError("is a big-endian BigTIFF, which Pillow cannot read; save it as TIFF")
        tags = next(tiff_pages(stream), None)
        if tags is not None:
            refuse(tags)
        try:
            file = Image.open(path, formats=FORMATS)
        except (UnidentifiedImageError, LookupError, ValueError):
            if tags is not None:
                refuse(tags, unknown=True)
            raise ValueError(f"damaged, or no image of the kinds {', '.join(FORMATS)} that Pillow "
                             "can decode") from None
    file.filename = ""  # mapped into memory, a TIFF that lies on its side comes out scrambled
    palette, clear = tags_of(file).get(320), file.info.get("transparency")
    if file.mode == "P" and palette and max(palette) < 256:  # not 16 bits, as they should be
        file.palette = ImagePalette.raw("RGB;L", bytes(palette))
    if file.format == "PNG" and clear is not None:  # in the file's bits, not yet in 8
        bits = str(file.tile[0][3])
        file.info["transparency"] = (tuple(value >> 8 for value in clear) if bits == "RGB;16B"
                                     else clear * {"L;2": 85, "L;4": 17}.get(bits, 1))
    return file


def tags_of(file):
    return getattr(file, "tag_v2", {})  # only a TIFF has them


def tiff_pages(stream):
    """The tags of each page of a TIFF, without its pixels; nothing for other files."""
    stream.seek(0)
    head = stream.read(16)
    if head[:4] not in TiffImagePlugin.PREFIXES:
        return
    head = head if head[2] == 43 else head[:8]
    place, seen = TiffImagePlugin.ImageFileDirectory_v2(head).next, set()
    while place and place not in seen:
        seen.add(place)
        stream.seek(place)
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        tags.load(stream)
        yield tags
        place = tags.next


def refuse(tags, unknown=False):
    """ValueError for a TIFF that Pillow, in a version since 10.1, reads wrongly, or that is
    `unknown` to it. All versions that read the rest read it alike."""
    bits, bands, number = max(tags.get(258, (1,))), tags.get(277, 1), max(tags.get(339, (1,)))
    photo, extra, compression = tags.get(262, 0), tags.get(338, ()), tags.get(259, 1)
    planar, raw = bands > 1 and tags.get(284) == 2, compression == 1
    if bands <= 6 and (number in NUMBERS or bits > 16):
        raise ValueError(f"holds {NUMBERS.get(number, '')}numbers of {bits} bits, which do not say "
                         "what is black and what is white; bring the range that matters to 0..255 "
                         "and save it with 8 bits")
    if (unknown or bands > 6 or (photo == 6 and raw)
            or (planar and ((photo, bands, extra) not in PLANAR or (raw and bits != 8)))
            or (photo == 1 and bands == 2 and extra != (2,))):  # gray, and no plain alpha
        raise ValueError(
            f"is a damaged TIFF or one that Pillow does not read rightly: {bands} "
            f"band{'s' * (bands > 1)} of {bits} bits{', band after band' * planar}, photometric "
            f"interpretation {'YCbCr' if photo == 6 else photo}, compression number {compression}; "
            f"save {'three of them' if bands > 3 else 'it'} as PNG")


def is_wide(file):
    """Whether a file, not yet decoded, holds more than 8 bits a channel."""
    return file.format in ("PNG", "TIFF") and (file.mode[0] == "I" or ";16" in str(file.tile))


def has_more_pages(file):
    """Whether there are other pages or frames; smaller copies and masks of a TIFF are none, nor are
    a camera's previews in a JPEG."""
    if file.format != "TIFF":
        return file.format in ("GIF", "PNG", "WEBP") and file.is_animated
    with suppress(Exception):  # of the later pages nothing is needed
        return any(not page.get(254, 0) & 5 for page in islice(tiff_pages(file.fp), 1, None))
    return False


def gray_in_8_bits(image, tags):
    """An image of 12 or 16-bit gray in 8 bits, its transparent gray in white."""
    values = np.asarray(image).astype(np.float32)
    grays = (values * (255 / (4095 if tags.get(258) == (12,) else 65535))).round()
    if tags.get(262) == 0:
        grays = 255 - grays  # 0 is white
    grays[values == image.info.get("transparency")] = 255
    return Image.fromarray(grays.astype(np.uint8))


# ---------------------------------------------------------------- what the user should be told

def remarks_on(file):
    """What of a file is not used, before it is decoded."""
    if has_more_pages(file):
        yield "only the first page or frame is used; save each as a file of its own to use all"
    if tags_of(file).get(277, 1) > len({*file.getbands()} - {"X"}):  # X: not used
        yield "bands after the first colours are not used; to use others, save them as RGB"
    profile = file.info.get("icc_profile", b"sRGB").replace(b"\0", b"")  # it may be in UTF-16
    linear = not {"icc_profile", "srgb"} & file.info.keys() and (
        abs(file.info.get("gamma", 1 / 2.2) - 1 / 2.2) > 0.01)  # a PNG may tell its gamma alone
    if linear or (b"sRGB" not in profile and file.mode != "LAB"):
        yield ("a colour profile or gamma other than sRGB's is not applied; convert the images to "
               "sRGB if they should look as in a viewer")


def remarks_on_alpha(image):
    """A real alpha channel is 0 or 255 nearly everywhere."""
    counts = image.getchannel("A").histogram()
    if counts[0] == sum(counts):
        yield "transparent everywhere, so plain white is left; save the images without alpha"
    elif counts[0] + counts[255] < sum(counts) / 2:
        yield ("half transparent nearly everywhere and laid on white; if the alpha channel is in "
               "truth a further band, such as infrared, save the colours alone")


def remarks_on_grays(image):
    """16-bit values that become few of 256 grays, as those of a 12-bit camera or scanner."""
    counts = np.reshape(image.histogram(), (-1, 256)).sum(0)
    inner = counts[1:-1].cumsum()  # without padding and dead pixels, which are 0 or 255
    low, high = 1 + inner.searchsorted([inner[-1] * 0.01, inner[-1] * 0.99])
    is_mask = not inner[-1] and counts[255]
    if high - low < 64 and not is_mask:
        yield ("16-bit values that lie close together, so fewer than 64 of 256 grays are left; "
               "spread them over 0 to 65535, in all files the same way")
