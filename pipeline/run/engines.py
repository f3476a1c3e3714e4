"""Where Parts run: processes of this machine, a Ray cluster; a Slurm cluster is in `pipeline.run.slurm`.

Completion is decided by the markers of Parts alone. A worker that dies is noticed, and what it ran is tried again with
nothing beside it. The guards, and why each is there, are in docs/scale.md.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from pipeline.run.events import printable, write_line
from pipeline.run.notes import Note
from pipeline.run.stop import STOPPING, listen
from pipeline.run.task import StageTask, start_worker, worker_environment

MAX_DEATHS = 3
"""A Part that was running when a worker died is tried this often."""
POLL_S = 1.0
STORE_LAG_S = 60.0
"""How long a shared file system may take to show a worker's last marker (NFS: acdirmax, 60 s, nfs(5))."""
RESTART_PAUSES_S = (0.0, 0.2, 1.0, 3.0)
"""Before a new pool each time: a server that was just killed still holds its socket, and refuses, until it is gone."""
CONNECT_TIMEOUT_S = 20.0
EXIT_LAG_S = 1.0
"""How long the exit code of a worker that is gone may be awaited."""
RAY_OBJECT_STORE_BYTES = 80 << 20
"""About the least that Ray starts with (75 MiB); nothing but what names a rank, some hundred bytes, goes through it."""


class Tick(Protocol):
    """Is called about once a second while Parts run."""

    def __call__(self, ended: Collection[int] | None = None) -> None:
        """Look which Parts are committed: those of the ranks `ended` since the last call, or any if that is None."""


class EngineError(Exception):
    """An engine that cannot start, or whose workers die."""


class Engine(Protocol):
    """Runs one stage's Parts and returns when no worker is left; the markers say what was done."""

    def execute(self, task: StageTask, n_parts: int, logging_dir: str, tick: Tick) -> None:
        """Run `n_parts` Parts; `tick` is called about once a second."""

    def close(self) -> None:
        """End all workers."""


def say(text: str) -> None:
    """A line on standard error, with the time."""
    write_line(sys.stderr, f"{time.strftime('%H:%M:%S')} {printable(text)}")


def run_ranks(
    task: StageTask,
    n_ranks: int,
    workers: int,
    submit: Callable[[int], Future[None]],
    deaths: tuple[type[Exception], ...],
    tick: Tick,
    last_words: Callable[[int], str] = lambda rank: "",
) -> None:
    """Run every rank, one Part each, at most `workers` at a time. `last_words`: how a rank died, and on which record.

    A rank whose future ends with an error of one of the kinds `deaths` is tried again when all others are done, with
    nothing beside it: if it dies then, it is the cause; if it needed the memory that the others held, it has that now.

    Raises:
        EngineError: for a rank that died MAX_DEATHS times, or that could not be run at all.
    """
    waiting, suspects = deque(range(n_ranks)), deque[int]()
    died = Counter[int]()
    running: dict[Future[None], int] = {}
    while waiting or suspects or running:
        while waiting and len(running) < workers:
            rank = waiting.popleft()
            running[submit(rank)] = rank
        if suspects and not running:
            rank = suspects.popleft()
            running[submit(rank)] = rank
        done, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
        ended = sorted(running[future] for future in done)
        for future in sorted(done, key=running.__getitem__):
            rank = running.pop(future)
            error = future.exception()
            if isinstance(error, deaths):
                died[rank] += 1
                if died[rank] == MAX_DEATHS:
                    raise EngineError(
                        f"a worker was killed {MAX_DEATHS} times while it ran {task.label(rank)}, at last with nothing "
                        f"beside it{last_words(rank)}, so fewer --workers would not help; the usual cause is memory: "
                        "use a smaller part_mb for the source, or a machine with more"
                    )
                suspects.append(rank)
                how = last_words(rank)
                say(f"a worker was killed while {task.label(rank)} ran{how}; it will run again with nothing beside it")
            elif error is not None:
                cause = (str(error).strip().splitlines() or [""])[-1]
                raise EngineError(f"{task.label(rank)} could not be run: {type(error).__name__}: {cause}") from error
        tick(ended)


def _place(note: Note | None) -> str:
    return f" on {note.place()}" if note and note.record else ""


def _run_rank(task: StageTask, rank: int, n_ranks: int, folder: Path) -> None:
    """In a worker: one rank, in the folder that relative paths of the recipe start from."""
    os.chdir(folder)
    task(None, rank, n_ranks)


