"""Assignments: hand them out, check your own, grade a class.

    python grade.py release a1_*.ipynb --out handout     the version for students
    python grade.py check a1.ipynb                       a student's points so far
    python grade.py grade a1_*.ipynb submissions/        points and feedback for everybody

The student's answer cells are put into the master (cells.py), nbval runs that notebook in a
process of its own (runner.py), and a test cell's points are given if its visible and its hidden
tests pass (marking.py). README.md says what this protects from, and what not.
"""

import argparse
import copy
import csv
import hashlib
import io
import itertools
import json
import logging
import lzma
import os
import re
import shlex
import signal
import sys
import warnings
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import jinja2
import nbformat
from cells import (
    LARGEST_NOTEBOOK,
    hidden_tests,
    read_master,
    read_notebook,
    read_submission,
    release,
    with_seed,
)
from marking import ESCAPES, Grader, Limits, Stopped
from minicyclegan.checkpoint import write_whole
from minicyclegan.errors import InputError, shown
from runner import guard
from tqdm import tqdm


def collect(path, assignment):
    """Submissions by student: the bytes of a notebook, or a sentence that says why there is none.

    `path` is a folder or a .zip with one file or folder per student, whose name is the student's.
    Returns {student: (file name, bytes, None) or (file name, b"", reason)}, sorted.
    """
    if path.is_dir():
        files = {p.relative_to(path).as_posix() + "/" * (p.is_dir() and not p.is_symlink()): p
                 for p in sorted(path.rglob("*"))}
    elif zipfile.is_zipfile(path):
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
            raise InputError(f"{shown(path)} is a damaged .zip ({error}); download it "
                             "again.") from None
        files = {i.filename: i for i in archive.infolist() if PurePosixPath(i.filename).parts}
    else:
        raise InputError(f"{shown(path)} is no folder and no .zip; give what the submissions are "
                         "in.")
    files = {name: f for name, f in files.items()
             if not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)}
    tops = {PurePosixPath(name).parts[0] for name in files}
    if path.is_file() and len(tops) == 1 and sum(name.endswith(".ipynb") for name in files) > 1:
        files = {name.split("/", 1)[1]: f for name, f in files.items()
                 if name.partition("/")[2]}  # a folder was zipped

    def read(name):
        f = files[name]
        try:
            if isinstance(f, Path):
                if f.is_symlink() or not f.is_file():
                    return name, b"", "it is a link, not a file"
                if f.stat().st_size > LARGEST_NOTEBOOK:
                    return name, b"", too_large
                return name, f.read_bytes(), None
            if f.file_size > LARGEST_NOTEBOOK:
                return name, b"", too_large
            with archive.open(f) as opened:  # what the archive says of its sizes may be a lie
                return name, opened.read(LARGEST_NOTEBOOK + 1), None
        except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, ValueError,
                EOFError, zlib.error, lzma.LZMAError) as error:
            return name, b"", f"it cannot be read ({error})"

    too_large = f"it is larger than {LARGEST_NOTEBOOK / 1e6:.0f} MB; clear its outputs"
    by_student = {}
    for name in files:  # those of folders end in /
        top = PurePosixPath(name).parts[0]
        student = top if "/" in name or not top.endswith(".ipynb") else top.removesuffix(".ipynb")
        by_student.setdefault(student, []).append(name)
    found = {}
    for student, names in sorted(by_student.items()):
        notebooks = [n for n in names if n.endswith(".ipynb")]
        prefix = assignment.split("_")[0]
        named = [n for n in notebooks if PurePosixPath(n).name.startswith(prefix)]
        if any("/" in n for n in names) and any("/" not in n for n in names):
            found[student] = names[0], b"", "a file and a folder have this name; leave one of them"
        elif len(notebooks) == 1 or len(named) == 1:
            found[student] = read(named[0] if len(named) == 1 else notebooks[0])
        elif notebooks:
            found[student] = (names[0], b"", f"it holds {len(notebooks)} notebooks, and not one "
                              f"alone is named {prefix}*.ipynb")
        else:
            found[student] = (names[0], b"", "it holds no notebook (.ipynb)" if "/" in names[0]
                              else "it is no notebook (.ipynb)")
    if not found:
        raise InputError(f"{shown(path)} holds no submissions; put one .ipynb or one folder per "
                         "student into it.")
    return found


