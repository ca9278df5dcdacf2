import hashlib
from pathlib import Path

import numpy as np
import pytest

from minicyclegan import InputError, read_image
from minicyclegan.lab.toy import COUNTS, Scene, draw, draw_dataset, mask, toy_set

SHIPPED = Path(__file__).parents[2] / "data" / "toy"
scenes = [Scene.random(f"test of the toy/{i}") for i in range(10)]


def array(image):
    return np.asarray(image).astype(int)


def test_the_same_key_gives_the_same_picture():
    again = Scene.random("test of the toy/0")
    assert again == scenes[0] != scenes[1]
    assert np.array_equal(array(draw(again, "B")), array(draw(scenes[0], "B")))


def test_the_animal_is_where_the_mask_says():
    """A zebra without stripes and colours changed elsewhere: horse and zebra share one outline."""
    for scene in scenes:
        animal = array(mask(scene)) == 255
        assert 0.06 < animal.mean() < 0.3
        assert animal[0].sum() == animal[-1].sum() == 0  # inside the picture
        horse, zebra = array(draw(scene, "A")), array(draw(scene, "B"))
        red = horse[..., 0] - horse[..., 1]
        assert (red[animal] > 0).mean() > 0.98  # a brown horse
        colourful = np.ptp(zebra, axis=-1)
        assert (colourful[animal] < 20).all()  # a black and white zebra
        ground = array(mask(scene)) == 0
        ground[: round(64 * scene.horizon) + 1] = False
        assert (horse[..., 1] > horse[..., 0])[ground].mean() > 0.95  # on green
        assert (zebra[..., 0] > zebra[..., 1])[ground].mean() > 0.95  # on dry grass


def test_zebras_have_stripes_and_horses_have_none():
    for scene in scenes:
        animal = array(mask(scene, 128)) == 255
        zebra, horse = (array(draw(scene, d, 128)).mean(-1)[animal] for d in "BA")
        assert (zebra < 60).mean() > 0.2 and (zebra > 150).mean() > 0.2
        assert (horse > 150).mean() == 0


def test_stripes_are_tied_to_the_body():
    """Moved sideways, the animal takes its stripes with it."""
    from dataclasses import replace
    scene = replace(scenes[0], x=0.5)
    moved = replace(scene, x=0.5 + 4 / 64)
    for image in (draw(scene, "B"), draw(moved, "B")):
        assert image.size == (64, 64)
    animal = (array(mask(scene)) == 255)[:, :60]
    difference = np.abs(array(draw(scene, "B"))[:, :60] - array(draw(moved, "B"))[:, 4:])
    assert difference[animal].mean() < 2


def test_stripes_are_few_and_wide():
    """Along the line of the trunk, a zebra goes from light to dark and back a few times only, and
    a horse shows where thigh and shoulder end: that is what tells where the stripes belong."""
    for scene in scenes:
        animal = array(mask(scene, 128)) == 255
        row = animal[: round(128 * scene.ground)].sum(axis=1).argmax()  # the longest: the trunk
        zebra, horse = (array(draw(scene, d, 128)).mean(-1)[row][animal[row]] for d in "BA")
        dark = zebra < 100
        assert 2 <= (dark[1:] != dark[:-1]).sum() <= 14
        assert np.ptp(np.percentile(horse, [10, 90])) > 3  # of 255


@pytest.mark.parametrize("size", [8, 33, 200])
def test_any_size(size):
    assert draw(scenes[0], "A", size).size == mask(scenes[0], size).size == (size, size)


def test_edges_are_smooth():
    assert len(np.unique(array(mask(scenes[0])))) > 10


def test_no_scene_is_in_both_training_sets():
    keys = [f"0/{split}/{i}" for split in ("trainA", "trainB", "test")
            for i in range(COUNTS[split if split != "test" else "testA"])]
    assert len({Scene.random(key) for key in keys}) == 660


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The first tenth of every folder."""
    folder = tmp_path_factory.mktemp("toy") / "set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minicyclegan.lab.toy.COUNTS", {k: n // 10 for k, n in COUNTS.items()})
        draw_dataset(folder, size=64, seed=0)
    return folder


def test_the_shipped_set_is_the_drawn_one(drawn):
    shipped = sorted(SHIPPED.rglob("*.png"))
    assert len(shipped) == 300 + 300 + 60 + 60 + 60
    assert sum(f.stat().st_size for f in shipped) < 6e6
    assert len({hashlib.sha256(f.read_bytes()).digest() for f in shipped}) == len(shipped)
    files = [f.relative_to(drawn) for f in drawn.rglob("*.png")]
    assert len(files) == 78
    for file in files:
        ours, theirs = (array(read_image(root / file)) for root in (drawn, SHIPPED))
        # another version of Pillow may round an edge elsewhere, and no more than that
        assert np.abs(ours - theirs).mean() < 0.5, file


def test_an_existing_folder_is_left_alone(drawn):
    with pytest.raises(InputError, match="exists already"):
        draw_dataset(drawn)


def test_a_drawing_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("minicyclegan.lab.toy.COUNTS", dict(trainA=1, testA=1))
    monkeypatch.setattr("minicyclegan.lab.toy.mask", stopped)
    with pytest.raises(KeyboardInterrupt):
        draw_dataset(tmp_path / "toy")
    assert not list(tmp_path.iterdir())


def test_the_toy_set_is_drawn_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("minicyclegan.lab.toy.COUNTS", dict(trainA=1, trainB=1, testA=1, testB=1))
    assert toy_set() == Path("data/toy") and (toy_set() / "testMask" / "000.png").exists()
    assert capsys.readouterr().out.count("drawing") == 1
