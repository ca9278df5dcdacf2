"""The assignments: that every master is sound, that wrong answers lose their points and right ones
don't, and that what is handed in is found. Grading itself: test_grade.py."""

import datetime
import io
import json
import os
import re
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "lessons" / "assignments"
sys.path.insert(0, str(FOLDER))

import check  # noqa: E402
import grade  # noqa: E402
from answers.notes import answers_to, notes  # noqa: E402
from check import InputError  # noqa: E402

MASTERS = sorted(FOLDER.glob("a[0-9]_*.ipynb"))
every_master = pytest.mark.parametrize("path", MASTERS, ids=lambda path: path.stem[:2])


def wrong_cell(master, question, what, old, new):
    """The answer cell with the mistake in it."""
    if old is None:
        return new
    solution = master.cells[question].source
    assert solution.count(old) == 1, f"{question}, {what}: {old!r} stands there not once"
    return solution.replace(old, new)


# ---- the masters ---------------------------------------------------------------------------------


def test_there_are_four():
    assert [path.stem[:2] for path in MASTERS] == ["a1", "a2", "a3", "a4"]


@every_master
def test_a_master_is_in_order(path):
    prefix = path.stem[:2]
    master = check.read_master(path)
    assert 10 <= master.points <= 20
    assert path.stat().st_size < 2**20
    grade_ids = [cell.metadata.nbgrader.grade_id for cell in master.cells.values()]
    assert len(set(grade_ids)) == len(grade_ids)
    for cell in master.notebook.cells:
        assert set(cell.metadata) <= {"nbgrader", "jupyter"}, "tags would reach nbval"
        if cell.cell_type != "code":
            continue
        label, points = cell.id, cell.metadata.nbgrader.get("points")
        assert label == cell.metadata.nbgrader.grade_id and label.startswith(prefix)
        first = f"# {label} (keep this line)"
        folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        assert folded == bool(points), "test cells, and no others, are folded"
        if points:
            first = f"# {label}: {points} point{'s' if points > 1 else ''}"
        assert cell.source.splitlines()[0] == first
        assert not cell.outputs and cell.execution_count is None
        assert max(map(len, cell.source.splitlines())) <= 100
    for q in master.questions:
        assert q.answers == [q.name.removesuffix("-hidden")] and q.title
    by_hand = [q.name for q in master.questions if not q.test]
    assert by_hand == [f"{prefix}-diagnosis" if prefix == "a4" else f"{prefix}-why"]
    assert not master.cells[f"{prefix}-seed"].metadata.nbgrader.locked, "nbgrader would reset it"
    seeded = [grade.with_seed(master, n).cells[f"{prefix}-seed"].source for n in (1, 2)]
    assert "SEED = 1 " in seeded[0] and "SEED = 2 " in seeded[1]


@every_master
def test_a_release_holds_no_solution(path):
    master = check.read_master(path)
    text = nbformat.writes(grade.release(master))
    assert not re.search("SOLUTION|HIDDEN", text)
    again = check.read_notebook(text.encode(), "release")
    for cell in again.cells:
        label = cell.id
        if label in master.cells and cell.cell_type == "code":
            compile(cell.source, label, "exec")
            solution = master.cells[label].metadata.nbgrader.solution
            assert ("raise NotImplementedError()" in cell.source) == solution
        assert cell.metadata == next(c for c in master.notebook.cells if c.id == label).metadata


class Bench:
    """Runs one question of a master in this process: quicker than a kernel."""

    def __init__(self, path, seed=0):
        self.master = grade.with_seed(check.read_master(path), seed)
        self.start = {}
        for label, cell in self.master.given.items():
            if "plt" not in cell.source:
                exec(compile(cell.source, label, "exec"), self.start)

    def failure(self, answer_id, answer):
        """What the tests of an answer cell say to an answer: '', or the type and the message."""
        for q in self.master.questions:
            if not q.test or answer_id not in q.answers:
                continue
            for text in check.hidden_tests(self.master.cells[q.test].source):
                names = dict(self.start)  # the hidden tests see nothing of the visible ones
                try:
                    exec(compile(answer, answer_id, "exec"), names)
                    exec(compile(text, q.test, "exec"), names)
                except Exception as error:
                    return f"{type(error).__name__}: {error}"
        return ""

    @property
    def answers(self):
        """The answer cells that tests ask about."""
        return sorted({label for q in self.master.questions if q.test for label in q.answers})


