"""Toy horses and zebras, drawn by code, so that the true counterpart of every image is known.

A `Scene` is a description without any colour or stripe: where the animal stands, how it holds
itself, where the horizon is, how much light there is. `draw(scene, "A")` draws it as a horse on a
green meadow, `draw(scene, "B")` as a zebra on dry grass. No scene is in both training sets, so
training is unpaired; the test sets are the same scenes drawn both ways.
"""

import math
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw
from tqdm import tqdm

from ..config import TOY
from .download import new_folder

COUNTS = {"trainA": 300, "trainB": 300, "testA": 60, "testB": 60}
OVERSAMPLING = 4  # draw this many times larger, then average: smooth edges

COLOURS = {
    "A": dict(sky=(138, 186, 232), haze=(206, 224, 236), hills=(88, 128, 106), near=(84, 128, 58),
              far=(142, 170, 94), coat=(146, 84, 42), mane=(52, 30, 20)),
    "B": dict(sky=(160, 192, 224), haze=(226, 222, 210), hills=(140, 126, 108), near=(168, 142, 80),
              far=(202, 184, 126), coat=(236, 232, 222), mane=(34, 30, 30)),
}


@dataclass(frozen=True)
class Scene:
    """Everything that both drawings of a scene share. Lengths in units of the image's side."""

    x: float  # centre of the body, from the left
    ground: float  # where the hooves stand, from the top
    scale: float  # size of the animal, 1 is as large as fits
    direction: int  # +1 looks right, -1 looks left
    slope: float  # tilt of the body, radians
    neck: float  # angle of the neck above the horizontal, radians
    legs: tuple  # swing of the four legs, radians
    tail: float  # swing of the tail, radians
    horizon: float  # from the top
    hills: tuple  # phases of the two waves that make the hills
    light: float  # on the land; 1 is full daylight, less is a cloud's shadow
    tufts: tuple  # (x, depth, height, brightness) of each tuft of grass

    @staticmethod
    def random(key):
        """The scene that belongs to a key (any string): the same key gives the same scene."""
        rng = random.Random(key)  # the standard library's: the same on every platform
        return Scene(
            x=rng.uniform(0.44, 0.56), ground=rng.uniform(0.80, 0.92),
            scale=rng.uniform(0.80, 1.0), direction=rng.choice((-1, 1)),
            slope=rng.uniform(-0.06, 0.06), neck=rng.uniform(0.45, 1.05),
            legs=tuple(rng.uniform(-0.3, 0.3) for _ in range(4)), tail=rng.uniform(0.1, 0.6),
            horizon=rng.uniform(0.28, 0.46), hills=(rng.uniform(0, 6.3), rng.uniform(0, 6.3)),
            light=rng.uniform(0.8, 1.06),
            tufts=tuple((rng.random(), rng.random(), rng.uniform(0.5, 1.0), rng.uniform(-1, 1))
                        for _ in range(50)),
        )


def _toward(point, angle, length):
    return point[0] + length * math.cos(angle), point[1] + length * math.sin(angle)


def _skeleton(scene):
    """The animal's parts, farthest first: (start, end, radius at start, at end, stripes, light).

    stripes are the places that are dark in a zebra: (from, to), 0 at the part's start, 1 at its
    end; None for what is dark all over, in a horse too. They are few and wide, and tied to what a
    horse shows as well (thighs, shoulders, knees), so that where they belong can be learned.
    """
    s, up, back = 0.92 * scene.scale, -math.pi / 2, -scene.neck - math.pi / 2
    leg = 0.31 * s
    middle = (-0.06 * s, -leg - 0.085 * s)  # relative to the ground below the centre of the body
    rump, chest = (_toward(middle, scene.slope + a, 0.155 * s) for a in (math.pi, 0))
    poll = _toward(chest, -scene.neck, 0.27 * s)  # top of the neck
    muzzle = _toward(poll, 0.75, 0.15 * s)
    legs = []
    for i, (hip, swing) in enumerate(zip((rump, chest, rump, chest), scene.legs, strict=True)):
        dx, dy, thigh, light = (0.035, 0.03, 0.052, 0.75) if i < 2 else (-0.035, 0, 0.068, 1)
        hip = (hip[0] + dx * s, hip[1] + dy * s)
        knee = _toward(hip, -up + swing, (-hip[1]) * 0.52)
        hoof = (knee[0] + 0.02 * s * math.sin(5 * swing), 0.0)
        legs += [(hip, knee, thigh * s, 0.026 * s, [(0.1, 0.36), (0.66, 0.92)], light),
                 (knee, hoof, 0.024 * s, 0.020 * s, [(0.8, 1.5)], light)]
    dock = (rump[0] - 0.07 * s, rump[1] - 0.05 * s)
    return [*legs[:4],  # the far ones, in the shade
            (dock, _toward(dock, -up + scene.tail, 0.22 * s), 0.014 * s, 0.028 * s, None, 1),
            (_toward(chest, back, 0.065 * s), _toward(poll, back, 0.035 * s),
             0.040 * s, 0.036 * s, None, 1),  # the mane, behind the neck
            (chest, poll, 0.090 * s, 0.050 * s, [(0.42, 0.7)], 0.95),
            (rump, chest, 0.116 * s, 0.104 * s, [(-0.2, 0.08), (0.36, 0.64), (0.92, 1.2)], 0.9),
            *legs[4:],  # thighs and shoulders stand out from the trunk
            (poll, _toward(poll, up - 0.2, 0.095 * s), 0.026 * s, 0.010 * s, [], 1),  # ear
            (poll, muzzle, 0.052 * s, 0.032 * s, [(0.75, 1.5)], 1)]


