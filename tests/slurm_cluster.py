"""A real Slurm on this machine for as long as a test needs it: one node, two GPUs that are ordinary files."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager

DAEMONS = ("munged", "slurmctld", "slurmd")
CONFIGURATION = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
MinJobAge=300
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory={memory} Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def cluster(folder):
    """Start munge and Slurm under ``folder`` and give the environment that reaches them; all is stopped afterwards."""
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    for gpu in ("gpu0", "gpu1"):
        (folder / gpu).touch()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 9 // 10
    ports = {"controller_port": free_port(), "node_port": free_port()}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, host=host, memory=memory, **ports))
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File={folder}/gpu[0-1]\n")
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    # A job's step forgets SLURM_CONF with all other variables of its allocation, so srun is told where it lies.
    (folder / "bin").mkdir()
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {program("srun")} "$@"\n')
    srun.chmod(0o755)
    path = f"{folder}/bin{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    munge = [f"--{name}-file={folder}/munge.{end}" for name, end in (("key", "key"), ("pid", "pid"), ("log", "log"),
                                                                    ("seed", "seed"))]  # fmt: skip
    with ExitStack() as stack:
        for command in (
            ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge],
            ["slurmctld", "-D", "-c"],
            ["slurmd", "-D", "-N", host],
        ):
            with (folder / f"{command[0]}.out").open("w") as out:
                daemon = subprocess.Popen([program(command[0]), *command[1:]], env=environment, stdout=out, stderr=out)
            stack.callback(stop, daemon)
            wait_until(lambda name=command[0]: ready(name, folder, environment), f"{command[0]}: see {folder}")
        yield environment


def program(name):
    """A daemon's path: Debian keeps daemons where a user's PATH does not reach."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def ready(name, folder, environment):
    if name == "munged":
        return (folder / "munge.socket").exists()
    command = ["scontrol", "ping"] if name == "slurmctld" else ["sinfo", "--noheader", "--format=%T"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True).stdout
    return "UP" in said if name == "slurmctld" else said.strip() in ("idle", "mixed")


def stop(daemon):
    daemon.terminate()
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.2)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
