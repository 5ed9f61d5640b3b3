"""Tracking: the journal of an execution, mirrored into MLflow by a process of its own.

The executor writes its journal and knows nothing of MLflow; the tracking process follows the
journal. So MLflow's import runs beside other work, a server that is away cannot stop a run, and
what is missing is caught up later from the journal, which has it all::

    tracker = tracking.start(project, execution)   # after `execution_started` is in the journal
    ...
    behind = tracker.finish()                      # None, or the one line to print

Nothing here imports MLflow before ``connect``.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dagent.runtime.journal import Event
from dagent.runtime.projection import CLOSING, MIRRORED
from dagent.runtime.store import write_atomically

if TYPE_CHECKING:
    from dagent.runtime.mirror import Mirror

FORMAT = "dagent.tracking/1"
MISSING = "MLflow is not installed, so nothing is tracked: pip install 'dagent[track]'"
ATTEMPTS = 3  # at one event, before it is left out because MLflow answers but refuses it
POLL, LONGEST_PAUSE = 0.3, 30.0


# --- where ----------------------------------------------------------------------------------------


def installed() -> bool:
    return importlib.util.find_spec("mlflow") is not None


def local_database(project: Path) -> Path:
    return project.resolve() / ".dagent" / "mlflow.db"


def local_artifacts(project: Path) -> Path:
    return project.resolve() / ".dagent" / "mlartifacts"


def remote_uri() -> str | None:
    """The user's own MLflow, if ``MLFLOW_TRACKING_URI`` names one."""
    return os.environ.get("MLFLOW_TRACKING_URI", "").strip() or None


def tracking_uri(project: Path) -> str:
    return remote_uri() or f"sqlite:///{local_database(project)}"


def redacted(text: str) -> str:
    """The text without what only the user may know: passwords in addresses, MLflow's secrets."""
    for name in ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    return re.sub(r"(\w://)[^/@\s]+@", r"\1***@", text)


def environment() -> dict[str, str]:
    """The environment of MLflow's processes: no telemetry, no run or experiment of someone else's,
    no long patience with a server that is away, no module of the user's instead of Python's own.
    """
    kept = {k: v for k, v in os.environ.items() if k not in _NOT_OURS}
    return {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # MLflow asks it for prices
        **kept,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYTHONSAFEPATH": "1",
    }


_NOT_OURS = frozenset({"MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"})


