"""Every kind of image file that Pillow opens, and what becomes of it.

KINDS is the table: a name, how the file is made, and what must happen. A picture means that it
comes out so, and nothing is said; "says ..." that the user is told, "refused ..." that the reason
is given. Pillow cannot write most of these kinds, so PNG and TIFF are put together by hand.
"""

import io
import os
import re
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from minicyclegan import InputError, read_image, to_image, to_tensor
from minicyclegan.engine.images import (
    check_images,
    drops,
    left_alone,
    list_images,
    read_all,
    read_square,
    resize,
    say_remarks,
)

# Pillow warns of what is refused a moment later; outside of pytest the package silences that.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL",
                                        "ignore::PIL.Image.DecompressionBombWarning")

# ---------------------------------------------------------------- pictures

ramp = np.linspace(0, 255, 20 * 18).round().astype(np.uint8).reshape(20, 18)
colour = np.stack([ramp, 255 - ramp, ramp // 2], -1)
opaque = np.where(ramp < 60, 0, 255).astype(np.uint8)  # an alpha channel
on_white = np.where(opaque[..., None] == 255, colour, 255)
gray_on_white = np.where(opaque == 255, ramp, 255)
without_green = np.where((colour == (0, 255, 0)).all(-1)[..., None], 255, colour)
half = np.full_like(ramp, 40)  # a dark infrared band
stripes = ramp // 64 * 85  # four grays
checks = (ramp > 127) * np.uint8(255)


def wide(array, times=257):
    return array.astype(np.uint16) * times


def stack(*bands):
    return np.concatenate([b[..., None] if b.ndim == 2 else b for b in bands], -1)


# ---------------------------------------------------------------- files by hand

def png(array, kind, bits=8, chunks=(), size=None):
    """kind: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGB and alpha."""
    def chunk(name, content):
        return (struct.pack(">I", len(content)) + name + content
                + struct.pack(">I", zlib.crc32(name + content)))
    width, height = size or array.shape[1::-1]
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    rows = b"".join(b"\0" + packed(row, bits, ">") for row in array)
    chunks = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)


def packed(array, bits, order):
    if bits % 8 == 0:
        return array.astype(array.dtype.newbyteorder(order)).tobytes()
    flags = (array.reshape(-1, 1) >> np.arange(bits)[::-1]) & 1
    return np.packbits(flags.astype(np.uint8).reshape(-1)).tobytes()


def tiff(array, photo=None, extra=(), tags=None, *, bits=None, order="<", big=False, zip=False,
         planar=False, tile=0, pages=1):
    """A TIFF of an array (H, W) or (H, W, bands). tags {number: (type, *values)} are added, with
    the types of struct; photo is 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK."""
    array = array[..., None] if array.ndim == 2 else array
    height, width, bands = array.shape
    bits = bits or array.itemsize * 8
    parts = np.split(array, bands, 2) if planar else [array]
    if tile:
        grow = [(0, -n % tile) for n in (height, width)] + [(0, 0)]
        parts = [np.pad(part, grow) for part in parts]
        pieces = [part[y:y + tile, x:x + tile] for part in parts
                  for y in range(0, part.shape[0], tile) for x in range(0, part.shape[1], tile)]
    else:
        pieces = parts
    pieces = [b"".join(packed(row, bits, order) for row in piece) for piece in pieces]
    if zip:
        pieces = [zlib.compress(piece) for piece in pieces]
    photo = (2 if bands > 2 else 1) if photo is None else photo
    number = {"u": 1, "i": 2, "f": 3, "c": 6}[array.dtype.kind]
    word, size = ("Q", 8) if big else ("I", 4)
    out = (b"II" if order == "<" else b"MM") + struct.pack(
        order + ("HHHQ" if big else "HI"), *((43, 8, 0, 16) if big else (42, 8)))
    for page in range(pages):
        start = len(out)
        fields = {256: ("H", width), 257: ("H", height), 258: ("H", *[bits] * bands),
                  259: ("H", 8 if zip else 1), 262: ("H", photo), 277: ("H", bands),
                  284: ("H", 2 if planar else 1), 339: ("H", *[number] * bands)}
        if extra:
            fields[338] = ("H", *extra)
        fields |= {322: ("H", tile), 323: ("H", tile)} if tile else {278: ("H", height)}
        fields |= tags or {}
        end = start + (8 if big else 2) + (len(fields) + 2) * (size * 2 + 4) + size
        data, places = b"", []
        for piece in pieces:
            places.append(end + len(data))
            data += piece + b"\0" * (len(piece) % 2)
        fields[324 if tile else 273] = (word, *places)
        fields[325 if tile else 279] = (word, *map(len, pieces))
        table = b""
        for tag, (kind, *values) in sorted(fields.items()):
            content = struct.pack(f"{order}{len(values)}{kind}", *values)
            if len(content) > size:
                place, data = end + len(data), data + content + b"\0" * (len(content) % 2)
                content = struct.pack(order + word, place)
            code = {"B": 1, "H": 3, "I": 4, "d": 12, "Q": 16}[kind]
            table += struct.pack(order + "HH" + word, tag, code, len(values))
            table += content.ljust(size, b"\0")
        following = end + len(data) if page < pages - 1 else 0
        out += (struct.pack(order + ("Q" if big else "H"), len(fields)) + table
                + struct.pack(order + word, following) + data)
    return out


def saved(image, format, **settings):
    file = io.BytesIO()
    image.save(file, format, **settings)
    return file.getvalue()


def picture(array, mode=None):
    return Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)