def read_table(path, columns):
    """The rows of a CSV file as dicts, or InputError where it lacks one of `columns`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{shown(path)} cannot be read as CSV in UTF-8 ({error}).") from None
    first = text.partition("\n")[0]
    semicolons = first.count(";") > first.count(",")  # Excel, in half of Europe
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if semicolons else ",")
    if not set(columns) <= set(rows.fieldnames or []):
        raise InputError(f"{shown(path)} needs the columns {', '.join(columns)} in its first line.")
    try:
        return [{key: value or "" for key, value in row.items() if key} for row in rows]
    except csv.Error as error:
        raise InputError(f"{shown(path)} cannot be read as CSV ({error}).") from None


def write_table(path, columns, rows):
    """A CSV file; a text that a spreadsheet would take for a formula gets an apostrophe."""
    buffer = io.StringIO()
    table = csv.writer(buffer)
    table.writerow(columns)
    for row in rows:
        table.writerow([f"'{value}" if str(value).startswith(("=", "+", "-", "@")) else value
                        for value in ("" if row.get(c) is None else row[c] for c in columns)])
    write_text(path, buffer.getvalue())


def plain(text):
    """Without the apostrophe that write_table puts in front of a formula."""
    return re.sub(r"^'(?=[=+@-])", "", text)


def write_text(path, text):
    write_whole(path, text.encode("utf-8", "backslashreplace"))


def seed_of(student, seeds):
    """The number of a student whose name, or whose name and `_...` behind it, is in `seeds`."""
    found = [name for name in seeds if student == name or student.startswith(name + "_")]
    return seeds[max(found, key=len)] if found else None


def read_seeds(path):
    seeds = {}
    for number, row in enumerate(read_table(path, ["student", "seed"]), 2):
        if not re.fullmatch(r"\d{1,9}", row["seed"].strip()) or row["student"] in {"", *seeds}:
            raise InputError(f"{shown(path)}, line {number}: a student stands there once, with a "
                             f"whole number as seed, not {shown(row['seed'])}.")
        seeds[row["student"]] = int(row["seed"])
    if not seeds:
        raise InputError(f"{shown(path)} names no student.")
    return seeds


def read_by_hand(path, master):
    """What a person has given: {(student, question): (points, comment)}."""
    given = {}
    most = {q.name: q.points for q in master.questions if q.test is None}
    if not path.exists():
        return given
    for number, row in enumerate(read_table(path, ["student", "question", "points", "comment"]), 2):
        question, text = row["question"], row["points"].strip().replace(",", ".")
        try:
            points = float(text) if text else None
        except ValueError:
            points = -1
        if question not in most or points is not None and not 0 <= points <= most[question]:
            raise InputError(f"{shown(path)}, line {number}: points for a question by hand are "
                             f"from 0 to what it is worth, not {shown(text)} for "
                             f"{shown(question)}.")
        given[plain(row["student"]), question] = points, plain(row["comment"])
    return given


def file_names(students):
    """A file name, without its ending, for each student, whatever their names hold."""
    names = {s: re.sub(r"[^\w.() -]", "_", s).encode()[:150].decode(errors="ignore").strip(". ")
             for s in students}  # file systems take 255 bytes
    folded = [name.casefold() for name in names.values()]
    for student, name in names.items():
        if name != student or folded.count(name.casefold()) > 1:
            names[student] += "-" + hashlib.sha256(os.fsencode(student)).hexdigest()[:6]
    return names


def grade_class(grader, submissions, out, jobs, seeds):
    """Grade everybody who has not been; {student: result}. Interrupted: KeyboardInterrupt, and
    what is done is in out/students, for the next call."""
    names = file_names(submissions)
    (out / "students").mkdir(parents=True, exist_ok=True)
    limits, results, open_ones = grader.limits, {}, []
    text = nbformat.writes(grader.master.notebook)
    for student, (file, data, reason) in submissions.items():
        seed = seed_of(student, seeds) if seeds else None
        if seeds and seed is None:
            reason = reason or ("no line of --seeds has this student; add one, or rename the "
                                "submission")
        result = {"student": student, "file": file, "master": grader.master.name, "seed": seed,
                  "points": 0, "out_of": grader.master.points, "by_hand": 0, "questions": [],
                  "flags": [], "status": "refused", "reason": reason}
        asked = json.dumps([text, seed, file, reason, limits.cell, limits.total, limits.memory])
        result["fingerprint"] = hashlib.sha256(data + asked.encode()).hexdigest()
        try:
            before = json.loads((out / "students" / f"{names[student]}.json").read_text())
        except (OSError, ValueError):
            before = {}
        if isinstance(before, dict) and before.get("fingerprint") == result["fingerprint"] and (
                before["status"] != "failed"):
            results[student] = before
        else:
            open_ones.append((result, data))

    def work(result, data):
        if not result["reason"]:
            try:
                master = grader.master
                if result["seed"] is not None:
                    master = with_seed(master, result["seed"])
                notebook = read_notebook(data, result["file"])
                submission = read_submission(notebook, master)
                result |= {"status": "graded", **grader.grade(submission, master)}
            except InputError as error:
                result["reason"] = str(error)
            except Stopped:
                return None
            except Exception as error:  # a submission that we did not foresee; the class goes on
                result |= {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
        return result

    pool = ThreadPoolExecutor(jobs)
    futures = [pool.submit(work, *one) for one in open_ones]
    try:
        with tqdm(total=len(submissions), initial=len(results), desc="graded", unit="student",
                  file=sys.stderr) as progress:
            for future in as_completed(futures):
                result = future.result()
                write_text(out / "students" / f"{names[result['student']]}.json",
                           json.dumps(result))
                results[result["student"]] = result
                progress.update()
    finally:
        for future in futures:
            future.cancel()
        grader.runners.stop()
        pool.shutdown()
    return {student: results[student] for student in submissions}


def add_by_hand(result, given):
    """A copy of a result with the points that a person has given, and the sums anew."""
    result = copy.deepcopy(result)
    for question in result["questions"]:
        if question["by_hand"]:
            question["points"], question["message"] = given.get(
                (result["student"], question["name"]), (None, ""))
    result["points"] = sum(q["points"] or 0 for q in result["questions"])
    result["by_hand"] = sum(q["out_of"] for q in result["questions"] if q["points"] is None)
    return result


def write_reports(out, master, results, given):
    """grades.csv, by_hand.csv and by_hand.md, and each student's .json, .xml and .html."""
    pages = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent),
                               autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = pages.get_template("feedback.html")
    names, rows, hand_rows = file_names(results), [], []
    by_hand = [q for q in master.questions if q.test is None]
    sheet = [f"# {master.name}: by hand", "Points and comments go into by_hand.csv; then grade "
             "again: nothing is run twice."]
    for q in by_hand:
        sheet += [f"## {q.name}, {number(q.points)} points", master.cells[q.name].source]
    for student, result in results.items():
        result = add_by_hand(result, given)
        path = str(out / "students" / names[student])
        write_text(path + ".json", json.dumps(result, indent=1))
        write_text(path + ".xml", junit(result))
        write_text(path + ".html", page.render(result, number=number))
        rows.append(result | {q["name"]: q["points"] for q in result["questions"]}
                    | {"flags": "; ".join(result["flags"]), "waiting": result["by_hand"]})
        for q in result["questions"]:
            if q["by_hand"]:
                hand_rows.append({"student": student, "question": q["name"], "points": q["points"],
                                  "out_of": q["out_of"], "comment": q["message"]})
                seed = "" if result["seed"] is None else f", SEED = {result['seed']}"
                sheet += [f"## {student}: {q['name']}{seed}",
                          # quoted: an open code fence must not swallow the next one
                          "\n".join("> " + line for line in q["answer"].splitlines())
                          or "(no answer)"]
    write_table(out / "grades.csv", ["student", "points", "out_of", "waiting", "status",
                                     *(q.name for q in master.questions), "flags", "reason",
                                     "file"], rows)
    if by_hand:
        here = {(row["student"], row["question"]) for row in hand_rows}
        hand_rows += [{"student": student, "question": question, "points": points,
                       "comment": comment}  # of somebody who is not in this class: kept
                      for (student, question), (points, comment) in given.items()
                      if (student, question) not in here]
        write_table(out / "by_hand.csv", ["student", "question", "points", "out_of", "comment"],
                    hand_rows)
        write_text(out / "by_hand.md", "\n\n".join(sheet) + "\n")


