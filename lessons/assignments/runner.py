"""Runs one notebook by nbval, in a process and a scratch folder of its own.

In: one JSON object on stdin, {"notebook", "cell_timeout", "memory"}. Out: on stdout a JSON line
when a cell starts ({"start": its label}) and when it has ended ({"label", "part", "passed", "hung",
"error", "seconds"}), or {"broken": why no kernel could be had}. marking.py starts it; a container
can run it in its place.

The kernel, and so the student's code, inherits neither stdin nor stdout: it cannot write results.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

import matplotlib
import psutil
import pytest

LARGEST_FILE = 200 * 2**20  # bytes that a submission may write to one file


class Recorder:
    """A pytest plugin: tells the grader what nbval finds, cell by cell."""

    def __init__(self, say, most):
        self.say, self.most = say, most  # most: seconds for a cell, with what nbval waits for

    def pytest_collection_finish(self, session):
        for file in {item.path for item in session.items}:
            file.unlink()  # it has been read; the hidden tests in it are not for the kernel

    @pytest.hookimpl(trylast=True)  # when there is a kernel
    def pytest_runtest_setup(self, item):
        self.say(start=item.cell.metadata["label"])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        """nbval sees an error where IPython shows one, which it does not for a BdbQuit, a
        UsageError, an ExceptionGroup: so the kernel's reply has to say "ok" too. And nbval waits
        for the end of the output, which may never come."""
        client, replies = item.parent.kernel.kc, []
        get_shell_msg = client.get_shell_msg

        def noted(*args, **named):
            message = get_shell_msg(*args, **named)
            replies.append(message["content"])
            return message

        client.get_shell_msg = noted
        watch = threading.Timer(self.most, kill_below, [psutil.Process()])
        watch.start()
        try:
            result = yield
        finally:
            watch.cancel()
            client.get_shell_msg = get_shell_msg
        if replies and replies[-1].get("status") != "ok":
            raise RuntimeError(f"{replies[-1].get('ename')}: {replies[-1].get('evalue')}")
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.when == "setup" and report.failed:
            self.say(broken=str(call.excinfo.value))  # no kernel: not the student's doing
        if report.when != "call":
            return report
        error = ""
        if call.excinfo:
            # the kernel's own words, where it sent some: nbval's wrap the whole cell around them
            found = [o for o in item.test_outputs or [] if o.output_type == "error"]
            error = (f"{found[0].ename}: {found[0].evalue}" if found else str(call.excinfo.value))
        # Nothing after a time-out or the kernel's end says anything about the student's work.
        hung = item.parent.timed_out or not item.parent.kernel.is_alive()
        metadata = item.cell.metadata
        # An XPASS is no pass: nbval expects what follows a time-out to fail.
        self.say(**metadata, passed=report.passed and not hasattr(report, "wasxfail"), hung=hung,
                 error=error[:5000], seconds=round(call.duration, 2))
        if hung:
            item.session.shouldstop = "hung"
        return report


def guard():
    """On Linux: keep other processes of this user out of this one's memory and open files, and
    become the parent of what a descendant leaves behind, so that it can be found and stopped."""
    if sys.platform == "linux":
        import ctypes

        PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def limit(memory):
    """Bound the memory (bytes) and the files of this process and all that it starts."""
    try:
        import resource
    except ImportError:  # Windows has nothing of the kind
        return
    # RLIMIT_DATA counts what is written to; the address space would count torch's libraries too
    for what, most in [(resource.RLIMIT_DATA, memory), (resource.RLIMIT_FSIZE, LARGEST_FILE),
                       (resource.RLIMIT_CORE, 0)]:
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def kill_below(process):
    """Kill all descendants of a psutil.Process, and theirs; the process itself stays."""
    spared, found = {group_of(os.getpid()), group_of(process.pid), None}, True
    while found:  # what is killed may just have started another
        found = False
        below = process.children(recursive=True)
        # Groups, also of the dead: what forks and ends at once is gone before it can be killed.
        for group in {group_of(child.pid) for child in below} - spared:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.status() != psutil.STATUS_ZOMBIE:
                    child.kill()
                    found = True


def group_of(pid):
    """The process group; None if there is none, or no longer."""
    with contextlib.suppress(OSError, AttributeError):
        return os.getpgid(pid)


def main():
    request = json.load(sys.stdin)
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")  # a duplicate is not inherited
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    guard()
    limit(request["memory"])

    def say(**event):
        print(json.dumps(event), file=channel, flush=True)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the grader to deal with
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        path = Path(scratch, "assignment.ipynb")
        path.write_text(json.dumps(request["notebook"]), encoding="utf-8")
        os.chdir(scratch)
        fonts = Path(scratch, "matplotlib")
        fonts.mkdir()  # matplotlib lists the machine's fonts once, which can take half a minute
        for known in Path(matplotlib.get_cachedir()).glob("fontlist*.json"):
            shutil.copy(known, fonts)
        os.environ |= {"HOME": scratch, "TMPDIR": scratch, "IPYTHONDIR": scratch,
                       "JUPYTER_CONFIG_DIR": scratch, "JUPYTER_RUNTIME_DIR": scratch,
                       "MPLCONFIGDIR": str(fonts), "CUDA_VISIBLE_DEVICES": "",
                       "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0",
                       # no plugin that happens to be installed: one shuffles, another retries
                       "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        pytest.main([str(path), "-p", "nbval.plugin", "--nbval-lax", "--nbval-current-env",
                     f"--nbval-cell-timeout={request['cell_timeout']:g}",
                     f"--rootdir={scratch}", "-c", os.devnull, "--noconftest",
                     "-p", "no:cacheprovider"], plugins=[
                         Recorder(say, request["cell_timeout"] + 10)])
        kill_below(psutil.Process())


if __name__ == "__main__":
    main()
