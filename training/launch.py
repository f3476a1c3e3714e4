"""One process for each GPU: through torchrun on this machine, or by a batch script for several."""

import logging
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.config import TrainConfig

SCRIPT = "train.sbatch"
SHUTDOWN_S = 1800
"""What processes that were told to end have for their checkpoint before they are killed, where torch lets one say so
(2.13 does; 2.11 kills after 30)."""
RENDEZVOUS_PORT = 29500


def run_here(arguments: Sequence[str], n_processes: int) -> int:
    """Run `python -m training` with `arguments` in `n_processes` processes, as torchrun does; returns the exit code.

    A first Ctrl-C reaches the processes themselves, which save. SIGTERM is passed on to them.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the processes say what is wrong
    known = LaunchConfig.__dataclass_fields__
    newer: dict[str, Any] = {"signals_to_handle": "SIGTERM", "shutdown_timeout": SHUTDOWN_S}
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=n_processes,
        run_id=f"gristmill-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        **{name: value for name, value in newer.items() if name in known},
    )
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // n_processes)))
    try:
        with _deaf_to_interrupts():
            elastic_launch(config, sys.executable)("-m", "training", *arguments)
    except SignalException as ended:
        return 128 + ended.sigval
    except ChildFailedError as failed:
        code = failed.get_first_failure()[1].exitcode
        return code if code > 0 else 128 - code
    return 0


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Inside, Ctrl-C is for the processes that train, to which the terminal sends it, too."""
    usual = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def write_script(config: TrainConfig, arguments: Sequence[str], n_nodes: int, n_processes: int) -> Path:
    """Write a batch script for Slurm that runs `python -m training` with `arguments` in `n_processes` processes on
    each of `n_nodes` machines.

    They must share the file system: all read the same data and the same checkpoints.
    """
    gpus = [f"#SBATCH --gpus-per-node={n_processes}"] if config.device != "cpu" else []
    folder = config.output.resolve()
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name={_word(config.output.name)}",
        f"#SBATCH --nodes={n_nodes}",
        "#SBATCH --ntasks-per-node=1",
        *gpus,
        "#SBATCH --exclusive",
        f"#SBATCH --output={folder}/slurm-%j.log",
        "#SBATCH --open-mode=append",
        "#SBATCH --requeue",
        "# Five minutes before the time limit the run saves and ends; submit the script again to go on.",
        "#SBATCH --signal=TERM@300",
        "",
        "set -euo pipefail",
        f"cd {shlex.quote(str(Path.cwd()))}",
        'first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
        "",
        "# One torchrun on each node starts a process for each GPU there; they meet at the first node.",
        f"srun {shlex.quote(sys.executable)} -m torch.distributed.run \\",
        f'    --nnodes={n_nodes} --nproc-per-node={n_processes} --rdzv-id="$SLURM_JOB_ID" \\',
        f'    --rdzv-backend=c10d --rdzv-endpoint="$first:{RENDEZVOUS_PORT}" \\',
        f"    -m training {shlex.join(arguments)}",
    ]
    config.output.mkdir(parents=True, exist_ok=True)
    path = folder / SCRIPT
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _word(name: str) -> str:
    return "".join(char if char.isalnum() or char in "-_." else "-" for char in name) or "train"