@every_master
def test_the_masters_answers_pass_and_stubs_fail(path, capsys):
    for seed in (0, 17):
        bench = Bench(path, seed)
        capsys.readouterr()
        # with another seed only what asks for it comes out differently
        for label in bench.answers if seed == 0 else [f"{path.stem[:2]}-values"]:
            solution = bench.master.cells[label].source
            assert bench.failure(label, solution) == "", label
            assert bench.failure(label, grade.stub(solution)).startswith("NotImplementedError")
        assert capsys.readouterr().out == "", "a test cell prints"


@pytest.mark.slow
@every_master
def test_wrong_answers_lose_their_points(path):
    bench, wrong = Bench(path), answers_to(path).WRONG
    for question, what, old, new in wrong:
        answer = wrong_cell(bench.master, question, what, old, new)
        found = bench.failure(question, answer)
        assert found, f"{question}: {what}: passes"
        assert len(found) > 25, f"{question}: {what}: {found!r} teaches nothing"
    assert sorted({question for question, *_ in wrong}) == bench.answers
    assert len(wrong) >= 3 * len(bench.answers)


@pytest.mark.slow
@every_master
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # float(loss): a style
def test_right_answers_in_another_style_pass(path):
    bench, right = Bench(path), answers_to(path).RIGHT
    for question, answer in right:
        assert bench.failure(question, answer) == "", answer
    assert sorted({question for question, _ in right}) == bench.answers


def test_the_instructors_notes_are_those_of_the_answers():
    assert (FOLDER / "NOTES.md").read_text(encoding="utf-8") == notes()


@every_master
def test_another_students_numbers_do_not_pass(path):
    """The answer of seed 1, typed in, to the question of seed 2."""
    question = f"{path.stem[:2]}-values"
    one, two = Bench(path, 1), Bench(path, 2)
    names, solution = dict(one.start), one.master.cells[question].source
    exec(solution, names)
    function = re.search(r"^def (\w+)\(\):", solution, re.M)[1]
    typed_in = f"def {function}():\n    return {names[function]()!r}"
    assert one.failure(question, typed_in) == ""
    assert two.failure(question, typed_in).startswith("AssertionError")


@every_master
@pytest.mark.slow
def test_nbgrader_takes_the_masters(path):
    nbgraderformat = pytest.importorskip("nbgrader.nbgraderformat")
    notebook = nbgraderformat.read(str(path), as_version=4)  # raises where metadata are not right
    validator = nbgraderformat.MetadataValidator()
    for cell in notebook.cells:
        validator.validate_cell(cell)
        if "nbgrader" in cell.metadata:
            assert cell.metadata.nbgrader.schema_version == 3
    # and its release says the same as ours
    from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions
    for clear in (ClearSolutions(), ClearHiddenTests()):
        notebook, _ = clear.preprocess(notebook, {})
    ours = grade.release(check.read_master(path))
    assert [c.source.strip() for c in notebook.cells] == [c.source.strip() for c in ours.cells]


# ---- what is handed in ---------------------------------------------------------------------------


def code_cell(label, source, **nbgrader):
    meta = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3,
            "grade_id": label, **nbgrader}
    cell = nbformat.v4.new_code_cell(source, metadata={"nbgrader": meta})
    cell.id = label
    return cell


def small_master():
    """Two questions for the machine and one for a person."""
    essay = nbformat.v4.new_markdown_cell(
        "<!-- m-essay (keep this line) -->\n### BEGIN SOLUTION\nThe rubric.\n### END SOLUTION")
    essay.metadata = code_cell("m-essay", "", grade=True, solution=True, points=4).metadata
    essay.id = "m-essay"
    return nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_markdown_cell("# Small\n\n## 1. Twice (2 points)"),
        code_cell("m-setup", "# m-setup (keep this line)\nSEED = 0", locked=True),
        code_cell("m-double", "# m-double (keep this line)\ndef double(x):\n"
                  "    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION", solution=True),
        code_cell("m-double-tests", "# m-double-tests: 2 points\n"
                  "assert double(3) == 6, f'double(3) is 6, not {double(3)}'\n"
                  "### BEGIN HIDDEN TESTS\nassert double(5) == 10, 'secret word'\n"
                  "### END HIDDEN TESTS", grade=True, locked=True, points=2),
        code_cell("m-next", "# m-next (keep this line)\ndef next_seed():\n"
                  "    ### BEGIN SOLUTION\n    return SEED + 1\n    ### END SOLUTION",
                  solution=True),
        code_cell("m-next-tests", "# m-next-tests: 3 points\n"
                  "assert next_seed() == SEED + 1, 'one more than SEED'\n"
                  "### BEGIN HIDDEN TESTS\nassert next_seed() != SEED\n### END HIDDEN TESTS",
                  grade=True, locked=True, points=3),
        essay])


