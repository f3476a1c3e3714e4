#!/usr/bin/env bash
# Ends the daemons that start_slurm.sh DIR started, and the jobs they run. DIR and its logs stay.
set -euo pipefail

[ $# = 1 ] || { echo "usage: stop_slurm.sh DIR" >&2; exit 1; }
dir=$1
export SLURM_CONF="$dir/slurm.conf"

if [ -e "$dir/slurmctld.pid" ]; then
    timeout 10 scancel --quiet --full --user="$(id -un)" 2> /dev/null || true
    for _ in $(seq 50); do
        [ -n "$(timeout 5 squeue -h 2> /dev/null)" ] || break
        sleep 0.2
    done
fi
for daemon in slurmd slurmctld munged; do
    [ -s "$dir/$daemon.pid" ] || continue
    pid=$(cat "$dir/$daemon.pid")
    # A pid file can outlive its process, and the number can have gone to another one.
    [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = "$daemon" ] || continue
    kill "$pid"
    for _ in $(seq 50); do
        [ -d "/proc/$pid" ] || break
        sleep 0.1
    done
    [ ! -d "/proc/$pid" ] || kill -KILL "$pid"
done
