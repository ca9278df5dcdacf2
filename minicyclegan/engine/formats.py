"""What Pillow cannot read, would read wrongly, or says nothing about: PNG, TIFF and their like.

engine/images.py asks here before and after it decodes a file. tests/engine/test_images.py has the
table of all kinds of files, and what becomes of each.
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
COLOURS = {2: 3, 5: 4, 6: 3, 8: 3}  # bands of TIFF's kinds of colour: RGB, CMYK, YCbCr, Lab

# What Pillow and libtiff print about a damaged file says neither its name nor what to do.
warnings.filterwarnings("ignore", module=r"PIL\.")
with suppress(AttributeError, OSError):  # where libtiff is inside of Pillow, it goes on printing
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


def open_image(path):
    """The file as Pillow opens it, not yet decoded, and the tags of its first page if it is a TIFF,
    else {}. ValueError with the reason where Pillow cannot read it, or would read it wrongly."""
    tags = next(tiff_pages(path), None)
    if tags is None:
        tags = {}
    else:
        refuse(tags)
    try:
        return Image.open(path, formats=FORMATS), tags
    except UnidentifiedImageError:
        if tags:
            raise ValueError(cannot(tags)) from None
        with open(path, "rb") as file:
            head = file.read(16)
            if head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"):
                raise ValueError("is HEIC or AVIF inside; save it as JPEG or PNG") from None
            if head.lstrip().startswith(b"<"):
                raise ValueError("is a web page or the like, no image") from None
            for name in FORMATS:  # Image.open keeps the reason to itself
                make, accept = Image.OPEN[name]
                if accept(head):
                    file.seek(0)
                    make(file, str(path))
        raise


def tiff_pages(path):
    """The tags of each page of a TIFF, without its pixels; nothing for other files."""
    with open(path, "rb") as file:
        head = file.read(16)
        if head[:4] not in TiffImagePlugin.PREFIXES:
            return
        if head[:4] == b"MM\0+":
            raise ValueError("is a big-endian BigTIFF, which Pillow cannot read; save it as TIFF")
        head = head if head[2] == 43 else head[:8]
        place, seen = TiffImagePlugin.ImageFileDirectory_v2(head).next, set()
        while place and place not in seen:
            seen.add(place)
            file.seek(place)
            tags = TiffImagePlugin.ImageFileDirectory_v2(head)
            tags.load(file)
            yield tags
            place = tags.next


def refuse(tags):
    """ValueError for a TIFF that Pillow cannot read, or reads wrongly without a word."""
    bits, kind, photo = max(tags.get(258, (1,))), max(tags.get(339, (1,))), tags.get(262, 0)
    bands, extra, raw = tags.get(277, 1), tags.get(338, ()), tags.get(259, 1) == 1
    if not {256, 257} <= tags.keys():
        raise ValueError("is a damaged TIFF")
    if tags.get(259, 1) not in TiffImagePlugin.COMPRESSION_INFO:
        raise ValueError(f"is compressed in a way (TIFF's number {tags[259]}) that Pillow does not "
                         "know; save it without compression")
    if bands <= 6 and (kind in (2, 3, 5, 6) or bits > 16):
        name = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}.get(kind, "")
        raise ValueError(f"holds {name}numbers of {bits} bits, which do not say what is black and "
                         "what is white; bring the range that matters to 0..255 and save it with "
                         "8 bits")
    if photo == 6 and raw and tags.get(530, (2, 2)) != (1, 1):
        raise ValueError("is a TIFF of subsampled YCbCr, which Pillow reads wrongly; save it as "
                         "RGB")
    # One band after another comes out right for gray, RGB, CMYK, and RGB with alpha; where they are
    # not compressed, for 8 bits and without further bands.
    plain = extra == () or (photo == 2 and extra == (2,))
    if bands > 1 and tags.get(284) == 2 and not (
            photo in (1, 2, 5) and bands == COLOURS.get(photo, 1) + len(extra)
            and (plain and bits == 8 if raw else plain or not any(extra))):
        raise ValueError("is a TIFF with band after band, of a kind that Pillow reads wrongly; "
                         "save it with interleaved bands")
    if bands > 6:
        raise ValueError(cannot(tags))


def cannot(tags):
    """Why a TIFF is refused that Pillow has no place for."""
    bands = tags.get(277, 1)
    return (f"is a TIFF of {bands} band{'s' * (bands > 1)} of {max(tags.get(258, (1,)))} bits "
            f"(photometric interpretation {tags.get(262, 0)}), damaged or of a kind that Pillow "
            f"cannot read; save {'three of them' if bands > 3 else 'it'} as PNG")


def is_wide(file, tags):
    """Whether a file holds more than 8 bits a channel."""
    if tags:
        return max(tags.get(258, (1,))) > 8
    return file.format == "PNG" and any("16" in str(tile[3]) for tile in file.tile)


def has_more_pages(path, file, tags):
    """Whether there are other pages or frames; smaller copies and masks of a TIFF are none, nor are
    a camera's previews in a JPEG."""
    if not tags:
        return file.format in ("GIF", "PNG", "WEBP") and file.is_animated
    with suppress(Exception):  # of the later pages nothing is needed
        return any(not page.get(254, 0) & 5 for page in islice(tiff_pages(path), 1, None))
    return False


