"""What a program gets, what becomes of it, and what the sandbox says when it cannot be."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from dagent.cli import main
from dagent.dsl.diagnostics import Refused
from dagent.runtime.sandbox import (
    ALLOWED,
    ISOLATORS,
    NONE,
    Isolator,
    Limits,
    Outcome,
    Sandbox,
    isolators,
    run,
)
from dagent.runtime.sandbox.calls import Function

MIB = 2**20
LIMITS = Limits(seconds=5, memory=200 * MIB, processes=8, files=16, written=MIB, output=10_000)


@pytest.fixture(scope="module", params=(*ISOLATORS, NONE), ids=lambda i: i.name)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    try:
        box = Sandbox(LIMITS, request.param)
    except Refused as refused:
        (found,) = refused.diagnostics
        pytest.skip("; ".join(note.message for note in found.notes))
    with box:
        yield box


@pytest.mark.parametrize(
    ("program", "status", "code", "reason"),
    [
        ("print('fine')", "ok", 0, ""),
        ("1/0", "error", 1, "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "error", 3, "exit code 3"),
        ("def f(:", "error", 1, "SyntaxError: invalid syntax"),
        ("import os; os.abort()", "signal", -6, "killed by SIGABRT"),
        ("x = bytearray(10**9)", "memory", None, "used more memory than its limit of 209715200 b"),
        ("print('x' * 20_000)", "output", None, "wrote more than 10000 bytes to stdout and std"),
        ("import numpy", "error", 1, "ModuleNotFoundError: No module named 'numpy'"),
        (["no-such-program"], "error", 127, "no-such-program: No such file or directory"),
        (["sh", "-c", "echo $HOME; exit 4"], "error", 4, "exit code 4"),
    ],
)
def test_it_says_how_a_program_ended(
    sandbox: Sandbox, program: str | list[str], status: str, code: int | None, reason: str
) -> None:
    outcome = sandbox.run(program)
    assert (outcome.status, outcome.code) == (status, code)
    assert outcome.reason.startswith(reason)
    assert outcome.ok == (status == "ok")


def test_a_program_that_does_not_end_is_ended(sandbox: Sandbox) -> None:
    for program in ("while True: pass", "import time; time.sleep(60)"):
        limits = Limits(seconds=0.5)
        with Sandbox(limits, sandbox.isolator) as box:
            outcome = box.run(f"print('before', flush=True)\n{program}")
        assert outcome.status == "timeout"
        assert outcome.stdout == b"before\n"
        assert outcome.reason == "still running after 0.5 seconds"


def test_files_go_in_and_come_out(sandbox: Sandbox) -> None:
    program = """
import os, sys
assert sys.stdin.read() == "input"
from tools.add import add
print(add(int(open("in.txt").read()), 1), sorted(os.listdir()))
os.makedirs("out/deep")
open("out/deep/new.bin", "wb").write(bytes(range(256)))
open("in.txt", "w").write("changed")
os.symlink("/usr/lib/os-release", "link")
os.mkfifo("pipe")
"""
    files = {"in.txt": "41", "tools/add.py": b"def add(a, b): return a + b\n"}
    outcome = sandbox.run(program, files, "input")
    assert outcome.stdout == b"42 ['in.txt', 'tools']\n", outcome
    assert outcome.files == {"out/deep/new.bin": bytes(range(256)), "in.txt": b"changed"}
    assert sandbox.run("import os; print(os.listdir())").stdout == b"[]\n"


def test_odd_names_come_out_as_text(sandbox: Sandbox) -> None:
    program = """
for name in (b"a" * 255, b"\\xff", b"new\\nline", b"..."):
    open(name, "w").close()
"""
    assert set(sandbox.run(program).files) == {"a" * 255, "\ufffd", "new\nline", "..."}


@pytest.mark.parametrize("name", ["/etc/motd", "../up", "a/../../up", "", "a\0b"])
def test_no_file_is_laid_outside(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(ValueError, match="no file of the scratch folder"):
        sandbox.run("", {name: b""})


def test_a_program_has_no_more_than_named(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    outcome = sandbox.run("import os, sys; print(sorted(os.environ), sys.argv, sorted(globals()))")
    shown = outcome.stdout.decode()
    assert "['HOME', 'LANG', 'PATH', 'PYTHONDONTWRITEBYTECODE', 'TMPDIR'] ['program.py']" in shown
    assert "'Sandbox'" not in shown
    assert "'control'" not in shown


def test_nothing_inside_can_stop_the_guest(sandbox: Sandbox) -> None:
    if not sandbox.isolator.isolated:
        pytest.skip("it would stop this test")
    before = sandbox.run("print(1)")
    program = """
import os, signal
for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
    try:
        os.kill(1, number)
    except PermissionError:
        pass
try:
    os.kill(-1, signal.SIGKILL)
except ProcessLookupError:
    pass
for path in ("/proc/1/mem", "/proc/1/environ", "/proc/1/fd/0"):
    try:
        open(path, "rb").read(1)
        print("read", path)
    except OSError:
        pass
