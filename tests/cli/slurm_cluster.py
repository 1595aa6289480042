"""A Slurm cluster of two nodes on this machine, in a folder of its own, while a test runs."""

import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
NODES = ("a", "b")
CONF = """ClusterName=tidegauge
SlurmctldHost={host}
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool_%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd_%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd_%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmdTimeout=5
SlurmctldTimeout=5
KillWait=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=a NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=3000
NodeName=b NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=3000
PartitionName=main Nodes=a,b Default=YES MaxTime=INFINITE State=UP
"""


def why_not():
    """Why there can be no cluster here; empty: there can."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if not shutil.which(name, path=path)]
    return f"not installed: {', '.join(missing)}" if missing else ""


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def environ_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


class Cluster:
    """Daemons in the foreground, ended with the process that began them."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="tidegauge_slurm_")
        self.folder = pathlib.Path(self._folder.name)
        self.folder.chmod(0o755)
        self.daemons = {}
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH"))}
        self.environment |= {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        (self.folder / "state").mkdir()
        for node in NODES:
            (self.folder / f"spool_{node}").mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        (self.folder / "slurm.conf").write_text(
            CONF.format(folder=self.folder, host=socket.gethostname(), ports=free_ports(3)))
        try:
            self.begin()
        except BaseException:
            self.close()
            raise

    def begin(self):
        files = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munged.pid", "log-file": "munged.log",
                 "seed-file": "munged.seed"}
        self.start("munged", "munged", "--foreground", "--force", *[f"--{name}={self.folder / file}" for name, file in files.items()])
        self.wait("munged's socket", lambda: (self.folder / "munge.sock").exists())
        self.start("slurmctld", "slurmctld", "-D", "-c")
        for node in NODES:
            self.start_node(node)
        self.wait("two idle nodes", lambda: self.states() == {"a": "idle", "b": "idle"})

    def start(self, name, *command):
        with open(self.folder / f"{name}.out", "ab") as out:
            self.daemons[name] = subprocess.Popen(command, env=self.environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                                  preexec_fn=die_with_parent)

    def start_node(self, node):
        self.start(f"slurmd_{node}", "slurmd", "-D", "-N", node)

    def wait(self, what, holds, seconds=60):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                logs = "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in self.folder.glob("*.log"))
                raise TimeoutError(f"waited {seconds} s for {what}\n{logs}")
            time.sleep(0.05)

    def ask(self, *command):
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False).stdout

    def states(self):
        return dict(line.split() for line in self.ask("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines())

    def jobs(self):
        return self.ask("squeue", "--noheader", "--array", "--format=%K %T %N").splitlines()

    def processes(self, **wanted):
        """Processes of jobs whose environment has these values."""
        pairs = [f"{name}={value}".encode() for name, value in wanted.items()]
        pairs.append(f"SLURM_CONF={self.folder}/slurm.conf".encode())
        numbers = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        return [pid for pid in numbers if b"SLURM_JOB_ID" in b"\0".join(environ_of(pid)) and set(pairs) <= set(environ_of(pid))]

    def kill_node(self, node):
        """As if the power went: the daemon, the jobs' processes, and what watches over them."""
        self.daemons[f"slurmd_{node}"].kill()
        self.daemons.pop(f"slurmd_{node}").wait()
        for pid in self.processes(SLURMD_NODENAME=node):
            parent = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
            for one in (parent, pid):
                if one > 1:
                    os.kill(one, signal.SIGKILL)

    def close(self):
        if "slurmctld" in self.daemons:
            self.ask("scancel", "--user=root", "--full")
            deadline = time.monotonic() + 10
            while self.jobs() and time.monotonic() < deadline:
                time.sleep(0.1)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._folder.cleanup()