def correct(file, tags):
    """Before decoding, put right what Pillow takes from the file as it is."""
    seen = file.info.get("transparency")
    if file.format == "PNG" and seen is not None:  # the transparent gray or colour, in 8 bits
        raw = str(file.tile[0][3])
        if raw in ("L;2", "L;4"):
            file.info["transparency"] = seen * (85 if raw == "L;2" else 17)
        elif raw == "RGB;16B":
            file.info["transparency"] = tuple(value >> 8 for value in seen)
    if tags:
        file.filename = ""  # mapped into memory, a TIFF that lies on its side comes out scrambled
    if file.mode == "P" and tags.get(320) and max(tags[320]) < 256:  # not 16 bits, as they should
        file.palette = ImagePalette.raw("RGB;L", bytes(tags[320]))


# ---------------------------------------------------------------- what the user should be told

def remarks_on(path, file, tags):
    """What of a file is not used, before it is decoded: a list of remarks, as are the next two."""
    said, info = [], file.info
    if has_more_pages(path, file, tags):
        said.append("only the first page or frame is used; save each as a file of its own to use "
                    "all")
    colours = COLOURS.get(tags.get(262), 1)
    if tags.get(277, 1) > colours + any(tags.get(338, (2,))):
        said.append("bands after the first colours are not used; to use others, save them as RGB")
    profile = (info.get("icc_profile") or b"sRGB").replace(b"\0", b"")  # its name may be UTF-16
    gamma = not info.get("icc_profile") and "srgb" not in info and info.get("gamma", 0.4545)
    if (b"sRGB" not in profile and file.mode != "LAB") or (gamma and abs(gamma - 0.4545) > 0.02):
        said.append("a colour profile other than sRGB is not applied; convert the images to sRGB "
                    "if they should look as in a viewer")
    return said


def remarks_on_alpha(image):
    """A real alpha channel is 0 or 255 nearly everywhere."""
    counts = image.getchannel("A").histogram()
    if counts[0] == sum(counts):
        return ["transparent everywhere, so plain white is left; save the images without alpha"]
    if counts[0] + counts[255] < sum(counts) / 2:
        return ["half transparent nearly everywhere and laid on white; if the alpha channel is in "
                "truth a further band, such as infrared, save the colours alone"]
    return []


def remarks_on_grays(image):
    """Many 16-bit values that become few of 256 grays, as those of a 12-bit camera or scanner."""
    counts = np.reshape(image.histogram(), (-1, 256)).sum(0)
    inner = counts[1:-1].cumsum()  # without padding and dead pixels, which are 0 or 255
    if inner[-1]:
        low, high = (1 + int((inner >= inner[-1] * part).argmax()) for part in (0.01, 0.99))
    elif counts[255]:
        return []  # a mask of black and white
    else:
        low = high = 0
    if high <= 64:
        bits = next(n for n in (8, 10, 12, 14) if high <= 2**(n - 8))
        return [f"16-bit values that nearly all lie below {2**bits}, so about {2**(bits - 8) + 1} "
                f"of 256 grays are left, close to black; multiply the values of all files by "
                f"{2**(16 - bits)}"]
    if 0 < high - low < 64:
        return ["16-bit values that lie close together, so few of 256 grays are left; spread them "
                "over 0 to 65535, in all files the same way"]
    return []
