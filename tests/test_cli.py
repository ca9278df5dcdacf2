"""The command line, as a user types it."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import OPTIONS
from PIL import Image

from minicyclegan import Generator, __version__
from minicyclegan.__main__ import architecture, main
from minicyclegan.engine.errors import command


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "minicyclegan", *map(str, arguments)],
                          capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minicyclegan.lab.toy.COUNTS", dict(trainA=4, trainB=4, testA=3, testB=3))
        assert main(["draw", str(folder / "toy"), "--size", "16", "--seed", "1"]) == 0
    return folder


@pytest.fixture(scope="module")
def trained(toy):
    result = run("train", "--data", toy / "toy", "--out", toy / "run", *OPTIONS)
    assert result.returncode == 0, result.stderr
    return toy / "run", result


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == f"minicyclegan {__version__}"


def test_train_says_what_came_out_and_what_is_next(trained, toy):
    folder, result = trained
    assert "3 test images" in result.stdout and "nothing" in result.stdout
    assert "animal" in result.stdout and "found" in result.stdout
    assert f"minicyclegan translate {folder} --to B {toy / 'toy' / 'testA'}" in result.stdout
    assert "4/4" in result.stderr  # the progress bar


def test_every_example_in_help_can_be_parsed(capsys):
    from minicyclegan.__main__ import parser
    for name in ("train", "translate", "export"):
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0
        example = capsys.readouterr().out.split("example: minicyclegan ")[1].split()
        assert parser().parse_args(example).command == name


def test_export(trained, toy, capsys):
    """The two generators alone: a small file that translates as the run does."""
    folder, file = str(trained[0]), toy / "generators.pt"
    assert main(["export", folder, str(file)]) == 0
    assert file.stat().st_size < (trained[0] / "checkpoint.pt").stat().st_size / 3
    assert "generators.pt" in capsys.readouterr().out
    for source, out in ((folder, "by_run"), (str(file), "by_file")):
        assert main(["translate", source, "--to", "A", str(toy / "toy" / "testB"),
                     "--out", str(toy / out)]) == 0
    for image in (toy / "by_run").iterdir():
        assert image.read_bytes() == (toy / "by_file" / image.name).read_bytes()
    capsys.readouterr()
    checkpoint = trained[0] / "checkpoint.pt"
    for arguments, message in ((["export", folder, str(file)], "exists already"),
                               (["export", folder, str(checkpoint), "--overwrite"],
                                "is the name of a checkpoint"),
                               (["train", "--resume", str(file)], "is a file")):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
    assert main(["train", "--resume", folder]) == 0  # the run is as it was


def test_the_model_that_ships(tmp_path, monkeypatch, capsys):
    """Right after the install, in an empty folder: the toy set is drawn and translated."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("minicyclegan.lab.toy.COUNTS", dict(trainA=1, trainB=1, testA=2, testB=2))
    assert main(["translate", "--model", "toy"]) == 0
    assert "2 images in fake_B" in capsys.readouterr().out
    assert main(["translate", "--model", "toy", "data/toy/testA", "--to", "B", "--out", "x"]) == 0
    assert main(["translate", "--model=toy", "--to", "A", "data/toy/testB/000.png"]) == 0
    for folder, names in (("fake_B", 2), ("x", 2), ("fake_A", 1)):
        assert len(list((tmp_path / folder).iterdir())) == names
    assert ((tmp_path / "fake_B" / "001.png").read_bytes()
            == (tmp_path / "x" / "001.png").read_bytes())
    capsys.readouterr()
    assert main(["evaluate", "--model", "toy", "--json", "scores.json"]) == 0
    assert json.loads((tmp_path / "scores.json").read_text())["images"] == 2


def test_resume(trained, toy, capsys):
    assert main(["train", "--resume", str(trained[0])]) == 0
    assert "4 steps" in capsys.readouterr().out


def test_photographs_without_pairs(photos, tmp_path, capsys):
    assert main(["train", "--data", str(photos), "--out", str(tmp_path / "run"), *OPTIONS]) == 0
    assert "no scores" in capsys.readouterr().out
    assert not (tmp_path / "run" / "scores.json").exists()
    assert main(["evaluate", str(tmp_path / "run")]) == 2
    assert "do not pair by file name" in capsys.readouterr().err