DOUBLE = "# m-double (keep this line)\ndef double(x):\n    return x + x"
NEXT = "# m-next (keep this line)\ndef next_seed():\n    return 1 + SEED"


def write_master(folder):
    path = folder / "m_small.ipynb"
    nbformat.write(small_master(), path)
    return path


@pytest.fixture
def master(tmp_path):
    return check.read_master(write_master(tmp_path))


def handed_in(master, double=DOUBLE, next_seed=NEXT):
    """The release, answered."""
    notebook = grade.release(master)
    by_id = {cell.id: cell for cell in notebook.cells}
    by_id["m-double"].source, by_id["m-next"].source = double, next_seed
    return notebook


def found_in(notebook, master):
    text = nbformat.writes(notebook) if isinstance(notebook, nbformat.NotebookNode) else notebook
    return check.read_submission(check.read_notebook(text.encode(), "x.ipynb"), master)


def with_tests(master):
    return [q for q in master.questions if q.test]


@pytest.mark.parametrize("text, found", [
    ("import sys\nsys._getframe(1)", "_getframe"), ("from inspect import stack", "from inspect"),
    ("import __main__ as m\nm.x", "__main__"), ("getattr(e, 'f_back')", "f_back"),
    ("import torch\ntorch.allclose = print", "torch.allclose ="),
    ("get_ipython().user_ns['x']", "user_ns"),
    ("import gc, torch\ngc.collect()\ntorch.backends.cudnn.benchmark = True", ""),
    ("# F.mse_loss = a mean\nassert torch.pi == math.pi\ntorch.x == 1  # inspect it", ""),
    ("%matplotlib inline\nself.F = F\nx.data = y.data", ""), ("def double(x) return", "")])
def test_an_answer_that_looks_at_its_tests_is_not_run(master, text, found):
    submission = found_in(handed_in(master, DOUBLE + "\n" + text), master)
    assert ("m-double" in submission.answers) == (not found)
    assert not found or f"read it: `{found}`" in submission.notes[0]


def test_an_honest_submission_gives_its_answers_and_no_notes(master):
    found = found_in(handed_in(master), master)
    assert found.answers["m-double"] == [DOUBLE] and found.answers["m-next"] == [NEXT]
    assert found.answers["m-essay"][0].endswith("YOUR ANSWER HERE")
    assert not found.notes and not found.own


def lose_metadata(notebook):
    for cell in notebook.cells:
        cell.metadata = {}


def lose_ids_too(notebook):
    lose_metadata(notebook)
    for cell in notebook.cells:
        del cell["id"]
    notebook.nbformat_minor = 2


def copy_a_cell(notebook):
    broken = nbformat.from_dict(notebook.cells[2])
    broken.source, broken.id = "# m-double (keep this line)\ndef double(x:\n  return", "copy"
    notebook.cells.insert(2, broken)


def split_a_cell(notebook):
    answer = notebook.cells[2]
    first, second = DOUBLE.rsplit("\n", 1)
    rest = nbformat.from_dict(answer)
    answer.source, rest.source, rest.id = first, second, "rest"
    notebook.cells.insert(3, rest)


def reorder(notebook):
    notebook.cells.reverse()


@pytest.mark.parametrize("change, note", [
    (lose_metadata, ""), (lose_ids_too, ""), (copy_a_cell, "more than once"),
    (split_a_cell, "more than once"), (reorder, "")])
def test_answers_are_found_again(master, change, note):
    notebook = handed_in(master)
    change(notebook)
    found = found_in(json.dumps(notebook), master)
    names = {}
    for text in found.answers["m-double"]:
        if check.parses(text):
            exec(text, names)
    assert names["double"](4) == 8
    assert found.answers["m-next"] == [NEXT]
    assert len(found.notes) == bool(note) and note in "".join(found.notes)