# --- how far --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one MLflow has mirrored one journal; ``seq`` is the last event's.

    ``experiment`` and ``run`` are for links. ``error`` is why it is behind, ``left_out`` what
    MLflow refused although it answered.
    """

    seq: int = 0
    experiment: str = ""
    run: str = ""
    error: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFolder:
    """``.dagent/runs/<execution>``: its journal, and ``tracking.json`` with a cursor per MLflow."""

    project: Path
    execution: str

    @property
    def path(self) -> Path:
        return self.project.resolve() / ".dagent" / "runs" / self.execution

    @property
    def store(self) -> str:
        """The MLflow of now. The local one has one name, so that a project may be moved."""
        return redacted(remote_uri() or "local")

    def identity(self) -> str:
        """Unique to this execution even on a server that many share; made once."""
        body = self._read()
        if "identity" not in body:
            body["identity"] = f"{self.execution}/{uuid.uuid4().hex[:8]}"
            self._write(body)
        return str(body["identity"])

    def cursor(self) -> Cursor:
        body = self._read()["stores"].get(self.store, {})
        if not remote_uri() and not local_database(self.project).exists():
            return Cursor()
        return Cursor(**{**body, "left_out": tuple(body.get("left_out", ()))})

    def move(self, cursor: Cursor) -> None:
        body = self._read()
        body["stores"][self.store] = asdict(cursor)
        self._write(body)

    def events(self) -> list[Event]:
        """The whole events of the journal that concern MLflow.

        A line that cannot be read is passed over: tracking is never the reason why a run stops.
        """
        try:
            raw = (self.path / "journal.jsonl").read_bytes()
        except OSError:
            return []
        lines = raw[: raw.rfind(b"\n") + 1].splitlines()
        return [e for line in lines if (e := _decoded(line)) and e.get("event") in MIRRORED]

    def behind(self) -> int:
        seq = self.cursor().seq
        return sum(1 for e in self.events() if e["seq"] > seq)

    @contextmanager
    def locked(self, wait: Callable[[], bool]) -> Iterator[bool]:
        """Hold the one right to mirror this execution. Gives False when ``wait()`` said no more."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "tracking.lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not wait():
                        yield False
                        return
            yield True

    def _read(self) -> dict[str, Any]:
        try:
            body = json.loads((self.path / "tracking.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            body = {}
        return {"format": FORMAT, "stores": {}, **body}

    def _write(self, body: dict[str, Any]) -> None:
        text = json.dumps(body, sort_keys=True, indent=1, ensure_ascii=False)
        write_atomically(self.path / "tracking.json", text + "\n")


def executions(project: Path) -> list[RunFolder]:
    """The folder's executions, oldest first."""
    journals = (project.resolve() / ".dagent" / "runs").glob("*/journal.jsonl")
    found = [RunFolder(project, path.parent.name) for path in journals]
    times = {f: next((str(e["time"]) for e in f.events()), "") for f in found}
    return sorted((f for f in found if times[f]), key=lambda f: (times[f], f.execution))


# --- the tracking process -------------------------------------------------------------------------


class Pause(Protocol):
    """Whether the executor has gone; ``wait`` returns early when it goes."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float) -> bool: ...


def connect(folder: RunFolder, start: Event) -> Mirror:
    """Open MLflow for one execution.

    Raises:
        Exception: whatever MLflow raises when it is away.
    """
    from mlflow import MlflowClient

    from dagent.runtime.arms_mirror import ArmsMirror
    from dagent.runtime.mirror import Mirror, Target

    scratch = folder.path / "tracking.tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    local = remote_uri() is None
    artifacts = local_artifacts(folder.project).as_uri() if local else None
    samples = folder.path / "samples.jsonl"
    target = Target(folder.project.resolve(), scratch, folder.identity(), samples, artifacts)
    client = MlflowClient(tracking_uri=tracking_uri(folder.project))
    if variants := start.get("variants"):
        return ArmsMirror(client, target, start["name"], variants)
    return Mirror(client, target, start["name"])


def follow(
    folder: RunFolder,
    gone: Pause,
    connect: Callable[[RunFolder, Event], Mirror] = connect,
    poll: float = POLL,
) -> Cursor:
    """Mirror until the executor is gone and nothing is left, or it is gone and MLflow is away."""
    mirror: Mirror | None = None
    pause = poll
    with folder.locked(lambda: not gone.wait(poll)) as mine:
        while mine:
            ended = gone.is_set()  # asked first: what was written before it went is then read
            events = folder.events()
            try:
                if events and (mirror is None or events[-1]["seq"] > folder.cursor().seq):
                    mirror = mirror or _connected(folder, events, connect)
                    _mirror(folder, mirror, events, gone)
                    pause = poll
                if ended:
                    if mirror and events[-1]["event"] not in CLOSING:
                        mirror.died(events)
                    break
            except Exception as error:
                mirror, pause = None, min(pause * 2, LONGEST_PAUSE)
                folder.move(replace(folder.cursor(), error=_one_line(error)))
                if ended:
                    break
            gone.wait(pause)
        shutil.rmtree(folder.path / "tracking.tmp", ignore_errors=True)
    return folder.cursor()


def _connected(
    folder: RunFolder, events: Sequence[Event], connect: Callable[[RunFolder, Event], Mirror]
) -> Mirror:
    mirror = connect(folder, next(e for e in events if e["event"] == "execution_started"))
    if not mirror.runs:
        # A new MLflow, or one that lost our runs: the journal has everything, begin again.
        folder.move(Cursor())
    return mirror


def _mirror(folder: RunFolder, mirror: Mirror, events: Sequence[Event], gone: Pause) -> None:
    """Mirror what is new, moving the cursor after each event.

    Raises:
        Exception: MLflow is away; the cursor stands before the event.
    """
    for i, event in enumerate(events):
        if event["seq"] <= folder.cursor().seq:
            continue
        left_out = folder.cursor().left_out
        for attempt in range(1, ATTEMPTS + 1):
            try:
                mirror.apply(events[: i + 1])
                break
            except Exception as error:
                if not mirror.answers():
                    raise
                if attempt == ATTEMPTS:
                    left_out = (*left_out, f"{event['seq']} {event['event']}: {_one_line(error)}")
                else:
                    gone.wait(POLL * attempt)
        run = mirror.runs.get(-1, "")
        folder.move(Cursor(event["seq"], mirror.experiment, run, "", left_out))


# --- the executor's side --------------------------------------------------------------------------


@dataclass(frozen=True)
class Tracker:
    """A tracking process, or none: ``note`` then says why, to be printed once."""

    folder: RunFolder
    note: str = ""
    process: subprocess.Popen[bytes] | None = None

    def finish(self, patience: float = 60.0) -> str | None:
        """Let the process catch up and end. Returns the line to print when something is missing."""
        if self.process is None:
            return None
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()
        return lag(self.folder)


def start(project: Path, execution: str) -> Tracker:
    """Start mirroring an execution; also catches up what earlier executions of the folder lack.

    Call it once ``execution_started`` is in the journal. The process ends when this one does.
    """
    folder = RunFolder(project, execution)
    if not installed():
        return Tracker(folder, MISSING)
    return Tracker(folder, process=_process(project, "--execution", execution))


def catch_up(project: Path) -> list[str]:
    """Mirror what MLflow lacks of the folder's executions, if anything, in a process of its own.

    Returns a line to print for each that is still behind.
    """
    folders = executions(project)
    if installed() and any(folder.behind() for folder in folders):
        _process(project).communicate()
    return [f"{folder.execution}: {line}" for folder in folders if (line := lag(folder))]


def lag(folder: RunFolder) -> str | None:
    """One line on what MLflow lacks of an execution, or None."""
    cursor, behind = folder.cursor(), folder.behind()
    if behind:
        where = f" at {folder.store}" if remote_uri() else ""
        why = f" ({cursor.error})" if cursor.error else ""
        return (
            f"MLflow{where} is behind by {behind} events{why}; "
            "`dagent ui` or the next `dagent execute` catches up"
        )
    if cursor.left_out:
        return f"MLflow refused {len(cursor.left_out)} events, first: {cursor.left_out[0]}"
    return None


def _process(project: Path, *args: str) -> subprocess.Popen[bytes]:
    # The checkout may not be installed, and must not come before Python's own modules.
    root = str(Path(__file__).resolve().parent.parent)
    boot = (
        "import sys; sys.path.append(sys.argv.pop(1)); "
        "from dagent.runtime.tracking_main import main; sys.exit(main())"
    )
    log = project.resolve() / ".dagent" / "tracking.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-c", boot, root, "--project", str(project.resolve()), *args],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            env=environment(),
            # Ctrl-C is for the executor, which then says how it ended.
            start_new_session=True,
        )


def _decoded(line: bytes) -> Event | None:
    try:
        body = json.loads(line)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _one_line(error: BaseException) -> str:
    """The root of an error: what MLflow and its libraries wrap around it says less."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    text = " ".join(redacted(str(error)).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"