def test_defaults_draw_the_toy_set_and_number_the_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("minicyclegan.lab.toy.COUNTS", dict(trainA=2, trainB=2, testA=1, testB=1))
    for name in ("toy", "toy-2"):
        assert main(["train", *OPTIONS, "--stop-after", "1"]) == 0
        assert (tmp_path / "runs" / name / "checkpoint.pt").exists()
    assert (tmp_path / "data" / "toy" / "testMask" / "000.png").exists()


BAD = {
    "no command": ([], "required"),
    "unknown command": (["fly"], "fly"),
    "unknown option": (["train", "--learning-rate", "1"], "--learning-rate"),
    "abbreviated option": (["train", "--see", "1"], "--see"),
    "unknown preset": (["train", "--preset", "huge"], "huge"),
    "not a number": (["train", "--steps", "many"], "--steps"),
    "size": (["train", "--size", "30"], "--size must be a multiple of 8"),
    "device": (["train", "--device", "quantum"], "--device quantum does not work"),
    "missing data": (["train", "--data", "nowhere", "--out", "r"], "nowhere/trainA is not a"),
    "empty data": (["train", "--data", "empty", "--out", "r"], "empty/trainA is not a folder"),
    "no images": (["train", "--data", "hollow", "--out", "r"], "hollow/trainA holds no images"),
    "no image": (["train", "--data", "rotten", "--out", "r"], "rotten/trainA/x.png cannot be read"),
    "output exists": (["train", "--data", "empty", "--out", "full"], "full exists already"),
    "output is a file": (["train", "--data", "empty", "--out", "file"], "file exists already"),
    "a negative stop": (["train", "--stop-after", "-1"], "--stop-after must be at least 0"),
    "resume of nothing": (["train", "--resume", "empty"], "empty/checkpoint.pt does not exist"),
    "resume elsewhere": (["train", "--resume", "empty", "--out", "r"],
                         "give neither --out nor --preset"),
    "resume by a preset": (["train", "--resume", "empty", "--preset", "toy"],
                           "give neither --out nor --preset"),
    "translate nothing": (["translate", "empty", "--to", "B", "file", "--out", "o"],
                          "empty/checkpoint.pt does not exist"),
    "translate by rubbish": (["translate", "file", "--to", "B", "file", "--out", "o"],
                             "file is no checkpoint, or is damaged"),
    "translate to nowhere": (["translate", "empty", "--to", "C", "file", "--out", "o"], "--to"),
    "translate without images": (["translate", "empty"], "name a RUN, then the images"),
    "translate nothing that is known": (["translate", "a", "b", "--fly", "c"], "--fly"),
    "translate by no model of ours": (["translate", "--model", "cat", "empty"], "--model"),
    "evaluate nothing": (["evaluate", "empty"], "empty/checkpoint.pt does not exist"),
    "evaluate what": (["evaluate"], "name either a RUN or --model toy"),
    "evaluate both": (["evaluate", "empty", "--model", "toy"], "name either a RUN or --model toy"),
    "a split of nothing": (["evaluate", "empty", "--split", "train"], "belongs to --fid"),
    "kept by none": (["evaluate", "empty", "--kept"], "has kept no generators"),
    "too long to count": (["train", "--steps", "9" * 400], "--steps must be at most 1000000000000"),
    "a variable that is not set": (["train", "--init", ""], "--init is followed by nothing"),
    "another that is not set": (["evaluate", "empty", "--data="], "--data is followed by nothing"),
    "overwrite and skip": (["translate", "empty", "full", "--overwrite", "--skip-existing"],
                           "give one of them"),
    "one file twice": (["evaluate", "empty", "--json", "x.png", "--picture", "./x.png"],
                       "name the same file"),
    "scores to nowhere": (["evaluate", "empty", "--json", "no/x.json"], "no is not a folder; make"),
    "a picture to nowhere": (["evaluate", "empty", "--picture", "no/x.png"], "no is not a folder"),
    "epochs and steps": (["train", "--epochs", "2", "--steps", "9"], "both say how long"),
    "without effect": (["train", "--model", "one_way", "--lambda-identity", "1"], "has no effect"),
    "init from nothing": (["train", "--init", "nowhere.pt"], "nowhere.pt does not exist"),
    "init from rubbish": (["train", "--init", "file"], "file is no checkpoint, or is damaged"),
    "report on nothing": (["report", "empty"], "empty/checkpoint.pt does not exist"),
    "export nothing": (["export", "empty", "new"], "empty/checkpoint.pt does not exist"),
    "export over": (["export", "empty", "file"], "file exists already"),
    "draw over": (["draw", "full"], "full exists already"),
    "draw nothing": (["draw", "new", "--size", "0"], "--size must be at least 8"),
    "download the unknown": (["download", "cat2dog"], "cat2dog is not one of the paper's sets"),
    "download over": (["download", "maps", "--out", "full"], "full exists already"),
    "download from nowhere": (["download", "maps", "--from", "x.zip", "--out", "new"],
                              "x.zip is neither a file nor"),
    "download rubbish": (["download", "mine", "--from", "file", "--out", "new"],
                         "file is damaged, or not a zip"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "full", "hollow/trainA", "rotten/trainA", "rotten/trainB"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("full/mine.txt", "file", "rotten/trainA/x.png"):
        (tmp_path / file).write_text("mine")
    Image.new("L", (8, 8)).save("rotten/trainB/y.png")
    before = sorted(tmp_path.rglob("*"))
    arguments, message = BAD[case]
    try:
        code = main(arguments)
    except SystemExit as stop:  # argparse leaves this way
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == ""
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("minicyclegan") and message in line
    assert "Traceback" not in line
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_another_architecture_in_a_checkpoint(trained, tmp_path, capsys):
    import torch
    checkpoint = torch.load(trained[0] / "checkpoint.pt", weights_only=True)
    checkpoint["config"]["blocks"] = 5
    checkpoint["config"]["init"] = ""
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    for arguments in (["translate", str(tmp_path), "--to", "B", __file__, "--out", "o"],
                      ["evaluate", str(tmp_path)], ["train", "--resume", str(tmp_path)]):
        assert main(arguments) == 2
        assert "another architecture" in capsys.readouterr().err


def test_what_somebody_names_wins(toy, capsys):
    """--epochs against the preset's steps; --init brings the architecture along."""
    few = [x for x in OPTIONS if x not in ("--steps", "4")]
    assert main(["train", "--data", str(toy / "toy"), "--out", str(toy / "epochs"), *few,
                 "--epochs", "3", "--batch", "2", "--stop-after", "1"]) == 0
    assert "epochs: 6 steps" in capsys.readouterr().out
    assert main(["train", "--data", str(toy / "toy"), "--out", str(toy / "on"), "--size", "16",
                 "--init", str(toy / "epochs"), "--lr", "1e-4", "--stop-after", "1"]) == 0
    config = json.loads((toy / "on" / "config.json").read_text())
    assert (config["generator"], config["width"], config["disc_depth"]) == ("resnet", 2, 2)


def test_init_and_the_options_of_its_networks(trained, toy, capsys):
    """Named otherwise they are refused, by name; what nobody named is not; D's go with a D."""
    init = ["train", "--data", str(toy / "toy"), "--size", "16", "--init", str(trained[0])]
    for option, value in (("--width", "3"), ("--generator", "unet"), ("--disc-depth", "1")):
        assert main([*init, option, value, "--out", str(toy / "no")]) == 2
        assert f"{option} {value} does not fit the networks in {trained[0]}, which have" in (
            capsys.readouterr().err)
    assert main([*init, "--width", "2", "--lambda-adversarial", "0", "--stop-after", "1", "--out",
                 str(toy / "no D")]) == 0
    assert main(["export", str(trained[0]), str(toy / "two.pt")]) == 0
    assert architecture({"init": str(toy / "two.pt"), "disc_width": 3})["disc_depth"] == 2
    torch.save(Generator(2, 1).state_dict(), toy / "theirs.pth")
    theirs = architecture({"init": str(toy / "theirs.pth")})
    assert theirs["width"] == 2 and "disc_width" not in theirs  # the preset's


def test_names_of_runs_and_commands_to_copy(toy, tmp_path, monkeypatch, capsys):
    """--data . names the run after the folder; what is printed to be copied is quoted."""
    folder = tmp_path / "my (best) photos"
    shutil.copytree(toy / "toy", folder)
    monkeypatch.chdir(folder)
    assert main(["train", "--data", ".", *OPTIONS]) == 0
    run = Path("runs") / "my (best) photos"
    assert (run / "checkpoint.pt").exists()
    said = capsys.readouterr().out.splitlines()[-1].strip()
    assert shlex.split(said) == ["minicyclegan", "translate", str(run), "--to", "B", "testA",
                                 "--out", str(run / "fake_B")]
    assert command("train", "--resume", Path("-x y")) == "minicyclegan train --resume './-x y'"