def test_of_two_copies_the_later_text_counts_and_an_untouched_stub_does_not(master):
    for sources, result in [([DOUBLE, "def double(x):\n    return 7"], 7),
                            ([DOUBLE, grade.release(master).cells[2].source], 8)]:
        notebook = handed_in(master)
        copy = nbformat.from_dict(notebook.cells[2])
        notebook.cells[2].source, copy.source, copy.id = *sources, "copy"
        notebook.cells.insert(4, copy)
        names = {}
        for text in found_in(notebook, master).answers["m-double"]:
            exec(text, names)
        assert names["double"](4) == result


def test_a_cell_of_another_type_or_a_missing_one_is_no_answer(master):
    notebook = handed_in(master)
    notebook.cells[2].cell_type = "markdown"
    del notebook.cells[2]["outputs"], notebook.cells[2]["execution_count"], notebook.cells[4]
    found = found_in(notebook, master)
    assert set(found.answers) == {"m-essay"}
    assert found.notes == ["m-double is a markdown cell, not code: not taken", "m-next is missing"]


def test_tests_points_and_other_cells_come_from_the_master(master):
    notebook = handed_in(master)
    notebook.cells[3].source = "# m-double-tests: 2 points\nassert True"
    notebook.cells[3].metadata.nbgrader.points = 100
    notebook.cells[1].source = "# m-setup (keep this line)\nSEED = 5"
    found = found_in(notebook, master)
    assert found.notes == ["m-double-tests was edited; the master's was run"]
    run = check.assemble(master, found, with_tests(master))
    assert [c.source for c in run if c.metadata.part == "test"] == [
        "SEED = 0\n" + check.hidden_tests(master.cells[f"m-{q}-tests"].source)[0]
        for q in ("double", "next")]
    assert "SEED = 0" in run[0].source


def test_a_canary_stands_before_every_test_and_hidden_tests_come_last(master):
    run = check.assemble(master, found_in(handed_in(master), master), with_tests(master))
    assert [c.metadata.part for c in run] == [
        "given", "answer", "canary", "test", "answer", "canary", "test",
        "canary", "hidden", "canary", "hidden"]
    canaries = [c.source for c in run if c.metadata.part == "canary"]
    assert len(set(canaries)) == 4
    for canary in canaries:
        with pytest.raises(AssertionError):
            exec(canary, {})


def test_cells_of_the_students_own_are_kept_apart(master):
    notebook = handed_in(master)
    notebook.cells.insert(2, nbformat.v4.new_code_cell("import math"))
    notebook.cells.append(nbformat.v4.new_code_cell("1 / 0"))
    found = found_in(notebook, master)
    run = check.assemble(master, found, with_tests(master), alone=True)
    assert "own" not in [c.metadata.part for c in run]
    run = check.assemble(master, found, with_tests(master))
    assert [c.source for c in run if c.metadata.part == "own"] == ["import math", "1 / 0"]


def test_questions_alone_know_nothing_of_each_other(master):
    run = check.assemble(master, found_in(handed_in(master), master), with_tests(master),
                         alone=True)
    assert [(c.metadata.label, c.metadata.part) for c in run] == [
        pair for q in ("m-double", "m-next") for pair in [
            ("", "given"), ("m-setup", "given"), (q, "answer"), (f"{q}-tests", "canary"),
            (f"{q}-tests", "test"), (f"{q}-tests", "canary"), (f"{q}-tests", "hidden")]]
    assert run[0].source == run[7].source == check.RESET
    assert [c.metadata.needs for c in run] == [["m-double"]] * 7 + [["m-next"]] * 7


@pytest.mark.parametrize("minor", [0, 1, 2, 3, 4, 5, 9])
def test_notebooks_of_other_versions(master, minor):
    notebook = handed_in(master)
    notebook.nbformat_minor = minor
    if minor < 5:
        for cell in notebook.cells:
            del cell["id"]
    assert found_in(json.dumps(notebook), master).answers["m-double"] == [DOUBLE]


