"""The commands of the lab, as a user types them."""

import json

import pytest
from conftest import OPTIONS

from minicyclegan import read_image
from minicyclegan.__main__ import LAB, main, parser
from minicyclegan.engine.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minicyclegan.lab.toy.COUNTS", dict(trainA=4, trainB=4, testA=3, testB=3))
        assert main(["draw", str(folder / "toy"), "--size", "16", "--seed", "1"]) == 0
    return folder


@pytest.fixture(scope="module")
def run(toy):
    assert main(["train", "--data", str(toy / "toy"), "--out", str(toy / "my run"),
                 "--keep-every", "2", *OPTIONS]) == 0
    return toy / "my run"


def test_every_example_in_help_can_be_parsed(capsys):
    for name, help in LAB.items():
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0
        text = capsys.readouterr().out
        assert parser(lab=True).parse_args(
            text.split("example: minicyclegan ")[1].split()).command == name
        assert help.split()[0] in text.lower()


def test_evaluate(run, toy, capsys):
    scores = toy / "scores.json"
    words = ["evaluate", str(run), "--json", str(scores), "--picture", str(toy / "scores.png")]
    assert main(words) == 0
    result = json.loads(scores.read_text())
    assert result["images"] == 3
    for way in ("A_to_B", "B_to_A"):
        assert list(result[way]) == ["ours", "nothing", "average", "colours"]
    assert f"{result['A_to_B']['ours']['mae']:.1f}" in capsys.readouterr().out
    assert read_image(toy / "scores.png").width > 400
    assert main(words) == 2
    assert "scores.json exists already" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    for more, name in (([], "scores.png"), (["--data", str(toy / "toy")], "scores_toy.png")):
        assert main(["evaluate", str(run), *more]) == 0
        assert str(run / name) in capsys.readouterr().out and (run / name).exists()
    assert json.loads((run / "scores.json").read_text()) == result  # as at the end of training


def test_a_file_gets_nothing_beside_it(run, toy, capsys):
    before = sorted(toy.rglob("*"))
    for file in (run / "kept" / "step_000002.pt", run / "checkpoint.pt"):
        assert main(["evaluate", str(file)]) == 0
    assert sorted(toy.rglob("*")) == before


def test_kept(run, toy, capsys):
    assert main(["evaluate", str(run), "--kept", "--json", str(toy / "kept.json")]) == 0
    out = capsys.readouterr().out
    assert f"minicyclegan translate '{run / 'kept' / 'step_00000'}" in out and "best" in out
    kept = json.loads((toy / "kept.json").read_text())
    assert list(kept) == ["2", "4"]
    last = json.loads((run / "scores.json").read_text())
    assert kept["4"]["A_to_B"]["ours"] == last["A_to_B"]["ours"]
    assert main(["evaluate", str(toy), "--kept"]) == 2
    assert "train with --keep-every N" in capsys.readouterr().err


def test_fid(run, toy, capsys, monkeypatch):
    """The folders, the size and the file's name reach it; what it tells lies in the run."""
    called = []

    def fid_scores(G_AB, G_BA, data, split, size, channels, device, source):
        called.append((data, split, size, channels, source))
        return {way: {"fid": float(len(called))} for way in ("A_to_B", "B_to_A")}

    monkeypatch.setattr("minicyclegan.lab.commands.fid_scores", fid_scores)
    monkeypatch.setattr("minicyclegan.lab.commands.fid_table", lambda scores: "a table")
    assert main(["evaluate", str(run), "--fid", "--split", "train"]) == 0
    assert called == [(str(toy / "toy"), "train", 16, 3, run)]
    assert "a table" in capsys.readouterr().out
    assert json.loads((run / "scores_fid_train.json").read_text())["A_to_B"] == {"fid": 1.0}
    assert main(["evaluate", str(run), "--fid", "--kept"]) == 0
    assert "2.00" in capsys.readouterr().out and len(called) == 3
    assert not (run / "scores_fid.json").exists()
    (run / "scores_fid_train.json").unlink()


def test_no_pairs(run, toy, tmp_path, capsys):
    content = load_checkpoint(run)
    content["config"]["pairs"] = False
    save_checkpoint(tmp_path / "x.pt", content)
    assert main(["evaluate", str(tmp_path / "x.pt")]) == 2
    assert f"minicyclegan evaluate {tmp_path / 'x.pt'} --fid" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "x.pt"), "--data", str(toy / "toy")]) == 0


def test_report(run, capsys):
    page = run / "report.html"
    page.unlink()
    assert main(["report", str(run)]) == 0
    assert str(page) in capsys.readouterr().out and page.exists()
    log = run / "log.csv"
    whole = log.read_text()
    log.write_text(whole.replace("\n2,", "\nx,"))
    assert main(["report", str(run)]) == 2
    assert "log.csv is damaged" in capsys.readouterr().err
    log.write_text(whole)


@pytest.mark.parametrize("words, message", [
    (["evaluate"], "name either a RUN or --model toy"),
    (["evaluate", "x", "--model", "toy"], "name either a RUN or --model toy"),
    (["evaluate", "x"], "x does not exist"),
    (["evaluate", "x", "--split", "test"], "--split belongs to --fid"),
    (["evaluate", "x", "--fid", "--picture", "a.png"], "--picture shows the pairs"),
    (["evaluate", "x", "--picture", "a.gif"], "must end in .png"),
    (["evaluate", "x", "--kept"], "x has kept no generators"),
    (["report", "x"], "x does not exist"), (["hiding", "x"], "x does not exist"),
    (["draw", "new", "--size", "0"], "--size must be at least 8"),
    (["download", "cat2dog"], "cat2dog"),
])
def test_bad_input_gets_one_sentence(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line and not list(tmp_path.iterdir())
