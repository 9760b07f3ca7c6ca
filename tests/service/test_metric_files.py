"""Counts of several processes: added up, kept when processes die, and no burden to anybody when they cannot be kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from worker.metric_files import Places, Shared

_COUNT = """
import os, resource, sys, time
from pathlib import Path
from worker import instruments, metric_files, metrics, telemetry
telemetry.configure()
metric_files.share(Path(sys.argv[1]))
"""
_ONE = "metrics.attempted(instruments.Attempt.ENDED)\n"
_WEAK = _ONE + "metrics.layers_missing(2); metrics.sweep_ended(1000.0); print('there', flush=True); time.sleep(60)\n"
_OWN = (
    "print(instruments.instruments().registry.get_sample_value('lazaretto_scan_attempts_total', {'outcome': 'ended'}))"
)
_FORKED = """
metrics.attempted(instruments.Attempt.ENDED)
if os.fork() == 0:
    metrics.attempted(instruments.Attempt.ENDED)
    metrics.attempted(instruments.Attempt.ENDED)
    os._exit(0)
os.wait()
metrics.attempted(instruments.Attempt.ENDED)
"""
_CRAMPED = """
metrics.attempted(instruments.Attempt.ENDED)
if os.fork() == 0:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    for _ in range(100):
        metrics.attempted(instruments.Attempt.ENDED)
        with metrics.step(instruments.Step.SCAN):
            pass
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


def _run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _COUNT + program, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def _told(folder: Path) -> dict[str, float]:
    """Every sample that another process tells of, by its name and labels."""
    families = Shared(Places(folder)).collect()
    samples = [sample for family in families for sample in family.samples]
    return {f"{sample.name} {' '.join(sample.labels.values())}".strip(): sample.value for sample in samples}


def _files(folder: Path) -> int:
    return len(list(folder.glob("counter_*.db")))


def test_counters_outlive_their_processes_and_files_do_not_become_more(tmp_path: Path) -> None:
    for _ in range(2):
        _run(tmp_path, _ONE)
    assert _told(tmp_path)["lazaretto_scan_attempts_total ended"] == 2
    assert _files(tmp_path) == 1
    for path in tmp_path.glob("*.db"):  # the kernel kills whoever writes into a hole of a mapped file on a full disk
        found = path.stat()
        assert found.st_blocks * 512 >= found.st_size > 0, path.name


def test_a_fork_counts_in_a_place_of_its_own(tmp_path: Path) -> None:
    _run(tmp_path, _FORKED)
    assert _told(tmp_path)["lazaretto_scan_attempts_total ended"] == 4
    assert _files(tmp_path) == 2


def test_of_whoever_was_killed_counters_stay_and_gauges_of_the_living_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _COUNT + _WEAK, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        living = _told(tmp_path)
        process.send_signal(signal.SIGKILL)
    dead = _told(tmp_path)
    assert [each.get("lazaretto_sandbox_layers_missing") for each in (living, dead)] == [2, None]
    assert dead["lazaretto_scan_attempts_total ended"] == 1
    assert dead["lazaretto_sweeper_last_sweep_timestamp_seconds"] == 1000, "that it grows old is what tells"


def test_a_damaged_file_hides_no_other_and_is_replaced(tmp_path: Path) -> None:
    _run(tmp_path, _FORKED)
    for damage in (b"", b"\xff" * 64, b"\x00\x01\x00\x00" + b"\xff" * 200):
        (tmp_path / "counter_0.db").write_bytes(damage)
        assert _told(tmp_path)["lazaretto_scan_attempts_total ended"] == 2
        places = Places(tmp_path)
        assert places.mine() == "0"
        os.close(places._lock)
        assert set((tmp_path / "counter_0.db").read_bytes()) == {0}, "it counts on from nothing"


def test_a_process_without_a_place_does_its_work_and_says_so_once(tmp_path: Path) -> None:
    done = _run(tmp_path, _CRAMPED)
    assert done.stdout == "0\n"
    [line] = done.stderr.splitlines()
    assert json.loads(line)["event"] == "not_measured"
    assert _told(tmp_path)["lazaretto_scan_attempts_total ended"] == 1


def test_a_folder_that_cannot_be_made_is_said_and_each_counts_for_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = _run(tmp_path / "file" / "metrics", _ONE + _OWN)
    assert json.loads(done.stderr.splitlines()[0])["event"] == "not_measured"
    assert done.stdout == "1.0\n"
