"""As much of SLURM as submitit asks for, for one job on this machine: sbatch, srun, scontrol and sacct in one file.

Its time limit comes when the job has a checkpoint: the job gets SIGUSR2, as ``--signal`` asks SLURM to do, queues
itself again, and is started once more. What goes on is noted in files beside the commands.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "here"}
TASK = {"SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}

NOWHERE = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # sbatch's caller waits for its own to close


def install(folder: Path, checkpoint: str) -> None:
    """Make the commands in ``folder``; ``checkpoint`` is a pattern below ``folder.parent``."""
    folder.mkdir()
    for name in ("sbatch", "srun", "scontrol", "sacct"):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {name} "{folder}" "$@"\n')
        (folder / name).chmod(0o755)
    (folder / "checkpoint").write_text(checkpoint)


def sbatch(home: Path, script: str) -> None:
    (home / "script").write_text(Path(script).read_text())
    subprocess.Popen([sys.executable, __file__, "controller", str(home)], **NOWHERE)
    print("Submitted batch job 7")


def controller(home: Path) -> None:
    """Run the job, stop it at its limit, and run it again each time it was queued again."""
    pattern, limited = (home / "checkpoint").read_text(), False
    (home / "queued").touch()
    while (home / "queued").exists():
        (home / "queued").unlink()
        job = subprocess.Popen(["bash", str(home / "script")], env=os.environ | JOB | TASK)
        while job.poll() is None:
            if not limited and list(home.parent.glob(pattern)):
                os.kill(int((home / "task").read_text()), signal.SIGUSR2)
                limited = True
            time.sleep(0.02)
    (home / "ended").touch()


def srun(home: Path, *arguments: str) -> None:
    place = arguments.index("--output") + 1
    output, *command = (text.replace("%j", "7").replace("%t", "0") for text in arguments[place:])
    Path(output).parent.mkdir(exist_ok=True)
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    (home / "task").write_text(str(os.getpid()))
    os.execv(command[0], command)


def scontrol(home: Path, verb: str, job: str) -> None:
    assert (verb, job) == ("requeue", "7")
    (home / "queued").touch()


def sacct(home: Path, *_: str) -> None:
    print(f"JobID|State|NodeList\n7|{'COMPLETED' if (home / 'ended').exists() else 'RUNNING'}|here")


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