def turned(format, **settings):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    return saved(picture(ramp), format, exif=exif, **settings)


def ycck():
    """A JPEG as Adobe's programs write it: YCbCr of the inverted inks, and black."""
    inks = np.asarray(picture(colour, "YCbCr"))
    data = saved(Image.fromarray(255 - stack(inks, 255 - ramp * 0), "CMYK"), "JPEG", quality=100,
                 subsampling=0)
    place = data.index(b"Adobe") + 11
    return data[:place] + b"\2" + data[place + 1:]


def bmp(array):
    """A BMP of 32 bits, with alpha."""
    pixels = np.ascontiguousarray(array[::-1]).tobytes()
    head = struct.pack("<IiiHHIIiiII4I52x", 108, *array.shape[1::-1], 1, 32, 3, len(pixels),
                       0, 0, 0, 0, 255, 255 << 8, 255 << 16, 255 << 24)
    return b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + head + pixels


def animation(format):
    frames = [picture(colour), picture(255 - colour)]
    return saved(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)


palette = picture(ramp, "P")
PALETTE_16 = ("H", *[int(v) * 257 for v in np.concatenate([np.arange(256), 255 - np.arange(256),
                                                           np.arange(256) // 2])])
PALETTE_8 = ("H", *[v // 257 for v in PALETTE_16[1:]])
gray_alpha, rgb_alpha = stack(ramp, opaque), stack(colour, opaque)
infrared = stack(colour, half)
inks = 255 - colour
cmyk = stack(inks, ramp * 0)
srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
lab = picture(colour, "RGB").convert("LAB")
first_page = "says only the first page"
fourth = "says a further band, such as infrared"
close = "says fewer than 64 of 256 grays .* spread them over 0 to 65535"
further = "says bands after the first colours are not used"
profile = "says a colour profile or gamma other than sRGB"

KINDS = {
    # PNG: all kinds of colour and numbers of bits
    "png gray 1": (png(checks // 255, 0, 1), checks),
    "png gray 2": (png(stripes // 85, 0, 2), stripes),
    "png gray 4": (png(ramp // 16, 0, 4), ramp // 16 * 17),
    "png gray 8": (png(ramp, 0), ramp),
    "png gray 16": (png(wide(ramp), 0, 16), ramp),
    "png rgb 8": (png(colour, 2), colour),
    "png rgb 16": (png(wide(colour), 2, 16), colour),
    "png gray, alpha 8": (png(gray_alpha, 4), gray_on_white),
    "png gray, alpha 16": (png(wide(gray_alpha), 4, 16), gray_on_white),
    "png rgb, alpha 8": (png(rgb_alpha, 6), on_white),
    "png rgb, alpha 16": (png(wide(rgb_alpha), 6, 16), on_white),
    "png palette 8": (saved(palette, "PNG"), ramp),
    "png palette 1": (png(checks // 255, 3, 1, [(b"PLTE", b"\0\0\0\xff\xff\xff")]), checks),
    # PNG: transparency without an alpha channel
    "png gray 1, a clear gray": (png(checks // 255, 0, 1, [(b"tRNS", b"\0\0")]), checks | 255),
    "png gray 2, a clear gray": (png(stripes // 85, 0, 2, [(b"tRNS", b"\0\1")]),
                                 np.where(stripes == 85, 255, stripes)),
    "png gray 4, a clear gray": (png(ramp // 16, 0, 4, [(b"tRNS", b"\0\3")]),
                                 np.where(ramp // 16 == 3, 255, ramp // 16 * 17)),
    "png gray 8, a clear gray": (png(ramp, 0, 8, [(b"tRNS", b"\0\0")]),
                                 np.where(ramp == 0, 255, ramp)),
    "png gray 16, a clear gray": (png(wide(ramp), 0, 16, [(b"tRNS", b"\0\0")]),
                                  np.where(ramp == 0, 255, ramp)),
    "png rgb 8, a clear colour": (png(colour, 2, 8, [(b"tRNS", b"\0\0\0\xff\0\0")]),
                                  without_green),
    "png rgb 16, a clear colour": (png(wide(colour), 2, 16, [(b"tRNS", b"\0\0\xff\xff\0\0")]),
                                   without_green),
    "png palette, a clear colour": (saved(palette, "PNG", transparency=0),
                                    np.where(ramp == 0, 255, ramp)),
    "png palette, half clear": (png(checks // 255, 3, 1, [(b"PLTE", b"\0\0\0\0\0\0"),
                                                         (b"tRNS", b"\xff\x80")]), checks // 2),
    "png clear everywhere": (png(stack(colour, ramp * 0), 6), "says transparent everywhere"),
    # PNG: values that are few grays
    "png gray 16, values of 8": (png(wide(ramp, 1), 0, 16), close),
    "png gray 16, values of 10": (png(wide(ramp, 4), 0, 16), close),
    "png gray 16, values of 12": (png(wide(ramp, 16), 0, 16), close),
    "png gray 16, values of 14": (png(wide(ramp, 64), 0, 16), close),
    "png gray 16, 12 and dead pixels": (png(np.where(ramp == 255, 65535, wide(ramp, 16)), 0, 16),
                                        close),
    "png gray 16, a mask of 1": (png(wide(checks, 1) // 255, 0, 16), close),
    "png gray 16, black": (png(wide(ramp * 0), 0, 16), ramp * 0),
    "png gray 16, black and white": (png(wide(checks), 0, 16), checks),
    "png gray 16, scanner": (png(wide(ramp, 5) + 32768 - 1000, 0, 16), close),
    "png gray 16, scanner and padding": (png(np.where(ramp < 60, 0, wide(ramp, 5) + 31768), 0, 16),
                                         close),
    "png rgb 16, values of 8": (png(wide(colour, 1), 2, 16), close),
    "png rgb 16, values of 12": (png(wide(colour, 16), 2, 16), close),
    "png rgb, infrared": (png(infrared, 6), fourth),
    # PNG: the rest
    "png turned": (turned("PNG"), np.rot90(ramp, -1)),
    "png animated": (animation("PNG"), first_page),
    "png sRGB": (saved(picture(colour), "PNG", icc_profile=srgb), colour),
    "png other profile": (saved(picture(colour), "PNG", icc_profile=b"Display P3 " * 20), profile),
    "png of linear light": (png(ramp, 0, 8, [(b"gAMA", struct.pack(">I", 100000))]), profile),
    "png of the usual gamma": (png(ramp, 0, 8, [(b"gAMA", struct.pack(">I", 45455))]), ramp),
    "png sRGB, another gamma": (png(ramp, 0, 8, [(b"sRGB", b"\0"),
                                                 (b"gAMA", struct.pack(">I", 55555))]), ramp),
    # TIFF: gray
    "tif white is zero 1": (tiff(1 - checks // 255, 0, bits=1), checks),
    "tif white is zero 8": (tiff(255 - ramp, 0), ramp),
    "tif white is zero 16": (tiff(65535 - wide(ramp), 0), ramp),
    "tif white is zero 16, big": (tiff(65535 - wide(ramp), 0, order=">"), "refused 1 band of 16"),
    "tif gray 1": (tiff(checks // 255, bits=1), checks),
    "tif gray 2": (tiff(stripes // 85, bits=2), stripes),
    "tif gray 4": (tiff(ramp // 16, bits=4), ramp // 16 * 17),
    "tif gray 8": (tiff(ramp), ramp),
    "tif gray 12": (tiff(wide(ramp, 16) + ramp // 16, bits=12), ramp),
    "tif gray 12, zip": (tiff(wide(ramp, 16) + ramp // 16, bits=12, zip=True), ramp),
    "tif gray 10": (tiff(wide(ramp, 4), bits=10), "refused 1 band of 10 bits"),
    "tif gray 16": (tiff(wide(ramp)), ramp),
    "tif gray 16, big-endian": (tiff(wide(ramp), order=">"), ramp),
    "tif gray 16, zip, big-endian": (tiff(wide(ramp), order=">", zip=True), ramp),
    "tif gray 16, values of 12": (tiff(wide(ramp, 16)), close),
    "tif gray 16, scanner": (tiff(wide(ramp, 5) + 31768), close),
    "tif signed 8": (tiff(ramp.view(np.int8)), "refused signed numbers of 8 bits"),
    "tif signed 16": (tiff(wide(ramp, 5).astype(np.int16) - 1000), "refused signed .* 16 bits"),
    "tif signed 16, zip": (tiff(wide(ramp).view(np.int16), zip=True), "refused signed .* 16 bits"),
    "tif gray 32": (tiff(ramp.astype(np.uint32)), "refused numbers of 32 bits"),
    "tif signed 32": (tiff(ramp.astype(np.int32)), "refused signed numbers of 32 bits"),
    "tif float 16": (tiff(ramp.astype(np.float16)), "refused floating-point numbers of 16 bits"),
    "tif float 32": (tiff(ramp.astype(np.float32)), "refused floating-point numbers of 32 bits"),
    "tif float 64": (tiff(ramp.astype(np.float64)), "refused floating-point numbers of 64 bits"),
    "tif complex": (tiff(ramp.astype(np.complex64)), "refused complex numbers of 64 bits"),
    "tif gray and alpha": (tiff(gray_alpha, 1, (2,)), gray_on_white),
    "tif gray and alpha, premultiplied": (tiff(gray_alpha, 1, (1,)), "refused 2 bands of 8 bits"),
    "tif gray and a band": (tiff(gray_alpha, 1, (0,)), "refused 2 bands of 8 bits"),
    "tif gray and alpha 16": (tiff(wide(gray_alpha), 1, (2,)), "refused 2 bands of 16 bits"),
    # TIFF: colour
    "tif rgb 8": (tiff(colour), colour),
    "tif rgb 16": (tiff(wide(colour)), colour),
    "tif rgb 16, big-endian": (tiff(wide(colour), order=">"), colour),
    "tif rgb 16, values of 12": (tiff(wide(colour, 16)), close),
    "tif rgb 12": (tiff(wide(colour, 16), bits=12), "refused 3 bands of 12 bits"),
    "tif rgb float": (tiff(colour.astype(np.float32)), "refused floating-point"),
    "tif rgb signed 16": (tiff(wide(colour).view(np.int16)), "refused signed"),
    "tif rgb and alpha": (tiff(rgb_alpha, 2, (2,)), on_white),
    "tif rgb and alpha, premultiplied": (tiff(rgb_alpha, 2, (1,)), on_white),
    "tif rgb and alpha, unmarked": (tiff(rgb_alpha, 2), on_white),
    "tif rgb and alpha 16": (tiff(wide(rgb_alpha), 2, (2,)), on_white),
    "tif infrared as alpha": (tiff(infrared, 2, (2,)), fourth),
    "tif infrared as alpha, premultiplied": (tiff(infrared, 2, (1,)), fourth),
    "tif infrared, unmarked": (tiff(infrared, 2), fourth),
    "tif infrared as a band": (tiff(infrared, 2, (0,)), further),
    "tif infrared as a band 16": (tiff(wide(infrared), 2, (0,)), further),
    "tif infrared, all gray bands": (tiff(infrared, 1, (0, 0, 0)), "refused 4 bands .* three of"),
    "tif 5 bands": (tiff(stack(colour, ramp, ramp), 2, (0, 0)), further),
    "tif 5 bands, alpha": (tiff(stack(rgb_alpha, ramp), 2, (2, 0)), further),
    "tif 5 bands, alpha last": (tiff(stack(colour, ramp, opaque), 2, (0, 2)), "refused 5 bands"),
    "tif 6 bands": (tiff(stack(colour, colour), 2, (0, 0, 0)), further),
    "tif 7 bands": (tiff(stack(*[ramp] * 7), 2, (0,) * 4), "refused 7 bands of 8 bits"),
    "tif 13 bands 16": (tiff(wide(stack(*[ramp] * 13)), 1, (0,) * 12), "refused 13 bands of 16"),
    "tif 13 float bands": (tiff(stack(*[ramp] * 13).astype(np.float32), 1, (0,) * 12),
                           "refused 13 bands of 32"),
    "tif 13 bands, zip, planar": (tiff(wide(stack(*[ramp] * 13)), 1, (0,) * 12, zip=True,
                                       planar=True), "refused 13 bands of 16 bits"),
    "tif palette": (tiff(ramp, 3, tags={320: PALETTE_16}), colour),
    "tif palette, 8-bit colours": (tiff(ramp, 3, tags={320: PALETTE_8}), colour),
    "tif palette and alpha": (tiff(gray_alpha, 3, (2,), {320: PALETTE_16}), on_white),
    "tif palette missing": (tiff(ramp, 3), "refused interpretation 3"),
    "tif cmyk 8": (tiff(cmyk, 5), colour),
    "tif cmyk 16": (tiff(wide(cmyk), 5), colour),
    "tif cmyk and a band": (tiff(stack(cmyk, ramp), 5, (0,)), further),
    "tif cmyk and alpha": (tiff(stack(cmyk, opaque), 5, (2,)), "refused 5 bands of 8 bits"),
    "tif ycbcr": (tiff(np.asarray(picture(colour, "YCbCr")), 6, tags={530: ("H", 1, 1)}),
                  "refused YCbCr"),
    "tif ycbcr, zip": (tiff(np.asarray(picture(colour, "YCbCr")), 6, tags={530: ("H", 1, 1)},
                            zip=True), colour),
    "tif ycbcr, subsampled": (tiff(colour, 6, tags={530: ("H", 2, 2)}), "refused YCbCr"),
    "tif lab": (saved(lab, "TIFF"), np.asarray(lab.convert("RGB"))),
    "tif lab, zip": (saved(lab, "TIFF", compression="tiff_deflate"),
                     np.asarray(lab.convert("RGB"))),
    "tif lab 16": (tiff(wide(colour), 8), "refused 3 bands of 16 bits"),
    "tif icc lab": (tiff(colour, 9), "refused interpretation 9"),
    "tif raw camera": (tiff(wide(ramp), 32803), "refused interpretation 32803"),
    # TIFF: how the bytes lie
    "tif tiles": (tiff(colour, tile=16), colour),
    "tif tiles, zip, 16": (tiff(wide(colour), tile=16, zip=True), colour),
    "tif planar": (tiff(colour, planar=True), colour),
    "tif planar, tiles": (tiff(colour, planar=True, tile=16), colour),
    "tif planar, zip, 16": (tiff(wide(colour), planar=True, zip=True), colour),
    "tif planar, 16": (tiff(wide(colour), planar=True), "refused band after band"),
    "tif planar, alpha": (tiff(rgb_alpha, 2, (2,), planar=True), on_white),
    "tif planar, alpha unmarked": (tiff(rgb_alpha, 2, planar=True, tile=16), "refused band after"),
    "tif planar, gray and alpha": (tiff(gray_alpha, 1, (2,), planar=True, zip=True),
                                   "refused band after band"),
    "tif planar, lab": (tiff(colour, 8, planar=True), "refused band after band"),
    "tif planar, cmyk": (tiff(cmyk, 5, planar=True), colour),
    "tif planar, a band, zip": (tiff(infrared, 2, (0,), planar=True, zip=True),
                                "refused band after band"),
    "tif planar, a band": (tiff(infrared, 2, (0,), planar=True), "refused band after band"),
    "tif big": (tiff(colour, big=True), colour),
    "tif big, zip": (tiff(colour, big=True, zip=True), colour),
    "tif big, big-endian": (tiff(colour, big=True, order=">"), "refused big-endian BigTIFF"),
    "tif turned": (tiff(ramp, tags={274: ("H", 6)}), np.rot90(ramp, -1)),
    "tif turned, zip": (tiff(ramp, tags={274: ("H", 6)}, zip=True), np.rot90(ramp, -1)),
    "tif pages": (tiff(ramp, pages=3), first_page),
    "tif pages, zip, 16": (tiff(wide(ramp), pages=3, zip=True), first_page),
    "tif overviews": (tiff(ramp, tags={254: ("I", 1)}, pages=3), ramp),
    "tif jpeg": (saved(picture(stripes, "RGB"), "TIFF", compression="jpeg", quality=100), stripes),
    "tif lzw": (saved(picture(colour), "TIFF", compression="tiff_lzw"), colour),
    "tif fax": (saved(picture(checks, "1"), "TIFF", compression="group4"), checks),
    "tif of LERC": (tiff(ramp, tags={259: ("H", 34887)}), "refused number 34887"),
    "tif cut off": (tiff(ramp)[:300], "refused "),
    "tif of nothing": (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "refused damaged TIFF"),
    # WebP
    "webp rgb": (saved(picture(colour), "WEBP", lossless=True), colour),
    "webp lossy": (saved(picture(stripes, "RGB"), "WEBP", quality=100), stripes),
    "webp alpha": (saved(picture(rgb_alpha), "WEBP", lossless=True), on_white),
    "webp infrared": (saved(picture(infrared), "WEBP", lossless=True, exact=True), fourth),
    "webp animated": (animation("WEBP"), first_page),
    "webp turned": (turned("WEBP", lossless=True), np.rot90(ramp, -1)),
    # BMP and GIF
    "bmp 1": (saved(picture(checks, "1"), "BMP"), checks),
    "bmp gray": (saved(picture(ramp), "BMP"), ramp),
    "bmp palette": (saved(picture(colour).quantize(256, dither=0), "BMP"), None),
    "bmp rgb": (saved(picture(colour), "BMP"), colour),
    "bmp 32, alpha": (bmp(rgb_alpha), on_white),
    "bmp 32, nothing in alpha": (bmp(stack(colour, ramp * 0)), "says transparent everywhere"),
    "gif": (saved(picture(ramp), "GIF"), ramp),
    "gif, a clear colour": (saved(palette, "GIF", transparency=0), np.where(ramp == 0, 255, ramp)),
    "gif animated": (animation("GIF"), first_page),
    # JPEG
    "jpeg gray": (saved(picture(ramp), "JPEG", quality=100), ramp),
    "jpeg rgb": (saved(picture(colour), "JPEG", quality=100, subsampling=0), colour),
    "jpeg progressive": (saved(picture(stripes), "JPEG", quality=100, progressive=True), stripes),
    "jpeg rgb, Adobe": (saved(picture(colour), "JPEG", quality=100, keep_rgb=True,
                               subsampling=0), colour),
    "jpeg cmyk, Adobe": (saved(Image.fromarray(cmyk, "CMYK"), "JPEG", quality=100), colour),
    "jpeg ycck, Adobe": (ycck(), inks),
    "jpeg turned": (turned("JPEG", quality=100), np.rot90(ramp, -1)),
    "jpeg other profile": (saved(picture(colour), "JPEG", icc_profile=b"Adobe RGB"), profile),
    "jpeg profile in UTF-16": (saved(picture(ramp), "JPEG", quality=100,
                                     icc_profile="sRGB".encode("utf-16-be")), ramp),
    "jpeg of two pictures": (saved(picture(ramp), "MPO", quality=100, save_all=True,
                                   append_images=[picture(ramp)]), ramp),
    "jpeg 12": (saved(picture(ramp), "JPEG").replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\x0c"),
                "refused damaged, or no image of the kinds"),
    # What is none of these
    "heic": (b"\0\0\0\x18ftypheic" + bytes(99), "refused HEIC or AVIF"),
    "web page": (b"\n<!DOCTYPE html><title>404</title>", "refused web page"),
    "text": (b"not an image", "refused no image of the kinds"),
    "empty": (b"", "refused is empty"),
    "png cut off": (png(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8), 0)[:3000],
                    "refused "),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n",
                   "refused no image of the kinds"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind, tmp_path, capfd):
    content, expected = KINDS[kind]
    path, remarks = tmp_path / "x.png", {}
    path.write_bytes(content)
    if isinstance(expected, str) and expected.startswith("refused"):
        with pytest.raises(InputError, match=rf"(?s)x\.png cannot .*{expected[8:]}"):
            read_image(path, remarks=remarks)
        assert not remarks
    else:
        for channels in (1, 3):
            image = read_image(path, channels, remarks=remarks)
            assert image.mode == ("L" if channels == 1 else "RGB")
            if isinstance(expected, np.ndarray):
                want = picture(expected.astype(np.uint8), image.mode)
                gap = np.abs(np.asarray(image).astype(int) - np.asarray(want).astype(int))
                assert gap.max() <= 4, gap.max()
        say_remarks(remarks)
        said = capfd.readouterr().out
        if isinstance(expected, str):
            assert re.search(expected[5:], said) and said.startswith(f"{path}: "), said
            assert len(said.splitlines()) == 1
        else:
            assert not said
    assert capfd.readouterr() == ("", "")


def test_nothing_of_the_decoders_is_printed(tmp_path):
    """In a process of its own: libtiff prints past Python, and pytest keeps Pillow's warnings."""
    damaged = bytearray(saved(picture(colour), "TIFF", compression="tiff_lzw"))
    damaged[20:60] = b"\xff" * 40
    contents = [damaged, KINDS["tif 13 bands 16"][0], KINDS["tif cut off"][0],
                png(ramp, 0, size=(10000, 9000)), KINDS["tif of nothing"][0], KINDS["tif lzw"][0]]
    files = [tmp_path / f"{i}.tif" for i in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    program = """
import sys
from minicyclegan.engine.images import check_images
check_images(sys.argv[1:], bad := {})
print(len(bad), *bad.values(), sep="\\n")"""
    done = subprocess.run([sys.executable, "-c", program, *files], capture_output=True, text=True)
    assert done.stderr == "" and done.returncode == 0
    count, damage, *_ = done.stdout.splitlines()
    assert count == "5" and damage == "damaged, or of a kind that Pillow cannot decode"


def test_a_remark_is_made_once_for_all_files(tmp_path, capsys):
    for i in range(5):
        kind = "png gray 16, values of 12" if i else "png rgb, infrared"
        (tmp_path / f"{i}.png").write_bytes(KINDS[kind][0])
    check_images(list_images(tmp_path), bad := {}, remarks=(remarks := {}))
    check_images(list_images(tmp_path), bad, 8, remarks)
    say_remarks(remarks)
    few, fourth = capsys.readouterr().out.splitlines()
    assert few.startswith(f"{tmp_path / '1.png'} and 3 more: 16-bit values") and not bad
    assert fourth.startswith(f"{tmp_path / '0.png'}: half transparent")
    say_remarks({})
    assert capsys.readouterr().out == ""


GEO = {33550: ("d", 1.0, 1.0, 0.0), 33922: ("d", *[0.0] * 6)}


@pytest.mark.parametrize("content, lost", [
    (png(ramp, 0), set()), (saved(picture(colour), "JPEG"), set()), (tiff(ramp, bits=8), set()),
    (png(wide(ramp), 0, 16), {"16 bits"}),
    (png(wide(rgb_alpha), 6, 16), {"16 bits", "transparency"}),
    (tiff(wide(colour), tags=GEO), {"16 bits", "georeference"}),
    (tiff(rgb_alpha, 2, (2,), GEO), {"transparency", "georeference"}),
    (tiff(gray_alpha, 1, (2,)), {"transparency"}), (tiff(wide(ramp, 16), bits=12), {"16 bits"}),
    (saved(palette, "PNG", transparency=3), {"transparency"}),
    (saved(palette, "GIF", transparency=3), {"transparency"}),
    (saved(picture(rgb_alpha), "WEBP"), {"transparency"}), (saved(picture(ramp), "WEBP"), set()),
    (KINDS["bmp 32, alpha"][0], {"transparency"}),
])
def test_what_a_translation_drops(content, lost, tmp_path):
    (tmp_path / "x.png").write_bytes(content)
    assert drops(tmp_path / "x.png") == lost


# ---------------------------------------------------------------- folders

def test_what_is_left_alone(tmp_path):
    for name in ("b.png", "a.JFIF", "c.jpe", "x.txt", "y.txt", "z.csv", "no suffix", ".hidden",
                 "._b.png", "Thumbs.db", "desktop.ini", ".DS_Store"):
        (tmp_path / name).touch()
    for name in ("more", "__MACOSX"):
        (tmp_path / name).mkdir()
    left = {}
    assert [f.name for f in list_images(tmp_path, left)] == ["a.JFIF", "b.png", "c.jpe"]
    assert {f.name for f in left} == {"x.txt", "y.txt", "z.csv", "no suffix", "more"}
    assert left_alone(left) == "5 others left alone (.txt, .csv, folder, no suffix)"
    assert list_images(tmp_path) == list_images(tmp_path, left) and len(left) == 5
    assert left_alone({f: why for f, why in left.items() if f.name == "z.csv"}) == (
        "1 other left alone (.csv)")
    assert left_alone({}) == ""


def test_folders_without_images(tmp_path):
    with pytest.raises(InputError, match="trainA is not a folder"):
        list_images(tmp_path / "trainA")
    with pytest.raises(InputError, match="holds no images .*put some there"):
        list_images(tmp_path)
    (tmp_path / "cats").mkdir()
    with pytest.raises(InputError, match="holds no images .*1 other left alone .folder.; put"):
        list_images(tmp_path)
    (tmp_path / "x.gif").touch()
    with pytest.raises(InputError, match=r"holds no images .*2 others left .* \(\.gif, folder\)"):
        list_images(tmp_path)


@pytest.mark.parametrize("name", ["x.jpg", "x.JPEG", "x.jfif", "x.jpe", "x.Png", "x.bmp", "x.webp",
                                  "x.tif", "x.TIFF"])
def test_every_suffix_is_found_and_read(name, tmp_path):
    picture(ramp, "RGB").save(tmp_path / name, quality=95)
    (tmp_path / "notes.txt").write_text("no image")
    (path,) = list_images(tmp_path)
    image = read_image(path)
    assert image.mode == "RGB" and image.size == (18, 20)
    assert np.abs(np.asarray(image)[..., 0].astype(int) - ramp).max() < 12  # JPEG, WebP are lossy


# ---------------------------------------------------------------- files that are no images

def test_enormous_images_are_refused_before_memory_is_taken(tmp_path):
    for i, size in enumerate([(10000, 9000), (60000, 60000), (2**31 - 1, 2**31 - 1)]):
        (tmp_path / f"{i}.png").write_bytes(png(ramp[:1], 0, size=size))
        with pytest.raises(InputError, match=r"\d\.png cannot be read.*than 89 million"):
            read_image(tmp_path / f"{i}.png")


def test_all_that_is_no_image(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("nowhere")
    (tmp_path / "to_folder.png").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "text\nfile.bmp").write_text("hello")
    check_images([*list_images(tmp_path), tmp_path / "none.png"], bad := {})
    assert bad.pop(tmp_path / "text\nfile.bmp").startswith("damaged, or no image of the kinds")
    assert {file.name: why for file, why in bad.items()} == {
        "folder.jpg": "is a folder", "link.jpg": "links to nothing", "to_folder.png": "is a folder",
        "pipe.png": "is no plain file", "none.png": "does not exist"}


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refused(path, **settings):  # as root, a test may read everything
        raise PermissionError(13, "Permission denied", str(path))

    picture(ramp).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "open", refused)
    with pytest.raises(InputError, match=r"x.png cannot be read .*\(Permission denied\)"):
        read_image(tmp_path / "x.png")


def test_the_check_can_be_interrupted():
    read = []

    def slow(file):
        if file == 3:
            raise KeyboardInterrupt
        time.sleep(0.001)
        read.append(file)

    with pytest.raises(KeyboardInterrupt):
        read_all(range(20_000), slow, {}, "checking")
    assert len(read) < 10_000  # it does not wait for all of them


# ---------------------------------------------------------------- images and tensors

def test_tensor_and_back():
    array = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for image, shape in ((picture(array), (1, 16, 16)),
                         (picture(stack(array, array.T, array)), (3, 16, 16))):
        tensor = to_tensor(image)
        assert tensor.shape == shape and tensor.min() == -1 and tensor.max() == 1
        assert np.array_equal(np.asarray(to_image(tensor)), np.asarray(image))


def test_resize_keeps_proportions():
    assert resize(Image.new("L", (100, 50)), 20).size == (40, 20)
    assert resize(Image.new("L", (50, 100)), 20).size == (20, 40)


@pytest.mark.parametrize("channels, side, message", [
    (4, None, "channels must be 1 or 3, not 4"), (2, 8, "channels must be 1 or 3, not 2"),
    (3, 0, "at least 1 pixel, not 0"), (1, -1, "at least 1 pixel, not -1")])
def test_channels_and_sides_that_no_image_has(channels, side, message, tmp_path):
    picture(ramp).save(tmp_path / "x.png")
    with pytest.raises(InputError, match=message):
        read_image(tmp_path / "x.png", channels, side)


def test_the_middle_of_an_image(tmp_path):
    picture(np.repeat(np.uint8([[0, 0, 255, 255, 0, 0]]), 2, 0)).save(tmp_path / "x.png")
    assert (read_square(tmp_path / "x.png", 2) == 1).all()
    assert read_square(tmp_path / "x.png", 2, 1).shape == (1, 2, 2)
