"""datatrove's executors as engines, with the guards they lack.

Completion is decided by the markers of Parts alone (`skip_completed=False`); a dead local worker is noticed and its
Part tried again; Slurm jobs are awaited, and need no merge job.
"""

import multiprocessing
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.executor.ray import RayPipelineExecutor
from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.utils.logging import logger

from pipeline.run.task import SINGLE_THREAD, StageTask, start_worker

MAX_DEATHS = 3  # a Part that was running when a worker died is tried this often
POLL_S = 1.0
STORE_LAG_S = 10.0  # how long a shared file system may take to show a worker's last marker

Tick = Callable[[], None]


class EngineError(Exception):
    """An engine that cannot start, or whose workers die."""


class Engine(Protocol):
    """Runs one stage's Parts and returns when no worker is left; the markers say what was done."""

    def execute(self, task: StageTask, n_parts: int, logging_dir: str, tick: Tick) -> None:
        """Run `n_parts` Parts; `tick` is called about once a second."""

    def close(self) -> None:
        """End all workers."""


class _LocalExecutor(LocalPipelineExecutor):  # type: ignore[misc]
    """datatrove's local executor on a process pool that notices a dead worker; a rank is one Part."""

    def run_on(self, pool: "WorkerPool", tick: Tick) -> None:
        """Run every rank; ranks that ran when a worker died are tried again, MAX_DEATHS times in all."""
        deaths = dict.fromkeys(range(self.tasks), 0)
        while deaths:
            running: dict[Future[Any], int] = {}
            waiting = list(deaths)
            try:
                while waiting or running:
                    while waiting and len(running) < pool.workers:
                        rank = waiting.pop(0)
                        running[pool.submit(self._run_for_rank, rank, 1)] = rank
                    done, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                        deaths.pop(running.pop(future))
                    tick()
            except BrokenProcessPool:
                pool.restart()
                for rank in running.values():
                    deaths[rank] += 1
                    if deaths[rank] >= MAX_DEATHS:
                        raise EngineError(
                            f"a worker was killed {MAX_DEATHS} times while it ran Part {rank} of the stage; the usual "
                            "cause is memory: use fewer --workers, or a smaller part_mb for the source"
                        ) from None


class WorkerPool:
    """Worker processes that live as long as the run, each with every room imported."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["pipeline.stages"])
        os.environ.update(SINGLE_THREAD)
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.workers, mp_context=self._context, initializer=start_worker)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run a picklable function in a worker."""
        return self._pool.submit(function, *arguments)

    def restart(self) -> None:
        """Replace a pool that has lost a worker."""
        self.kill()
        self._pool = self._start()

    def kill(self) -> None:
        """End all workers at once; safe, since a Part is committed as a whole or not at all."""
        for process in list((self._pool._processes or {}).values()):
            process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)


class LocalEngine:
    """Processes on this machine."""

    def __init__(self, workers: int) -> None:
        logger.remove()
        self._pool = WorkerPool(workers)

    def execute(self, task: StageTask, n_parts: int, logging_dir: str, tick: Tick) -> None:
        """See Engine."""
        executor = _LocalExecutor(
            [task], tasks=n_parts, workers=self._pool.workers, logging_dir=logging_dir, skip_completed=False
        )
        executor.run_on(self._pool, tick)

    def close(self) -> None:
        """See Engine."""
        self._pool.kill()


class RayEngine:
    """A Ray cluster: the one that `RAY_ADDRESS` names, else one started on this machine."""

    def __init__(self, workers: int) -> None:
        try:
            import ray
        except ImportError:
            raise EngineError("--engine ray needs Ray: pip install 'gristmill[ray]'") from None
        logger.remove()
        self._workers = workers
        self._ray = ray
        if not ray.is_initialized():
            settings: dict[str, Any] = {"runtime_env": {"env_vars": SINGLE_THREAD}, "log_to_driver": False}
            if "RAY_ADDRESS" not in os.environ:
                settings |= {"num_cpus": workers, "include_dashboard": False}
            ray.init(**settings)

    def execute(self, task: StageTask, n_parts: int, logging_dir: str, tick: Tick) -> None:
        """See Engine."""
        RayPipelineExecutor(
            [task],
            tasks=min(n_parts, 4 * self._workers),
            workers=self._workers,
            logging_dir=logging_dir,
            skip_completed=False,
            mem_per_cpu_gb=0.5,
        ).run()
        tick()

    def close(self) -> None:
        """See Engine."""
        self._ray.shutdown()


class _SlurmExecutor(SlurmPipelineExecutor):  # type: ignore[misc]
    """datatrove's Slurm executor without its merge job, and without directives that have no value."""

    def launch_merge_stats(self) -> None:
        """Nothing to merge: counts are in the markers."""

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, Any]:
        """The directives; an empty partition or time leaves the choice to the cluster."""
        found = super().get_sbatch_args(max_array)
        return {k: v for k, v in found.items() if v not in ("", None) or k == "requeue"}


class SlurmEngine:
    """A Slurm cluster whose nodes share this machine's Python environment and dataset folder."""

    def __init__(self, workers: int, sbatch: Mapping[str, str]) -> None:
        logger.remove()
        self._workers = workers
        self._sbatch = dict(sbatch)
        self._job = ""

    def execute(self, task: StageTask, n_parts: int, logging_dir: str, tick: Tick) -> None:
        """See Engine."""
        options = dict(self._sbatch)
        threads = " ".join(f"{name}={value}" for name, value in SINGLE_THREAD.items())
        executor = _SlurmExecutor(
            [task],
            tasks=min(n_parts, self._workers),
            workers=self._workers,
            time=options.pop("time", ""),
            partition=options.pop("partition", ""),
            qos=options.pop("qos", ""),
            mem_per_cpu_gb=int(options.pop("mem-per-cpu-gb", "2")),
            job_name=f"gristmill-{task.job.removesuffix('.json')}",
            env_command=f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH {threads}",
            sbatch_args=options,
            logging_dir=logging_dir,
            skip_completed=False,
        )
        try:
            executor.run()
        except (OSError, subprocess.CalledProcessError) as error:
            raise EngineError(f"sbatch failed: {error}; is this a Slurm login node?") from None
        self._job = str(executor.job_id)
        while _slurm_has(self._job):
            time.sleep(POLL_S)
            tick()
        self._job = ""

    def close(self) -> None:
        """See Engine."""
        if self._job:
            subprocess.run(["scancel", self._job], check=False)


def _slurm_has(job: str) -> bool:
    """Whether Slurm still knows an unfinished task of the job; an error of squeue for a known-old job means no."""
    found = subprocess.run(["squeue", "-h", "-j", job, "-o", "%i"], capture_output=True, text=True, check=False)
    return found.returncode == 0 and bool(found.stdout.strip())


def make_engine(name: str, workers: int, sbatch: Mapping[str, str]) -> Engine:
    """The engine called `local`, `ray` or `slurm`.

    Raises:
        EngineError: if it cannot be started.
    """
    if name == "slurm":
        return SlurmEngine(workers, sbatch)
    return RayEngine(workers) if name == "ray" else LocalEngine(workers)