def test_a_notebook_of_format_3(master):
    notebook = handed_in(master)
    old = nbformat.v3.nbbase.new_notebook(worksheets=[nbformat.v3.nbbase.new_worksheet(cells=[
        nbformat.v3.nbbase.new_code_cell(cell.source) for cell in notebook.cells])])
    assert found_in(nbformat.v3.writes_json(old), master).answers["m-double"] == [DOUBLE]


@pytest.mark.parametrize("data", [
    b"", b"%PDF-1.4", b"\xff\xfe\x00", b"null", b"[]", b"{}", b'{"nbformat": 5, "cells": []}',
    b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 3}',
    b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [3]}',
    b'{"nbformat": 2, "worksheets": 1}', b"[" * 100_000,
    b'{"nbformat": 4, "nbformat_minor": "x", "cells": []}', b" " * 25_000_001])
def test_what_is_no_notebook_is_refused_in_one_sentence(data):
    with pytest.raises(InputError, match=r"^x.ipynb .*\.$"):
        check.read_notebook(data, "x.ipynb")


@pytest.mark.parametrize("cell", [
    {}, {"cell_type": "code"}, {"cell_type": 5, "source": 5, "metadata": 5},
    {"cell_type": "code", "source": ["a", 5], "metadata": {"nbgrader": []}},
    {"cell_type": "code", "source": "x", "metadata": {"nbgrader": {"grade_id": []}}, "id": {}},
    {"cell_type": "code", "source": "# m-double\n\0\ud800", "metadata": {}, "outputs": 5}])
def test_odd_cells_do_no_harm(master, cell):
    notebook = json.loads(nbformat.writes(handed_in(master)))
    notebook["cells"].append(cell)
    try:
        found = found_in(json.dumps(notebook), master)
    except InputError:
        return
    assert found.answers["m-next"] == [NEXT]
    check.assemble(master, found, with_tests(master))


@pytest.mark.parametrize("change, message", [
    (lambda nb: nb.cells[3].metadata.nbgrader.pop("points"), "m-double-tests has no points"),
    (lambda nb: nb.cells.pop(2), "m-double-tests comes before any answer"),
    (lambda nb: nb.cells.append({**nb.cells[1], "id": "copy"}), "'m-setup' is not a name, or is"),
    (lose_metadata, "no cell in it gives points"),
    (lambda nb: nb.cells[3].update(source=nb.cells[3].source + "\nassert 1"), "hidden tests stand"),
    (lambda nb: nb.cells[3].update(source=nb.cells[3].source.replace("### END HIDDEN TESTS", "")),
     "hidden tests stand")])
def test_a_master_that_is_not_in_order_is_refused(tmp_path, change, message):
    notebook = small_master()
    change(notebook)
    path = tmp_path / "m.ipynb"
    path.write_text(json.dumps(notebook))
    with pytest.raises(InputError, match=message):
        check.read_master(path)


def test_a_solution_without_regions_is_not_released(master):
    master.cells["m-double"].source = DOUBLE
    with pytest.raises(InputError, match="m-double needs ### BEGIN SOLUTION"):
        grade.release(master)


# ---- folders, zips and tables --------------------------------------------------------------------


def class_folder(root):
    for name, text in {"ann.ipynb": "A", "ben/m_small.ipynb": "B", "ben/notes.txt": "x",
                       "ben/.ipynb_checkpoints/m_small-checkpoint.ipynb": "old",
                       "cleo/one.ipynb": "C1", "cleo/two.ipynb": "C2",
                       "dan/other.ipynb": "D1", "dan/deep/m_small (2).ipynb": "D2",
                       "eve.pdf": "E", "__MACOSX/ann.ipynb": "x", ".DS_Store": "x"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "fay" / "empty").mkdir(parents=True)
    return root


EXPECTED = {"ann": (b"A", ""), "ben": (b"B", ""), "cleo": (b"", "2 notebooks"),
            "dan": (b"D2", ""), "eve.pdf": (b"", "no notebook"), "fay": (b"", "no notebook")}


def check_collected(found):
    assert list(found) == list(EXPECTED)
    for student, (data, reason) in EXPECTED.items():
        assert found[student].data == data
        assert reason in found[student].reason and bool(reason) == bool(found[student].reason)


def test_a_folder_a_zip_and_a_zipped_folder_are_the_same_class(tmp_path):
    folder = class_folder(tmp_path / "class")
    check_collected(grade.collect(folder, "m_small"))
    for name, start in [("flat.zip", folder), ("nested.zip", tmp_path)]:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(start))
        check_collected(grade.collect(tmp_path / name, "m_small"))