def draw(scene, domain, size=64):
    """Draw a scene as an RGB image of `domain` "A" or "B", size × size pixels."""
    return _draw(scene, domain, size)[0]


def mask(scene, size=64):
    """Where the animal is: an "L" image, 255 on the animal, 0 elsewhere, grey on its edge."""
    return _draw(scene, "A", size)[1]


def _draw(scene, domain, size):
    colours, n = COLOURS[domain], size * OVERSAMPLING

    # The light falls on the land, not on the sky: were everything dimmed alike, instance norm
    # would take the difference out, and no generator could know it.
    def lit(colour, light=scene.light):
        return tuple(min(255, round(c * light)) for c in colour)

    def mixed(one, other, t, light=scene.light):
        return lit([a + (b - a) * t for a, b in zip(one, other, strict=True)], light)

    image, animal = Image.new("RGB", (n, n)), Image.new("L", (n, n))
    pen, horizon = ImageDraw.Draw(image), scene.horizon * n
    for y in range(n):  # sky above the horizon, ground below it
        if y < horizon:
            pen.line((0, y, n, y), mixed(colours["sky"], colours["haze"], y / horizon, 1))
        else:
            depth = (y - horizon) / (n - horizon)
            pen.line((0, y, n, y), mixed(colours["far"], colours["near"], depth))
    a, b = scene.hills
    ridge = [(x, horizon - n * (0.045 + 0.03 * math.sin(a + 5 * x / n)
                                + 0.012 * math.sin(b + 13 * x / n))) for x in range(0, n + 1, 4)]
    pen.polygon([(0, horizon), *ridge, (n, horizon)], fill=lit(colours["hills"]))
    for x, depth, height, brightness in scene.tufts:
        y = horizon + (n - horizon) * depth
        tall = n * 0.05 * height * (0.3 + depth)
        colour = mixed(colours["far"], colours["near"], depth + 0.45 * brightness)
        pen.polygon([(x * n - tall / 3, y), (x * n, y - tall), (x * n + tall / 3, y)], fill=colour)

    def place(point):  # from the animal's coordinates to pixels
        return (scene.x + scene.direction * point[0]) * n, (scene.ground + point[1]) * n

    shadow = [place((dx * scene.scale, dy)) for dx, dy in ((-0.32, -0.02), (0.22, 0.02))]
    (x0, y0), (x1, y1) = shadow
    pen.ellipse((min(x0, x1), y0, max(x0, x1), y1), fill=lit(colours["near"], 0.6 * scene.light))
    for start, end, r0, r1, stripes, light in _skeleton(scene):
        part = Image.new("L", (n, n))
        _capsule(ImageDraw.Draw(part), place(start), place(end), r0 * n, r1 * n)
        light *= scene.light
        image.paste(lit(colours["mane" if stripes is None else "coat"], light), mask=part)
        if domain == "B" and stripes:
            bands = Image.new("L", (n, n))
            _stripes(ImageDraw.Draw(bands), place(start), place(end), stripes)
            image.paste(lit(colours["mane"]), mask=ImageChops.multiply(part, bands))
        animal.paste(255, mask=part)
    return tuple(i.resize((size, size), Image.Resampling.BOX) for i in (image, animal))


def _capsule(pen, start, end, r0, r1):
    """A limb: two discs and what lies between them."""
    angle = math.atan2(end[1] - start[1], end[0] - start[0])
    for (x, y), r in ((start, r0), (end, r1)):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=255)
    pen.polygon([_toward(start, angle + math.pi / 2, r0), _toward(end, angle + math.pi / 2, r1),
                 _toward(end, angle - math.pi / 2, r1), _toward(start, angle - math.pi / 2, r0)],
                fill=255)


def _stripes(pen, start, end, places):
    """Stripes across a limb: fixed to the body, so they move with it."""
    angle, length = math.atan2(end[1] - start[1], end[0] - start[0]), math.dist(start, end)
    for first, last in places:
        middle = _toward(start, angle, (first + last) / 2 * length)
        pen.line([_toward(middle, angle + side * math.pi / 2, length) for side in (-1, 1)],
                 fill=255, width=round((last - first) * length))


def toy_set():
    """Where the toy set is, data/toy; it is drawn there if it is missing."""
    if not Path(TOY).exists():
        print(f"drawing the toy set into {TOY}")
        draw_dataset(TOY)
    return Path(TOY)


def draw_dataset(folder, size=64, seed=0):
    """Draw the whole set: trainA, trainB, testA, testB and testMask, as PNG files.

    Raises InputError where `folder` exists already. A drawing that is interrupted leaves nothing.
    """
    with new_folder(folder) as new:
        (new / "testMask").mkdir()
        for split, count in COUNTS.items():
            # testA and testB share their keys, hence their scenes; trainA and trainB do not
            key = "test" if split.startswith("test") else split
            (new / split).mkdir()
            for i in tqdm(range(count), desc=f"drawing {split}", leave=False):
                scene = Scene.random(f"{seed}/{key}/{i}")
                draw(scene, split[-1], size).save(new / split / f"{i:03d}.png")
                if split == "testA":
                    mask(scene, size).save(new / "testMask" / f"{i:03d}.png")
