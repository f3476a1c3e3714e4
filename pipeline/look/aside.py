"""A new folder that appears whole or not at all: it is written aside and renamed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.config import ConfigError
from pipeline.files import fsync_folder


@contextmanager
def new_folder(to: Path, option: str) -> Iterator[Path]:
    """The folder to fill, which becomes `to` when the block ends well, and goes when it does not.

    `option`: what `to` was given by on the command line, for errors.

    Raises:
        ConfigError: `to` is there already, or another process is writing it.
    """
    to = to.absolute()
    if to.exists():
        raise ConfigError([f"{option} {to}: is there already; name a folder that is not, or remove it"])
    to.parent.mkdir(parents=True, exist_ok=True)
    aside = to.with_name(f".aside-{to.name}")
    lock = FileLock(aside.with_name(f"{aside.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError([f"{option} {to}: another process is writing it"]) from None
    try:
        shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
        aside.mkdir()
        yield aside
        aside.rename(to)
        fsync_folder(to.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