def test_links_large_files_and_bad_archives_are_refused_per_student(tmp_path, monkeypatch):
    monkeypatch.setattr(grade, "LARGEST_NOTEBOOK", 100)
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "link.ipynb").symlink_to("/etc/passwd")
    (folder / "large.ipynb").write_bytes(b"x" * 101)
    found = grade.collect(folder, "m_small")
    assert "link" in found["link"].reason and not found["link"].data
    assert len(found["large"].data) == 101, "enough to see that it is too large"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.ipynb", b"0" * 10**6)
        archive.writestr("../up.ipynb", b"x")
        archive.writestr("bad.ipynb", b"y" * 50)
    data = buffer.getvalue()
    at = data.index(b"bad.ipynb") + len(b"bad.ipynb")
    (tmp_path / "z.zip").write_bytes(data[:at] + b"\xff" + data[at + 1:])
    found = grade.collect(tmp_path / "z.zip", "m_small")
    assert "larger" in found["bomb"].reason and "damaged" in found["bad"].reason
    assert found["up"].data == b"x" and not (tmp_path / "up.ipynb").exists()
    (tmp_path / "z.zip").write_bytes(b"PK\5\6" + b"\xff" * 18)
    with pytest.raises(InputError, match="z.zip"):
        grade.collect(tmp_path / "z.zip", "m_small")
    with pytest.raises(InputError, match="no folder and no .zip"):
        grade.collect(tmp_path / "nothing", "m_small")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no submissions"):
        grade.collect(tmp_path / "empty", "m_small")


@pytest.mark.parametrize("names, students", [
    (["class/ann.ipynb", "class/ben.ipynb"], ["ann", "ben"]),
    (["class/", "class/ann/m.ipynb", "class/ben/m.ipynb"], ["ann", "ben"]),
    (["ann/m.ipynb", "ann/pics/x.png"], ["ann"]),
    (["ann.ipynb", ".", "ben.ipynb"], ["ann", "ben"])])
def test_a_zip_of_one_folder_is_a_class_or_a_student(tmp_path, names, students):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "x" if not name.endswith("/") else "")
    found = grade.collect(tmp_path / "z.zip", "m_small")
    assert list(found) == students and not any(one.reason for one in found.values())


def hand_in(path, text, day):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    when = datetime.datetime(2026, 3, day).timestamp()
    os.utime(path, (when, when))


def test_of_several_notebooks_the_last_counts(tmp_path):
    hand_in(tmp_path / "ann.ipynb", "late", 9)
    hand_in(tmp_path / "ann" / "m_small.ipynb", "early", 2)
    hand_in(tmp_path / "ben" / "m_small.ipynb", "1", 3)
    hand_in(tmp_path / "ben" / "m_small (1).ipynb", "2", 4)
    hand_in(tmp_path / "ben" / "notes.ipynb", "3", 5)
    found = grade.collect(tmp_path, "m_small")
    assert found["ann"].data == b"late" and found["ben"].data == b"2"
    assert "2 notebooks; the last counts: ben/m_small (1).ipynb" in found["ben"].notes


def test_with_a_roster_everybody_has_a_row(tmp_path):
    (tmp_path / "roster.csv").write_text("student,late\nZoe,\nAnn Lee,\nCleo,two days\nAnn,\n")
    roster = grade.read_roster(tmp_path / "roster.csv")
    for name, day in (("ann lee_1.ipynb", 2), ("Ann Lee_2.ipynb", 5), ("Ann_9.ipynb", 1),
                      ("Cleo.ipynb", 1), ("Who.ipynb", 1)):
        hand_in(tmp_path / "in" / name, name, day)
    found = grade.collect(tmp_path / "in", "m_small", roster)
    assert list(found) == ["Zoe", "Ann Lee", "Cleo", "Ann", "Who"]
    assert found["Zoe"].status == "nothing handed in" and not found["Zoe"].data
    assert found["Ann Lee"].data == b"Ann Lee_2.ipynb" and found["Ann"].data == b"Ann_9.ipynb"
    assert "nobody in the roster" in found["Who"].reason
    due = datetime.datetime(2026, 3, 3, 12).timestamp()
    late = [grade.lateness(found[s], roster.get(s, {}), due) for s in found]
    assert late == ["", "1 day, 12:00:00", "two days", "", ""]
    for text in ("name\nAnn\n", "student\n", "student\nAnn\nAnn\n", ""):
        (tmp_path / "roster.csv").write_text(text)
        with pytest.raises(InputError, match="roster.csv"):
            grade.read_roster(tmp_path / "roster.csv")