class WorkerPool:
    """Worker processes that live as long as the run, each with every room imported."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._others = set(multiprocessing.active_children())
        self._started: dict[int | None, BaseProcess] = {}
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["pipeline.run.preloaded"])
        # Without PYTHONSAFEPATH a worker would take any `pipeline` in the current folder for this one.
        os.environ.update({**worker_environment(), "PYTHONSAFEPATH": "1"})
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        # Ctrl-C in a terminal reaches every process; what starts with SIGINT ignored is deaf while it imports, too.
        in_main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main else None
        try:
            forkserver.ensure_running()
        finally:
            if in_main:
                signal.signal(signal.SIGINT, before)
        return ProcessPoolExecutor(self.workers, mp_context=self._context, initializer=start_worker)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run a picklable function in a worker; a pool that has lost one, or their server, is replaced first."""
        with _signals_wait():
            for pause_s in RESTART_PAUSES_S:
                try:
                    future = self._pool.submit(function, *arguments)
                    self._started |= {process.pid: process for process in multiprocessing.active_children()}
                    return future
                except (BrokenProcessPool, EOFError, ConnectionError):
                    self.kill()
                    time.sleep(pause_s)
                    self._pool = self._start()
            return self._pool.submit(function, *arguments)

    def signal_of(self, pid: int) -> int:
        """The signal that ended a worker; 0 if it is not known, or SIGTERM, with which a pool ends the workers beside
        one that died."""
        process = self._started.get(pid)
        if process is None:
            return 0
        process.join(timeout=EXIT_LAG_S)
        number = max(0, -(process.exitcode or 0))
        return 0 if number == signal.SIGTERM else number

    def kill(self) -> None:
        """End all workers at once; safe, since a Part is committed as a whole or not at all."""
        with _signals_wait():
            for process in multiprocessing.active_children():
                if process not in self._others:
                    process.kill()
            self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals that stop a run do so at the end of the block: a worker that is being born could not be killed yet."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {n: signal.getsignal(n) for n in STOPPING if signal.getsignal(n) not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, lambda number, frame: caught.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        raise KeyboardInterrupt


class LocalEngine:
    """Processes on this machine."""

    def __init__(self, workers: int) -> None:
        self._pool = WorkerPool(workers)

    def execute(self, task: StageTask, n_parts: int, logging_dir: str, tick: Tick) -> None:
        """See Engine."""

        def submit(rank: int) -> Future[None]:
            return self._pool.submit(_run_rank, task, rank, n_parts, Path.cwd())

        def last_words(rank: int) -> str:
            note = task.note(rank)
            number = self._pool.signal_of(note.process) if note else 0
            return (f" (killed by signal {number})" if number else "") + _place(note)

        run_ranks(task, n_parts, self._pool.workers, submit, (BrokenProcessPool,), tick, last_words)

    def close(self) -> None:
        """See Engine."""
        self._pool.kill()


class RayEngine:
    """A Ray cluster: the one that `RAY_ADDRESS` names, else one of this run's own on this machine.

    Ranks are plain Ray tasks, whose processes are used again.
    """

    def __init__(self, workers: int) -> None:
        try:
            import ray
        except ImportError:
            raise EngineError("--engine ray needs Ray: pip install 'gristmill[ray]'") from None
        self._ray, self._workers = ray, workers
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        address = os.environ.get("RAY_ADDRESS") or "local"
        if address == "local":  # workers inherit the environment, which saves seconds
            os.environ.update(worker_environment())
            settings |= {"address": "local", "num_cpus": workers, "include_dashboard": False}
            settings |= {"object_store_memory": RAY_OBJECT_STORE_BYTES}
        else:
            settings |= {"runtime_env": {"env_vars": worker_environment()}}
        try:
            _knock(address)
            ray.init(**settings)
            cpus: float = ray.cluster_resources().get("CPU", 0)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise EngineError(
                f"Ray could not be started or reached (RAY_ADDRESS: {address}; a cluster with tokens also needs "
                f"RAY_AUTH_MODE=token): {error}"
            ) from error
        if cpus < workers:
            say(f"the Ray cluster has {cpus:g} CPUs for {workers} workers; the others wait until it has more")

    def execute(self, task: StageTask, n_parts: int, logging_dir: str, tick: Tick) -> None:
        """See Engine."""
        task = task.elsewhere()
        # One CPU and no memory are asked for: a request that no node can meet would wait for ever without a word.
        remote = self._ray.remote(_run_rank).options(num_cpus=1, max_retries=0, scheduling_strategy="SPREAD")

        def submit(rank: int) -> Future[None]:
            future: Future[None] = remote.remote(task, rank, n_parts, Path.cwd()).future()
            return future

        errors = self._ray.exceptions
        deaths = (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError, errors.ObjectLostError)
        run_ranks(task, n_parts, self._workers, submit, deaths, tick, lambda rank: _place(task.note(rank)))

    def close(self) -> None:
        """See Engine."""
        self._ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError if nothing answers at HOST:PORT, where Ray would try again for more than ten minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()


def make_engine(name: str, workers: int, sbatch: Mapping[str, str]) -> Engine:
    """The engine called `local`, `ray` or `slurm`.

    From now on SIGTERM and SIGHUP stop the run as Ctrl-C does, so that no worker and no job is left behind.

    Raises:
        EngineError: if it cannot be started.
    """
    if name == "slurm":
        from pipeline.run.slurm import SlurmEngine

        engine: Engine = SlurmEngine(workers, sbatch)
    else:
        engine = RayEngine(workers) if name == "ray" else LocalEngine(workers)
    if threading.current_thread() is threading.main_thread():
        listen(STOPPING)
    return engine
