"""Grading, as an instructor runs it: a class with every attack that we could think of, and the
masters with their wrong and right answers. What needs no kernel is in test_assignments.py."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
from test_assignments import (
    DOUBLE,
    FOLDER,
    MASTERS,
    NEXT,
    answers_to,
    check,
    copy_a_cell,
    every_master,
    grade,
    handed_in,
    lose_ids_too,
    reorder,
    split_a_cell,
    write_master,
    wrong_cell,
)

pytestmark = pytest.mark.slow

WRONG = DOUBLE.replace("x + x", "7")
SLEEP = "import time; time.sleep(1000)"  # an endless loop that takes no processor


def run(*arguments, code=0, **settings):
    """grade.py in a process of its own; its (stdout, stderr)."""
    done = subprocess.run([sys.executable, FOLDER / "grade.py", *map(str, arguments)],
                          capture_output=True, text=True, timeout=900, **settings)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def table(path):
    with open(path, newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def result_of(out, student):
    return json.loads((out / "students" / f"{student}.json").read_text())


# ---- one class of attacks ------------------------------------------------------------------------


def answered(double=DOUBLE, next_seed=NEXT, change=None):
    def make(master):
        notebook = handed_in(master, double, next_seed)
        essay = notebook.cells[-1]
        essay.source = essay.source.replace("YOUR ANSWER HERE", "Because.")
        if change:
            change(notebook)
        return json.dumps(notebook)
    return make


def own_cell(at, source):
    """A code cell of the student's own, in front of cell `at`."""
    return lambda notebook: notebook.cells.insert(at, nbformat.v4.new_code_cell(source))


def edit_all_but_answers(notebook):
    notebook.cells[3].source = "# m-double-tests: 2 points\nassert True"
    notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="all passed")]
    notebook.cells[3].execution_count = 1
    for cell in notebook.cells:
        cell.metadata["tags"] = ["nbval-skip", "raises-exception"]
        if cell.metadata.get("nbgrader", {}).get("points"):
            cell.metadata.nbgrader.points = 100


def retype(notebook):
    notebook.cells[2] = nbformat.v4.new_markdown_cell(DOUBLE, metadata=notebook.cells[2].metadata)


def split_without_metadata(notebook):
    split_a_cell(notebook)
    lose_ids_too(notebook)
    reorder(notebook)
    notebook.cells[-4:-2] = notebook.cells[-3], notebook.cells[-4]  # the two halves, in order again


def edit_setup(notebook):
    notebook.cells[1].source += "\ntwice = 2\nSEED = 99"


def two_own(notebook):
    own_cell(2, "twice = 2")(notebook)
    own_cell(len(notebook.cells), SLEEP)(notebook)


def first_a_draft(notebook):
    draft = nbformat.from_dict(notebook.cells[2])
    draft.id, draft.source = "draft", WRONG + "\nassert double(1) == 2"
    notebook.cells.insert(2, draft)


TRANSFORMER = """
def without_asserts(lines):
    return ["pass\\n"] if any("assert" in line for line in lines) else lines
get_ipython().input_transformers_post.append(without_asserts)
"""
SHADOW = """
import torch
torch.equal = torch.allclose = lambda *everything, **named: True
"""
FAKE_RUN = """
shell = get_ipython()
run_as_before = shell.run_cell_async
async def run_cell_async(text, *rest, **named):
    if "assert" in text:
        text = named["transformed_cell"] = "pass"
    return await run_as_before(text, *rest, **named)
shell.run_cell_async = run_cell_async
"""
FRAME = """# m-double
import sys
def double(x):
    names = sys._getframe(1).f_globals
    return names["want"] if "want" in names else eval(names["In"][-1].split("==")[1])
"""
HISTORY = """# m-double
def double(x):
    asked = [text for text in In if "double(" in text and "assert" in text]
    return int(asked[-1].split("==")[1].split(",")[0])
"""
LOOPS_AND_PRINTS = DOUBLE.replace("return x + x", """
    import time
    while True:
        try:
            time.sleep(0.5)
            print("x")
        except BaseException:
            pass""")