WORKSHEET = """\ufeffIdentifier,"Full name","Email address",Status,Grade,"Maximum grade",\
"Grade can be changed","Last modified (submission)","Last modified (grade)","Feedback comments"
"Participant 1234","Lee, Ann",ann@example.org,"Submitted for grading - 2 hours late",,9.00,Yes,\
"Friday, 1 March 2024, 11:59 PM",-,
"Participant 1235",Ben,ben@example.org,"No submission",,9.00,Yes,-,-,
"""


def test_moodles_worksheet_is_a_roster(tmp_path):
    (tmp_path / "sheet.csv").write_text(WORKSHEET)
    roster = grade.read_roster(tmp_path / "sheet.csv")
    hand_in(tmp_path / "in" / "Lee, Ann_1234_assignsubmission_file" / "m_small.ipynb", "x", 2)
    found = grade.collect(tmp_path / "in", "m_small", roster)
    assert found["Lee, Ann"].data == b"x" and found["Ben"].status == "nothing handed in"
    assert "2 hours late" in grade.lateness(found["Lee, Ann"], roster["Lee, Ann"], None)


@pytest.mark.parametrize("change", [
    lambda cells: cells[3].update(source=cells[3].source.replace("HIDDEN TESTS", "HIDDEN TEST")),
    lambda cells: cells[2].update(source=cells[2].source + "\n#### BEGIN SOLUTION\nx = 1"),
    lambda cells: cells[0].update(source="### BEGIN SOLUTION\nyes\n### END SOLUTION")])
def test_a_mistyped_marker_is_not_released(master, change):
    change(master.notebook.cells)
    with pytest.raises(InputError, match="would be released"):
        grade.release(master)


def test_seeds_follow_the_name_of_the_submission(tmp_path):
    path = tmp_path / "seeds.csv"
    path.write_text("student,seed\nAnn,1\nAnn_Lee,2\n")
    seeds = {name: {} for name in grade.read_seeds(path)}
    assert grade.student_of("Ann_123_file", seeds) == grade.student_of("Ann", seeds) == "Ann"
    assert grade.student_of("Ann_Lee_9", seeds) == "Ann_Lee"
    assert grade.student_of("Anna", seeds) == "Anna"
    for text in ["student,seed\nAnn,x\n", "student,seed\nAnn,1\nAnn,2\n", "name,seed\nAnn,1\n", "",
                 "student,seed\n", "seed,student\n5\n"]:
        path.write_text(text)
        with pytest.raises(InputError, match="seeds.csv"):
            grade.read_seeds(path)


def test_points_given_by_hand_are_checked(tmp_path, master):
    path = tmp_path / "by_hand.csv"
    path.write_text("\ufeffstudent;question;points;out_of;comment\nann;m-essay;2,5;4;good\n")
    assert grade.read_by_hand(path, master) == {("ann", "m-essay"): (2.5, "good")}
    for row in ["ann,m-essay,5,4,", "ann,m-double,1,2,", "ann,m-essay,-1,4,", "ann,m-essay,x,4,"]:
        path.write_text(f"student,question,points,out_of,comment\n{row}\n")
        with pytest.raises(InputError, match="line 2"):
            grade.read_by_hand(path, master)


def test_every_student_has_files_of_their_own():
    students = ["ann", "Ann", "a.b", "a.c", "a/b", "a\\b", "..", "", "x" * 300, "x" * 301, "é"]
    names = grade.file_names(students)
    assert len({name.casefold() for name in names.values()}) == len(students)
    assert names["a.b"] == "a.b" and names["é"] == "é"
    for name in names.values():
        assert name and not set(name) & set("/\\") and len(name.encode()) < 200


def test_a_name_is_no_formula_in_a_spreadsheet():
    assert grade.as_csv(["student"], [["=HYPERLINK(1)"]]) == "student\n'=HYPERLINK(1)\n"