def number(value):
    """Points as people write them: 2, not 2.0."""
    return "" if value is None else f"{value:g}"


def junit(result):
    """One student's questions as JUnit XML, which CI systems read."""
    suite = ElementTree.Element("testsuite", name=ESCAPES.sub(
        "", f"{result['master']}: {result['student']}"),
                                tests=str(len(result["questions"])))
    for q in result["questions"]:
        case = ElementTree.SubElement(suite, "testcase", name=q["name"],
                                      classname=result["master"])
        if q["points"] is None:
            ElementTree.SubElement(case, "skipped", message="graded by hand")
        elif q["points"] < q["out_of"]:
            ElementTree.SubElement(case, "failure",
                                   message=f"{number(q['points'])} of {number(q['out_of'])} points"
                                   ).text = q["message"]
    if result["status"] != "graded":
        case = ElementTree.SubElement(suite, "testcase", name="submission",
                                      classname=result["master"])
        ElementTree.SubElement(case, "error", message=ESCAPES.sub("", result["reason"]))
    suite.set("failures", str(len(suite.findall(".//failure"))))
    suite.set("errors", str(len(suite.findall(".//error"))))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def command_release(args):
    students = [None]
    if args.students:
        try:
            students = args.students.read_text(encoding="utf-8-sig").split("\n")
        except UnicodeDecodeError:
            raise InputError(f"{shown(args.students)} is not in UTF-8; save it so.") from None
        students = list(dict.fromkeys(s.strip() for s in students if s.strip()))
        for student in students:
            if not student.isprintable() or set(student) & set("/\\") or (
                    student.startswith(".") or student == "seeds.csv" or len(student) > 80):
                raise InputError(f"{shown(student)} in {shown(args.students)} can't be the name of "
                                 "a folder; leave out / and \\ and a leading dot, and shorten it "
                                 "to 80 letters.")
    releases = {}
    for path in args.master:
        master = read_master(path)
        for number, student in enumerate(students):
            version = with_seed(master, number + args.first_seed) if student else master
            releases[Path(student or "", path.name)] = nbformat.writes(release(version)) + "\n"
    if students[0]:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(
            [("student", "seed"), *zip(students, itertools.count(args.first_seed), strict=False)])
        releases["seeds.csv"] = buffer.getvalue()
    for name, text in releases.items():
        path = args.out / name
        if path.exists() and path.read_bytes() != text.encode():
            raise InputError(f"{shown(path)} is there and differs: it may be somebody's work. Give "
                             "another --out, or delete it.")
    for name, text in releases.items():
        (args.out / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(args.out / name, text)
    print("\n".join(str(args.out / name) for name in releases))


def command_check(args):
    code = 0
    for path in args.notebook:
        master = read_master(path, students=True)
        if any(q.test and hidden_tests(master.cells[q.test].source)[1] for q in master.questions):
            raise InputError(f"{shown(path)} holds hidden tests: it is the master; give your own "
                             "notebook.")
        submission = read_submission(master.notebook, master)
        submission.notes.clear()  # it is compared with itself
        result = Grader(master, limits_of(args)).grade(submission)
        print(path)
        for q in result["questions"]:
            points = f"{number(q['points'])}/{number(q['out_of'])}"
            points = "by hand" if q["points"] is None else points
            print(f"  {q['name']:26} {points:>8}  {q['message']}".rstrip())
        for flag in result["flags"]:
            print(f"  note: {flag}")
        hand = f", {number(result['by_hand'])} more by hand" if result["by_hand"] else ""
        print(f"  {number(result['points'])} of {number(master.points - result['by_hand'])} points "
              f"so far{hand}. Hidden tests, run when it is graded, may take some away.")
        code |= result["points"] + result["by_hand"] < master.points
    return code


def command_grade(args):
    master = read_master(args.master)
    args.out = args.out or Path("grades", master.name)
    submissions = collect(args.submissions, master.name)
    seeds = read_seeds(args.seeds) if args.seeds else None
    given = read_by_hand(args.out / "by_hand.csv", master)
    if seeds:
        with_seed(master, 0)  # that it has a place for them
    grader = Grader(master, limits_of(args))
    # Does it work here at all? Better said now than by a class of zeros.
    own = grader.grade(read_submission(master.notebook, master))
    for q in own["questions"]:
        if q["points"] == 0 < q["out_of"]:
            raise InputError(f"{shown(args.master)}: its own answer to {q['name']} gets no points "
                             f"({q['message']}); give the master, with its solutions.")
    results = grade_class(grader, submissions, args.out, args.jobs, seeds)
    write_reports(args.out, master, results, given)
    statuses = [r["status"] for r in results.values()]
    print(f"{statuses.count('graded')} graded, {statuses.count('refused')} refused, "
          f"{statuses.count('failed')} failed; {sum(bool(r['flags']) for r in results.values())} "
          f"with flags: {args.out / 'grades.csv'}")
    for student, result in results.items():
        if result["status"] != "graded":
            print(f"{shown(student)}: {result['status']}: {result['reason']}")
    return 1 if "failed" in statuses else 0


def limits_of(args):
    return Limits(args.cell_timeout, args.time, args.memory,
                  shlex.split(args.runner) if args.runner else Limits().runner)


def at_least(kind, least):
    def convert(text):
        value = kind(text)
        if not least <= value < 1e6:
            raise argparse.ArgumentTypeError(f"give a number of at least {least}, not {text}")
        return value
    convert.__name__ = "number"
    return convert


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage lines."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def parser():
    top = Parser(prog="grade.py", description=__doc__,
                 formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True)

    def add(name, run, text):
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.set_defaults(run=run)
        return command

    command = add("release", command_release, "make the version for students: no solutions, no "
                  "hidden tests, no outputs")
    command.add_argument("master", type=Path, nargs="+", help="a master notebook")
    command.add_argument("--out", type=Path, default=Path("release"), help="a folder (release)")
    command.add_argument("--students", type=Path, metavar="FILE",
                         help="a name per line: one folder each, with numbers of their own, and "
                         "seeds.csv, which you keep")
    command.add_argument("--first-seed", type=at_least(int, 0), default=1, metavar="N",
                         help="the first student's seed; another one each year (1)")

    check = add("check", command_check, "run the tests that you can see and count your points")
    check.add_argument("notebook", type=Path, nargs="+", help="your notebook, saved")

    grade = add("grade", command_grade, "grade a folder or zip of submissions; what was graded "
                "before, and has not changed, is not run again")
    grade.add_argument("master", type=Path, help="the master notebook")
    grade.add_argument("submissions", type=Path,
                       help="a folder or .zip with one notebook or one folder per student")
    grade.add_argument("--out", type=Path, help="a folder (grades/ and the master's name)")
    grade.add_argument("--seeds", type=Path, metavar="FILE", help="the seeds.csv of release")
    grade.add_argument("--jobs", type=at_least(int, 1), default=1, metavar="N",
                       help="submissions at a time, one core each (1)")
    for command in check, grade:
        command.add_argument("--cell-timeout", type=at_least(float, 1), default=Limits.cell,
                             metavar="SECONDS", help="for one cell (%(default)g)")
        command.add_argument("--time", type=at_least(float, 10), default=Limits.total,
                             metavar="SECONDS", help="for one submission (%(default)g)")
        command.add_argument("--memory", type=at_least(float, 0.5), default=Limits.memory,
                             metavar="GIB", help="for one process, on Linux (%(default)g)")
        command.add_argument("--runner", metavar="COMMAND", help="runs a notebook in place of "
                             "runner.py, such as a container; see README.md")
    return top


def main(arguments=None):
    warnings.filterwarnings("ignore", module="nbformat")  # old notebooks lack ids: not their fault
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    args = parser().parse_args(arguments)
    guard()
    stopped_by = []

    def stop(number, frame):
        stopped_by.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        return args.run(args) or 0
    except InputError as error:
        print(f"grade.py {args.command}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"grade.py {args.command}: {shown(error.filename or 'a file')} could not be read or "
              f"written ({error.strerror or error}).", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"grade.py {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"grade.py {args.command}: interrupted; what is graded is kept, run it again to go "
              "on.", file=sys.stderr)
        return 128 + (stopped_by or [signal.SIGINT])[0]


if __name__ == "__main__":
    sys.exit(main())