IGNORE_INTERRUPTS = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    time.sleep(1)
"""
LATER = """
import os, threading
threading.Timer(0.2, os._exit, [0]).start()
"""
KILL_PARENT = """
import os, signal, time
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(30)
"""
WRITE_EVERYWHERE = """
import os
event = b'{"label": "m-double-tests", "part": "test", "passed": true, "hung": false, "error": ""}'
for fd in (0, 1, 2):
    try:
        os.write(fd, b"\\n" + event + b"\\n" + event.replace(b"test\\"", b"hidden\\"") + b"\\n")
    except OSError:
        pass
for fd in os.listdir(f"/proc/{os.getppid()}/fd") if os.access(
        f"/proc/{os.getppid()}/fd", os.R_OK) and os.getuid() else []:
    with open(f"/proc/{os.getppid()}/fd/{fd}", "wb") as file:
        file.write(event)
"""
DAEMON = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import os, time\\nif os.fork() == 0:\\n    os.setsid()\\n"
                  "    if os.fork() == 0:\\n        time.sleep(987654)"], start_new_session=True)
"""
PROBE = """
import os
seen = [name for name in os.environ if "SECRET" in name or name == "PYTEST_ADDOPTS"]
import torch
assert not seen and not torch.cuda.is_available() and os.environ["HOME"] == os.getcwd()
assert not os.listdir() or all("ipynb" not in name for name in os.listdir())
"""
LEAK = DOUBLE.replace("return x + x", """
    import glob
    texts = [open(name).read() for name in glob.glob("**/*.ipynb", recursive=True)]
    raise RuntimeError(str(texts) + str(get_ipython().user_ns["In"]))""")
FLOOD = "\nfor i in range(200_000):\n    print('x' * 100)"