"""
    outcome = sandbox.run(program)
    assert before.ok
    assert outcome.ok, outcome
    assert outcome.stdout == b""


def test_calls_are_answered_and_their_time_is_the_parents() -> None:
    seen = []

    def slow(text: str, *, times: int = 1) -> list[str]:
        seen.append(text)
        time.sleep(0.7)
        return [text] * times

    def refuse() -> None:
        raise ValueError("not today")

    program = """
print(slow("a", times=2), slow("b"))
try:
    refuse()
except RuntimeError as error:
    print(error)
try:
    slow(object())
except TypeError:
    print("no JSON")
"""
    outcome = _run_somewhere(program, Limits(seconds=1), {"slow": slow, "refuse": refuse})
    assert outcome.ok, outcome
    assert outcome.stdout == b"['a', 'a'] ['b']\nValueError: not today\nno JSON\n"
    assert seen == ["a", "b"]
    assert outcome.seconds < 1


def test_threads_may_call() -> None:
    program = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(square, range(40))))
"""
    outcome = _run_somewhere(program, Limits(), {"square": lambda x: x * x})
    assert outcome.stdout == b"20540\n", outcome


def test_every_descriptor_and_process_is_given_back() -> None:
    def held() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with _some(LIMITS) as box:
        box.run("pass")
        before = held()
        for program in ("pass", "1/0", "print('x' * 20_000)", "pass"):
            box.run(program, serve={"f": int})
        assert held() <= before
        process = box._guest.process  # type: ignore[union-attr]
    assert process.returncode is not None


def test_a_parent_may_hold_more_than_a_thousand_files() -> None:
    """As one with many connections to language models does; ``select`` ends at 1,024."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1200:
        pytest.skip("this machine allows no more")
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with _some(LIMITS) as box:
            outcome = box.run("print(add(1, 2))", serve={"add": lambda a, b: a + b})
    finally:
        for fd in held:
            os.close(fd)
    assert outcome.stdout == b"3\n", outcome


def test_a_machine_that_cannot_isolate_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Isolator("made-up", (), lambda command, limits: ["sh", "-c", "echo no spaces >&2"])
    absent = Isolator("absent", ("no-such-tool",), lambda command, limits: list(command))
    monkeypatch.setattr(isolators, "ISOLATORS", (broken, absent))
    with pytest.raises(Refused) as refused:
        run("print('never')")
    (found,) = refused.value.diagnostics
    assert found.code == "E840"
    assert [n.message for n in found.notes] == [
        "made-up: no spaces",
        "absent: no `no-such-tool` on this machine",
    ]


def test_only_the_command_line_lets_it_run_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    stub: ModuleType,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = stub.make_project(tmp_path / "p")
    monkeypatch.chdir(folder)
    assert main(["compile"]) == 0
    monkeypatch.setattr(isolators, "ISOLATORS", ())
    monkeypatch.setenv(ALLOWED, "1")  # it is forgotten: a profile must not allow it for good
    seen = []

    def execute(*_: object, **__: object) -> None:
        try:
            seen.append(run("import os; print(os.getppid() > 1)").stdout)
        except Refused as refused:
            seen.append(refused.diagnostics[0].code)
        raise KeyboardInterrupt

    monkeypatch.setattr("dagent.runtime.execution.execute", execute)
    for flags in ([], ["--allow-unsandboxed"]):
        capsys.readouterr()
        assert main(["execute", *flags]) == 130
        assert ("can read your keys and the test set" in capsys.readouterr().err) == bool(flags)
    assert seen == ["E840", b"True\n"]


def test_without_a_filter_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    with pytest.raises(Refused, match="E840"):
        run("print('never')")


def test_a_sandbox_that_cannot_be_started_again_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox() as sandbox:
        assert sandbox.run("print(1)").stdout
        sandbox.close()
        monkeypatch.setattr(isolators, "interpreter", lambda: "/no/such/python")
        with pytest.raises(Refused) as caught:
            sandbox.run("print(2)")
    assert [d.code for d in caught.value.diagnostics] == ["E841"]


def test_it_dies_with_its_parent() -> None:
    """A parent that is killed leaves nothing behind."""
    with _some(LIMITS) as box:
        name = box.isolator.name
    parent = f"""
import os, threading
from dagent.runtime.sandbox import ISOLATORS, Sandbox
box = Sandbox(isolator=next(i for i in ISOLATORS if i.name == {name!r}))
print(box._guest.process.pid, flush=True)
threading.Timer(0.3, os.kill, (os.getpid(), 9)).start()
box.run("import time; time.sleep(60)")
"""
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, "not by an end of its own"
    holder = Path("/proc", str(int(done.stdout)))
    for _ in range(100):
        if not holder.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{holder} is still there")


def test_the_interpreter_inside_is_no_virtual_environment() -> None:
    assert not (Path(isolators.interpreter()).parent.parent / "pyvenv.cfg").exists()


def _some(limits: Limits) -> Sandbox:
    """A sandbox of whatever kind this machine has."""
    try:
        return Sandbox(limits)
    except Refused as refused:
        (found,) = refused.diagnostics
        pytest.skip("; ".join(note.message for note in found.notes))


def _run_somewhere(program: str, limits: Limits, serve: Mapping[str, Function]) -> Outcome:
    with _some(limits) as box:
        return box.run(program, serve=serve)
