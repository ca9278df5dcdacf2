"""Some hundred cases of fuzz.py; the rest is for `python tests/fuzz.py`."""

import fuzz
import pytest


def test_the_judge_is_no_pushover(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    before, sentence = fuzz.files(tmp_path), "minicyclegan train: no.\n"
    progress = "run:  50%|#####     | 1/2 [00:00<00:00,  1.77step/s]\r"
    assert fuzz.problem(["train"], before, 0, progress) is None
    listed = progress + "\n" + sentence + "  x.png: is empty\n"
    assert fuzz.problem(["train"], before, 2, listed) is None
    for code, stderr in ((1, sentence), (2, ""), (0, sentence), (0, "UserWarning: odd\n"),
                         (2, sentence + "libtiff: odd\n"), ("Traceback ...", "")):
        assert fuzz.problem(["train"], before, code, stderr)
    (tmp_path / "new").write_text("")
    assert fuzz.problem(["train"], before, 0, "") is None
    assert "left ['new']" in fuzz.problem(["train"], before, 2, sentence)
    (tmp_path / "new").rename(tmp_path / ".new.tmp")
    assert "left behind" in fuzz.problem(["train"], before, 0, "")
    (tmp_path / ".new.tmp").unlink()
    (tmp_path / "file").write_text("other")
    assert "changed ['file']" in fuzz.problem(["train"], before, 2, sentence)


@pytest.mark.slow
def test_whatever_it_is_fed():
    assert fuzz.fuzz(seed=2024, numbers=range(300), kinds=fuzz.KINDS) == []
