#!/usr/bin/env bash
# Starts a real Slurm cluster of one node, for tests, inside a machine or container without systemd and without cgroups
# of its own. Needs root and the programs of Debian's `slurm-wlm` and `munge` (`--install` gets them with apt).
#
#   export SLURM_CONF="$(tests/slurm/start_slurm.sh [--install] DIR)"
#   sbatch --wait --array=0-3 --wrap 'hostname'
#   tests/slurm/stop_slurm.sh DIR
#
# All state, keys, sockets and logs lie in DIR, which must not exist or be empty; nothing under /etc, /var or /run is read
# or written, so a cluster that the machine may belong to is not disturbed. The only line on stdout is the path of
# slurm.conf. The partition is `debug`; the node has SLURM_TEST_CPUS CPUs (2), whatever the machine has.
set -euo pipefail
umask 022

die() { echo "start_slurm: $*" >&2; exit 1; }

install_packages() {
    command -v slurmctld > /dev/null && command -v slurmd > /dev/null && command -v munged > /dev/null && return
    command -v apt-get > /dev/null || die "slurmctld, slurmd or munged is missing, and there is no apt-get to install them"
    local policy=/usr/sbin/policy-rc.d made=no failed=no
    # policy-rc.d answering 101 (forbidden) keeps the packages from starting daemons of their own.
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' > "$policy"; chmod +x "$policy"; made=yes; }
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends slurm-wlm munge; } \
        >&2 || failed=yes
    [ "$made" = no ] || rm -f "$policy"
    [ "$failed" = no ] || die "apt-get could not install slurm-wlm and munge"
}

free_ports() {
    python3 - <<'PY'
import socket

held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in held))
PY
}

write_conf() {
    local dir=$1 node ctld_port slurmd_port memory_mb
    node=$(hostname -s)
    read -r ctld_port slurmd_port < <(free_ports)
    memory_mb=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
    cat > "$dir/slurm.conf" <<CONF
ClusterName=gristmill-test
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$ctld_port
SlurmdPort=$slurmd_port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
# Process tracking by parent, no binding, no accounting: nothing here asks for a cgroup or a database.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MailProg=/bin/true
SwitchType=switch/none
# CPUs are handed out, memory is not. config_overrides: the node may claim more than the machine has.
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
# A test waits for these: schedule at once, end a cancelled job in two seconds, forget it after five minutes.
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
KillWait=2
MinJobAge=300
NodeName=$node NodeAddr=127.0.0.1 CPUs=${SLURM_TEST_CPUS:-2} RealMemory=$memory_mb State=UNKNOWN
PartitionName=debug Nodes=$node Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
    # slurmd loads a cgroup plugin even if nothing uses it. Version 1's starts as it is; version 2's would ask a systemd that
    # is not there for a scope.
    [ "$(stat -fc %T /sys/fs/cgroup 2> /dev/null)" != cgroup2fs ] ||
        printf 'CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\nIgnoreSystemdOnFailure=yes\n' > "$dir/cgroup.conf"
}

start_munge() {
    local dir=$1
    mkdir -p "$dir/munge"
    (umask 077; head -c 1024 /dev/urandom > "$dir/munge/key")
    # --force: a temporary folder lies below /tmp, which everybody may write to; munged would refuse it.
    munged --force --num-threads=2 --key-file="$dir/munge/key" --socket="$dir/munge/socket" \
        --pid-file="$dir/munged.pid" --log-file="$dir/munged.log" --seed-file="$dir/munge/seed" 2>> "$dir/start.log"
}

wait_until_idle() {
    local dir=$1
    for _ in $(seq 150); do
        [ "$(SLURM_CONF="$dir/slurm.conf" sinfo -h -o %T 2> /dev/null)" = idle ] && return
        sleep 0.2
    done
    tail -n 20 "$dir"/*.log >&2
    die "the node was not idle after 30 seconds; the logs are above and in $dir"
}

install=no
[ "${1:-}" = --install ] && { install=yes; shift; }
[ $# = 1 ] || die "usage: start_slurm.sh [--install] DIR"
[ "$(id -u)" = 0 ] || die "needs root: slurmd starts jobs as the users who submit them"
mkdir -p "$1"
dir=$(cd "$1" && pwd)
[ -z "$(ls -A "$dir")" ] || die "$dir is not empty"
[ "$install" = no ] || install_packages
for program in munged slurmctld slurmd sbatch; do
    command -v "$program" > /dev/null || die "$program is not installed (Debian: slurm-wlm and munge; or use --install)"
done

mkdir -p "$dir/state" "$dir/spool"
write_conf "$dir"
trap '[ $? = 0 ] || "$(dirname "$0")/stop_slurm.sh" "$dir"' EXIT
start_munge "$dir"
slurmctld -c -f "$dir/slurm.conf" >> "$dir/start.log" 2>&1
slurmd -c -f "$dir/slurm.conf" >> "$dir/start.log" 2>&1
wait_until_idle "$dir"
echo "$dir/slurm.conf"