# student: (what is handed in, points of 5 (None: any), a word of the flags (None: no flag))
CLASS = {
    "honest": (answered(), 5, None),
    "no_answers": (lambda master: nbformat.writes(grade.release(master)), 0, None),
    # cells: test_assignments.py tries more of them, without a kernel
    "edited": (answered(WRONG + "\n# NBVAL_SKIP", change=edit_all_but_answers), 3,
               "m-double-tests was edited"),
    "edited_but_right": (answered(change=edit_all_but_answers), 5, "m-double-tests was edited"),
    "retyped": (answered(change=retype), 3, "markdown cell"),
    "split": (answered(change=split_without_metadata), 5, None),
    "copied": (answered(change=copy_a_cell), 5, "more than once"),
    # what a student may well do
    "helper_above": (answered(DOUBLE.replace("x + x", "twice * x"),
                              change=own_cell(2, "twice = 2")), 5, None),
    "helper_wrong": (answered(DOUBLE.replace("x + x", "twice * x"),
                              change=own_cell(2, "twice = 3")), 3, None),
    "helper_below": (answered(DOUBLE.replace("x + x", "twice * x"),
                              change=own_cell(3, "twice = 2")), 5, None),
    "scratch": (answered(DOUBLE + "\nprint(undefined)", change=own_cell(5, "1 / 0")), 5, None),
    "syntax_error": (answered("# m-double\ndef double(x) return 2"), 3, None),
    "asks": (answered(DOUBLE.replace("x + x", "float(input())")), 3, None),
    "hidden_only": (answered(DOUBLE.replace("x + x", "6")), 3, None),
    "one_name_twice": (answered("scale = 2\n" + DOUBLE.replace("x + x", "scale * x"),
                                "scale = 1\n" + NEXT.replace("1 +", "scale +")), 5, None),
    "deletes": (answered(DOUBLE + "\ndel SEED"), 5, None),
    "helper_in_the_first": (answered(
        "one = 1\n" + DOUBLE.replace("return x + x", SLEEP),
        NEXT.replace("1 +", "one +")), 3, None),
    "setup_edited": (answered(DOUBLE.replace("x + x", "twice * x"), change=edit_setup), 5,
                     "m-setup was edited"),
    "own_that_hangs": (answered(DOUBLE.replace("x + x", "twice * x"), change=two_own), 5, None),
    "wrong_then_right": (answered(change=first_a_draft), 5, "more than once"),
    "own_seed": (answered(DOUBLE, "SEED = 41\n" + NEXT.replace("1 + SEED", "42")), 2, None),
    # the end of the kernel
    "exits_in_a_test": (answered(DOUBLE.replace("return", "import os; os._exit(0);")), 3, None),
    "exits_later": (answered(DOUBLE.replace("return", "import time; time.sleep(1);return") + LATER),
                    3, None),
    "system_exit": (answered("raise SystemExit"), 3, None),
    "quits": (answered(WRONG + "\nquit()"), 3, None),
    "segfaults": (answered("import ctypes\nctypes.string_at(0)"), 3, None),
    "kills_parent": (answered(WRONG + KILL_PARENT), 3, None),
    # time, memory, output
    "loops": (answered("while True:\n    pass"), 3, None),
    "ignores_interrupts": (answered(DOUBLE + IGNORE_INTERRUPTS), 3, None),
    "loops_and_prints": (answered(LOOPS_AND_PRINTS), 3, None),
    "memory": (answered(DOUBLE.replace("x + x", "len(bytearray(64 << 30))")), 3, None),
    "floods": (answered(DOUBLE + FLOOD), None, None),
    "daemon": (answered(DOUBLE + DAEMON), 5, None),
    # bent tests
    "transformer": (answered(WRONG + TRANSFORMER), 0, "tampered"),
    "torch_bent": (answered(WRONG + SHADOW), 3, "m-double was not run, read it: `torch."),
    "frame": (answered(FRAME), 3, "m-double was not run, read it"),
    "frame_by_another_name": (answered(FRAME.replace(
        "sys._getframe", "getattr(sys, '_get' + 'frame')")), 3, "read it: `f_globals`"),
    "history": (answered(HISTORY), 3, None),
    "fake_run": (answered(WRONG + FAKE_RUN), 0, "tampered"),
    # out of the scratch folder
    "writes_results": (answered(WRONG + WRITE_EVERYWHERE), 3, None),
    "probe": (answered(DOUBLE + PROBE), 5, None),
    "leak": (answered(LEAK, NEXT), 3, "read it: `user_ns`"),
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The class, graded in one go: the folder of grades."""
    root = tmp_path_factory.mktemp("class")
    path = write_master(root)
    master = check.read_master(path)
    (root / "submissions").mkdir()
    for student, (make, _, _) in CLASS.items():
        (root / "submissions" / f"{student}.ipynb").write_text(make(master))
    (root / "tmp").mkdir()
    (root / "submissions" / "photo.jpg").write_bytes(b"no notebook")
    (root / "submissions" / "broken.ipynb").write_text('{"cells": [')
    out, err = run("grade", path, root / "submissions", "--out", root / "grades",
                   "--jobs", 4,  # many of them wait
                   "--cell-timeout", 10, "--time", 120,
                   env=os.environ | {"SECRET_KEY": "x", "PYTEST_ADDOPTS": "-x",
                                     "TMPDIR": str(root / "tmp")})
    assert f"{len(CLASS)} graded, 2 refused, 0 failed" in out
    return root / "grades"


NO_ERROR_SHOWN = {  # IPython shows no error for these, by which nbval goes
    "bdb": "import bdb; raise bdb.BdbQuit", "usage": "get_ipython().run_line_magic('nonsense', '')",
    "group": "raise BaseExceptionGroup('x', [ValueError()])",
    "surrogate": "raise ValueError('\\ud800')",
    "idle": "k = get_ipython().kernel; k.session.send(k.iopub_socket, 'status', "
            "{'execution_state': 'idle'}, parent=k.get_parent('shell')); raise ValueError"}


def test_cells_of_which_ipython_shows_no_error_or_too_much(tmp_path):
    texts = {**NO_ERROR_SHOWN, "fine": "x = 1", "interrupted": SLEEP, "goes on": "x",
             "clears": "from IPython.display import clear_output\nclear_output()",
             "magic": "%%time\nx", "separator": "# a\u2028b c d\nx",
             "spoilt": "import torch\ntorch.set_grad_enabled(False)\n"
                       "torch.set_default_dtype(torch.float64)", "reset": check.RESET,
             "as new": "import torch\nassert 'x' not in globals() and torch.is_grad_enabled() and "
                       "torch.get_default_dtype() == torch.float32"}
    cells = [nbformat.v4.new_code_cell(text, metadata={"label": name, "part": "test", "needs": []})
             for name, text in texts.items()]
    out, _, ended = check.runner(check.Limits(), json.dumps(
        {"cells": cells, "cell_timeout": 10, "memory": 4 << 30}), 120)
    done = [json.loads(line) for line in out.splitlines()]
    passed = {event["label"]: event["passed"] for event in done if "passed" in event}
    assert passed == {name: name not in {*NO_ERROR_SHOWN, "interrupted"} for name in texts}
    assert not ended


@pytest.mark.parametrize("student", CLASS)
def test_each_gets_what_the_answers_deserve(graded, student):
    _, points, flag = CLASS[student]
    row, result = table(graded / "grades.csv")[student], result_of(graded, student)
    assert result["status"] == "graded"
    if points is not None:
        assert result["points"] == points, result
        assert float(row["points"]) == points
    if flag is None:
        assert not any(word in row["flags"] for word in ("tampered", "read it", "edited"))
    else:
        assert flag in row["flags"]
    assert row["waiting"] == ("0" if student == "no_answers" else "4") and row["out_of"] == "9"


def test_no_bad_submission_stops_the_class(graded):
    rows = table(graded / "grades.csv")
    assert len(rows) == len(CLASS) + 2
    assert rows["photo.jpg"]["reason"] == "it is no notebook (.ipynb)"
    assert "not a notebook" in rows["broken"]["reason"]
    for student in CLASS:  # an endless loop costs its time limit, and no more
        assert result_of(graded, student)["seconds"] < 150


def test_nothing_is_left_behind(graded):
    assert not list((graded.parent / "tmp").iterdir())
    left = [p for p in psutil.process_iter(["cmdline"])
            if "time.sleep(987654)" in " ".join(p.info["cmdline"] or [])]
    assert not left


def test_feedback_shows_no_hidden_test(graded):
    for path in [*(graded / "students").iterdir(), graded / "class.html", graded / "grades.csv"]:
        text = path.read_text()
        assert "secret word" not in text and "The rubric" not in text, path
    page = (graded / "students" / "hidden_only.html").read_text()
    assert "a hidden test does not" in page
    page = (graded / "students" / "leak.html").read_text()
    assert "m-double was not run, read it" in page


def test_what_a_student_reads_is_the_reason(graded):
    for student, words in {
            "edited": "double(3) is 6, not 7", "no_answers": "not answered yet",
            "syntax_error": "your cell ends in an error: SyntaxError",
            "retyped": "no answer: m-double is a markdown cell", "helper_wrong": "6, not 9",
            "loops": "it ran longer than 10 seconds", "helper_in_the_first": "longer than 10 s",
            "ignores_interrupts": "longer than 10 s", "loops_and_prints": "longer than 10 s",
            "exits_in_a_test": "it ended the kernel", "exits_later": "it ended the kernel",
            "segfaults": "it ended the kernel", "kills_parent": "it ended the kernel",
            "transformer": "tampered", "frame": "no answer: m-double was not run"}.items():
        assert words in result_of(graded, student)["questions"][0]["message"], student


def test_an_endless_loop_costs_its_limit_and_little_more(graded):
    plain = result_of(graded, "honest")["seconds"]
    for student, kernels in {"loops": 1, "own_that_hangs": 1, "ignores_interrupts": 2}.items():
        assert result_of(graded, student)["seconds"] < 10 + 5 + 3 * kernels * plain, student


def test_feedback_teaches(graded):
    question = result_of(graded, "edited")["questions"][0]
    assert question["line"].startswith("in the tests: assert double(3) == 6")
    page = (graded / "students" / "edited.html").read_text()
    assert "1. Twice" in page and "in the tests: assert double(3)" in page
    assert "m-double-tests was edited" in page, "the flags are on the page"
    question = result_of(graded, "asks")["questions"][0]
    assert question["line"] == "in your answer: return float(input())"
    page = (graded / "class.html").read_text()
    assert "1. Twice" in page and "×: " in page


def test_hidden_messages_are_shown_after_the_deadline(graded):
    out, _ = run("grade", graded.parent / "m_small.ipynb", graded.parent / "submissions", "--out",
                 graded, "--cell-timeout", 10, "--time", 120, "--show-hidden")
    assert "a hidden test does not: secret word" in (
        graded / "students" / "hidden_only.html").read_text()


def test_points_by_hand_are_added_and_nothing_is_run_again(graded):
    root = graded.parent
    lines = (graded / "by_hand.csv").read_text().splitlines()
    assert len(lines) == len(CLASS), "an empty essay is 0 by itself"
    assert "The rubric" in (graded / "by_hand.md").read_text()
    lines = [line.replace(",,4,", ",3.5,4,well seen") if line.startswith("honest,") else line
             for line in lines]
    (graded / "by_hand.csv").write_text("\n".join(lines))
    before = (graded / "by_hand.csv").read_text()
    kept = (graded / "students" / "loops.json").read_text()  # seconds and all: it is not run again
    for points in ("3.5", "1"):  # another verdict: it counts, and is not added to the first
        (graded / "by_hand.csv").write_text(before.replace("3.5", points))
        run("grade", root / "m_small.ipynb", root / "submissions", "--out", graded,
            "--cell-timeout", 10, "--time", 120)
        row = table(graded / "grades.csv")["honest"]
        assert row["waiting"] == "0" and float(row["m-essay"]) == float(points)
        assert float(row["points"]) == 5 + float(points)
    assert "well seen" in (graded / "students" / "honest.html").read_text()
    assert (graded / "students" / "loops.json").read_text() == kept


# ---- interruption --------------------------------------------------------------------------------


SPY = """
import os, socket
socket.setdefaulttimeout(2)
try:
    socket.create_connection(("127.0.0.1", {port}))
    print("network")
    reached = ["network"]
except OSError:
    reached = []
for name in {files!r}:
    try:
        reached.append(open(name).read())
    except OSError:
        pass
try:
    open({outside!r}, "w")
    reached.append("written")
except OSError:
    pass
import psutil
reached += [p.name() for p in psutil.process_iter() if "grade.py" in " ".join(p.cmdline())]
assert not reached, reached
"""
BWRAP = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]


@pytest.mark.skipif(not shutil.which("bwrap") or subprocess.run([*BWRAP, "true"]).returncode,
                    reason="bubblewrap is not here, or may not be used")
def test_the_readmes_bubblewrap_keeps_files_and_network_away(tmp_path):
    readme = (FOLDER / "README.md").read_text()
    recipe = re.search(r"```bash\n(PYTHON=.*?)\n\.venv", readme, re.S)[1]
    recipe = recipe.replace("$PWD/.venv/bin/python", sys.executable)
    command = subprocess.run(["bash", "-c", recipe + '\necho "$RUNNER"'], cwd=FOLDER.parent.parent,
                             capture_output=True, text=True, check=True).stdout
    path = write_master(tmp_path)
    master = check.read_master(path)
    (tmp_path / "in").mkdir()
    (tmp_path / "mark").write_text("a file of the instructor")
    with socket.create_server(("127.0.0.1", 0)) as server:
        files = [str(path), str(tmp_path / "mark"), str(MASTERS[0])]
        spy = SPY.format(port=server.getsockname()[1], files=files,
                         outside=str(FOLDER / "written_by_a_student"))
        # double is defined last: it is missing where the spy reached something
        (tmp_path / "in" / "spy.ipynb").write_text(answered(spy + DOUBLE)(master))
        for runner, points in [([], 3),
                               (["--runner", command], 5)]:
            out = tmp_path / f"out{points}"
            run("grade", path, tmp_path / "in", "--out", out, *runner)
            assert result_of(out, "spy")["points"] == points, result_of(out, "spy")
            (FOLDER / "written_by_a_student").unlink(missing_ok=True)


def test_an_interrupted_class_goes_on_where_it_stopped(tmp_path):
    path = write_master(tmp_path)
    master = check.read_master(path)
    (tmp_path / "in").mkdir()
    for student, answer in [("a", DOUBLE), ("b", DOUBLE + "\nimport time\ntime.sleep(6)")]:
        (tmp_path / "in" / f"{student}.ipynb").write_text(answered(answer)(master))
    command = [sys.executable, FOLDER / "grade.py", "grade", path, tmp_path / "in", "--out",
               tmp_path / "out"]
    kept, written = tmp_path / "out" / "work" / "a.json", []
    for sent, code in (signal.SIGINT, 130), (signal.SIGTERM, 143):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while not kept.exists():
            time.sleep(0.1)
            assert process.poll() is None
        below = []
        while len(below) < 2:  # the runner and its kernel
            below = psutil.Process(process.pid).children(recursive=True)
            assert process.poll() is None
        process.send_signal(sent)
        _, err = process.communicate(timeout=20)
        assert process.returncode == code and "Traceback" not in err
        assert "interrupted; what is graded is kept" in err
        assert not any(p.is_running() and p.status() != "zombie" for p in below)
        assert not (tmp_path / "out" / "work" / "b.json").exists()
        written.append(kept.stat().st_mtime_ns)
    done = subprocess.run(command, capture_output=True, text=True)
    assert "2 graded" in done.stdout, done.stderr
    assert result_of(tmp_path / "out", "a")["points"] == result_of(tmp_path / "out", "b")[
        "points"] == 5
    assert {*written, kept.stat().st_mtime_ns} == {written[0]}, "kept"


# ---- the commands --------------------------------------------------------------------------------


def test_a_kernel_that_does_not_come_up_is_tried_again(tmp_path):
    """Every other runner gets no kernel, as it may happen when two of them take the same port."""
    path = write_master(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ipynb").write_text(answered()(check.read_master(path)))
    runner = tmp_path / "runner.sh"
    runner.write_text(f"""echo x >> {tmp_path}/count
        [ $(( $(wc -l < {tmp_path}/count) % 2 )) = 0 ] || exit 1
        exec {sys.executable} {FOLDER}/check.py --run""")
    run("grade", path, tmp_path / "in", "--out", tmp_path / "out", "--time", 10, "--runner",
        f"sh {runner}")
    result = result_of(tmp_path / "out", "a")
    assert result["points"] == 5 and not result["flags"]


def test_a_seeded_class_without_its_seeds_is_told_so(tmp_path):
    path = write_master(tmp_path)
    master = grade.with_seed(check.read_master(path), 7)
    (tmp_path / "in").mkdir()
    for name in ("ann", "ben"):
        (tmp_path / "in" / f"{name}.ipynb").write_text(json.dumps(handed_in(master)))
    _, err = run("grade", path, tmp_path / "in", "--out", tmp_path / "out", code=2)
    assert "SEED" in err and "--seeds" in err and len(err.splitlines()) == 1


def test_students_with_numbers_of_their_own(tmp_path):
    path = write_master(tmp_path)
    (tmp_path / "names.txt").write_text("Ann\nBen\n\nAnn\n")
    run("release", path, "--out", tmp_path / "out", "--students", tmp_path / "names.txt",
        "--first-seed", 40)
    assert (tmp_path / "out" / "seeds.csv").read_text() == "student,seed\nAnn,40\nBen,41\n"
    master = check.read_master(path)
    (tmp_path / "in").mkdir()
    for name, text in {"Ann_17_file": "return 41", "Ben": "return 41", "Cleo": "return 1"}.items():
        notebook = handed_in(master, next_seed=NEXT.replace("return 1 + SEED", text))
        (tmp_path / "in" / f"{name}.ipynb").write_text(json.dumps(notebook))
    run("grade", path, tmp_path / "in", "--out", tmp_path / "grades", "--seeds",
        tmp_path / "out" / "seeds.csv")
    rows = table(tmp_path / "grades" / "grades.csv")
    assert [rows[n]["m-next"] for n in ("Ann_17_file", "Ben")] == ["3", "0"]
    assert "no line of --seeds" in rows["Cleo"]["reason"]


def test_check_counts_what_a_student_can_see_with_no_other_file(tmp_path):
    """What a student has: the released folder."""
    path = write_master(tmp_path)
    run("release", path, "--out", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["check.py", "m_small.ipynb"]
    mine = tmp_path / "out" / "m_small.ipynb"

    def checked(code):
        done = subprocess.run([sys.executable, "check.py", mine.name], cwd=mine.parent,
                              capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    master = check.read_master(path)
    mine.write_text(answered(DOUBLE.replace("x + x", "6"))(master))
    assert "5 of 5 points so far; 4 are given by hand later." in checked(0)
    mine.write_text(answered(WRONG)(master))
    out = checked(1)
    assert "0/2  double(3) is 6, not 7" in out and "3 of 5 points so far" in out
    assert "in the tests: assert double(3) == 6" in out


def test_points_of_tests_that_are_all_hidden_are_not_given_by_check(tmp_path):
    path = next(p for p in MASTERS if p.name.startswith("a3"))
    run("release", path, "--out", tmp_path)
    done = subprocess.run([sys.executable, tmp_path / "check.py", tmp_path / path.name],
                          capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "0 of 16 points so far; 2 are for tests that are all hidden later" in done.stdout


def test_bad_input_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    path = write_master(tmp_path)
    released = tmp_path / "released" / "m_small.ipynb"
    run("release", path, "--out", released.parent)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ipynb").write_text("{}")
    (tmp_path / "text.txt").write_text("x")
    odd = json.loads(released.read_text())
    odd["cells"][1]["metadata"]["nbgrader"]["grade_id"] = ["no", "name"]
    (tmp_path / "odd.ipynb").write_text(json.dumps(odd))
    for arguments, message in [
            ([tmp_path / "no.ipynb"], "no.ipynb could not be read"),
            ([tmp_path / "text.txt"], "is not a notebook"),
            ([path], "it is the master"),
            ([tmp_path / "odd.ipynb"], "is not a name"),
            (["grade", path, tmp_path / "text.txt"], "is no folder and no .zip"),
            (["grade", path, tmp_path / "in", "--seeds", tmp_path / "no.csv"], "no.csv"),
            (["grade", path, tmp_path / "in", "--jobs", "0"], "at least 1"),
            (["grade", path, tmp_path / "in", "--cell-timeout", "nan"], "at least 1"),
            (["release", released, "--out", tmp_path / "again"], "m-double needs ### BEGIN"),
            (["release", path, "--students", tmp_path / "no.txt"], "no.txt")]:
        command = grade.main if isinstance(arguments[0], str) else check.main
        try:
            assert command([*map(str, arguments)]) == 2
        except SystemExit as error:
            assert error.code == 2
        printed = capsys.readouterr()
        assert message in printed.err and not printed.out
        assert len(printed.err.splitlines()) == 1, "one sentence"
    for arguments, message in [
            ([released, tmp_path / "in"], "gets no points"),
            ([path, tmp_path / "in", "--runner", "false"], "no notebook could be run"),
            ([path, tmp_path / "in", "--runner", "no-such-program"], "no-such-program")]:
        out, err = run("grade", *arguments, code=2, cwd=tmp_path)
        assert message in err and not out, err
    released.write_text("somebody's work")
    _, err = run("release", path, "--out", released.parent, code=2)
    assert "may be somebody's work" in err and released.read_text() == "somebody's work"


# ---- the assignments, through nbval --------------------------------------------------------------


@every_master
def test_masters_stubs_wrong_and_right_answers(path, tmp_path):
    """test_assignments.py tries all wrong and all right answers, without nbval; here is one of
    each. `grade` itself refuses a master that does not get all points."""
    master, answers = check.read_master(path), answers_to(path)
    tested = [q for q in master.questions if q.test]
    labels = sorted({label for q in tested for label in q.answers})
    wrong = {q: wrong_cell(master, q, *rest) for q, *rest in reversed(answers.WRONG)}
    right = dict(reversed(answers.RIGHT))
    mixed = {label: (master.cells[label].source, wrong[label],
                     grade.stub(master.cells[label].source))[n % 3]
             for n, label in enumerate(labels)}
    (tmp_path / "in").mkdir()
    for student, replaced in ("right", right), ("mixed", mixed):
        notebook = check.read_notebook(path.read_bytes(), "master")
        for cell in notebook.cells:
            cell.source = replaced.get(cell.id, cell.source)
        (tmp_path / "in" / f"{student}.ipynb").write_text(nbformat.writes(notebook))
    run("grade", path, tmp_path / "in", "--out", tmp_path / "out", "--jobs", 2)
    points = sum(q.points for q in tested)
    assert result_of(tmp_path / "out", "right")["points"] == points
    result = result_of(tmp_path / "out", "mixed")
    for n, label in enumerate(labels):
        of = [q for q in result["questions"] if q["name"].removesuffix("-hidden") == label]
        if n % 3 == 0:
            assert all(q["points"] for q in of), of
        elif n % 3 == 1:  # it may pass the visible tests or the hidden ones, not both
            assert any(q["points"] == 0 and len(q["message"]) > 25 for q in of), of
        else:
            assert all(q["message"] == "not answered yet" for q in of), of
