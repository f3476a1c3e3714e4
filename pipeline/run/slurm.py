"""Parts as the tasks of a Slurm job array. The nodes share this machine's Python environment and dataset folder."""

import re
import secrets
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.utils.logging import logger

from pipeline.run.engines import POLL_S, EngineError, Tick, say
from pipeline.run.task import StageTask, worker_environment

MAX_TASKS = 1000
"""Of one array: Slurm's MaxArraySize is 1001 unless a cluster says otherwise, and its last index is one less."""
MAX_POLL_S = 15.0
"""Asking grows rarer as a job grows older, since a controller serves many users."""
SAY_AFTER_S = 10.0
SAY_AGAIN_S = 300.0
FORGOTTEN_AFTER_S = 30.0
"""A job that squeue does not know so long after sbatch took it is over and forgotten (Slurm's MinJobAge)."""
OVER = (
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
)


def _job_id(output: str) -> str:
    found = re.search(r"Submitted batch job (\d+)", output)
    if found is None:
        raise EngineError(f"sbatch named no job; it said {output.strip()!r}")
    return found[1]


class _Executor(SlurmPipelineExecutor):  # type: ignore[misc]
    """datatrove's Slurm executor without merge job, without srun, and with quoted names in its script."""

    def launch_merge_stats(self) -> None:
        """Nothing to merge: counts are in the markers."""

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, Any]:
        """The directives; where partition or time are not given, the cluster chooses."""
        found: dict[str, Any] = super().get_sbatch_args(max_array)
        if not {"mem", "mem-per-gpu"}.isdisjoint(found):
            del found["mem-per-cpu"]
        return {
            name: shlex.quote(str(v)) if v else ""
            for name, v in found.items()
            if v or name not in ("partition", "time")
        }

    def get_launch_file_contents(self, sbatch_args: dict[str, Any], run_script: str) -> str:
        """The script, which starts this very interpreter, whatever PATH is on the node."""
        pickled = shlex.quote(self.logging_dir.resolve_paths("executor.pik"))
        command = f"exec {shlex.quote(sys.executable)} -P -m datatrove.tools.launch_pickled_pipeline {pickled}"
        return str(super().get_launch_file_contents(sbatch_args, command))


class SlurmEngine:
    """A Slurm cluster, from a machine where sbatch, squeue and scancel work."""

    def __init__(self, workers: int, sbatch: Mapping[str, str]) -> None:
        """`sbatch`: directives by name, such as {"partition": "cpu", "time": "2:00:00"}.

        Raises:
            EngineError: for a directive that is the engine's own.
        """
        logger.remove()
        self._workers = workers
        self._sbatch = {name.lstrip("-"): value for name, value in sbatch.items()}
        if "array" in self._sbatch:
            raise EngineError("--slurm array=... is set by the engine: use --workers for the number of tasks")
        self._job = self._name = ""

    def execute(self, task: StageTask, n_parts: int, logging_dir: str, tick: Tick) -> None:
        """See Engine."""
        stage = task.job.removesuffix(".json")
        self._job, self._name = "", f"gristmill-{stage}-{secrets.token_hex(4)}"
        executor = _Executor(
            [task.elsewhere()],
            tasks=min(n_parts, self._workers, MAX_TASKS),
            time="",
            partition="",
            qos="",
            job_name=self._name,
            job_id_retriever=_job_id,
            env_command="export " + " ".join(f"{k}={shlex.quote(v)}" for k, v in worker_environment().items()),
            sbatch_args=self._sbatch,
            logging_dir=logging_dir,
            skip_completed=False,
            with_srun=False,
        )
        try:
            executor.launch_job()  # not run(), which takes the job that it may itself be part of for its own
        except FileNotFoundError as error:
            if error.filename != "sbatch":
                raise
            raise EngineError("there is no sbatch on PATH: --engine slurm runs on a login node of a cluster") from None
        except subprocess.CalledProcessError:
            script = executor.logging_dir.resolve_paths("launch_script.slurm")
            raise EngineError(
                f"sbatch refused the job of {stage} (its reason is above; the script is {script}); "
                "directives come from --slurm key=value"
            ) from None
        self._job = executor.job_id
        self._wait(executor.slurm_logs_folder, tick)
        self._job = self._name = ""

    def _wait(self, logs: str, tick: Tick) -> None:
        """Until all tasks are over. What keeps them from running is said on standard error, now and then."""
        begun = said_at = time.monotonic()
        said = ""
        while True:
            tick()
            now = time.monotonic()
            states, problem = _states(self._job)
            if (
                problem is None
                and all(state in OVER for state, _ in states)
                and (states or now > begun + FORGOTTEN_AFTER_S)
            ):
                break
            stuck = Counter({key: n for key, n in states.items() if key[0] not in (*OVER, "RUNNING")})
            text = problem or _listed(stuck)
            if text and now > said_at + (SAY_AFTER_S if text != said else SAY_AGAIN_S):
                say(f"Slurm job {self._job}: {text}; Ctrl-C cancels it")
                said, said_at = text, now
            time.sleep(min(MAX_POLL_S, max(POLL_S, (now - begun) / 20)))
        failed = Counter({key: n for key, n in states.items() if key[0] != "COMPLETED"})
        if failed:
            say(f"Slurm job {self._job}: {_listed(failed)}; its logs are in {logs}")

    def close(self) -> None:
        """See Engine."""
        if self._name:
            which = [self._job] if self._job else ["--name", self._name]
            with suppress(OSError):
                subprocess.run(["scancel", "--quiet", *which], check=False)


def _states(job: str) -> tuple[Counter[tuple[str, str]], str | None]:
    """How many tasks of a job are in each (state, reason), none if squeue has forgotten it; and squeue's complaint."""
    command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={job}", "--format=%T|%r"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode and "Invalid job id" not in found.stderr:
        return Counter(), found.stderr.strip() or f"squeue ended with exit code {found.returncode}"
    pairs = (line.partition("|")[::2] for line in found.stdout.split("\n") if line)
    return Counter((state.strip(), reason.strip()) for state, reason in pairs), None


def _listed(states: Counter[tuple[str, str]]) -> str:
    """As in `2 PENDING (Resources), 1 SUSPENDED`."""
    parts = sorted((state, reason, n) for (state, reason), n in states.items())
    return ", ".join(
        f"{n} {state}" + (f" ({reason})" if reason not in ("", "None") else "") for state, reason, n in parts
    )
