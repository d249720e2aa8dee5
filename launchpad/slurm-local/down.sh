#!/bin/bash
# Stop what up.sh has started, by its process ids, and remove its folder.
set -euo pipefail
folder=${SLURM_LOCAL_DIR:-/tmp/lzc-slurm-local}

fail() { echo "slurm-local: $*" >&2; exit 2; }

[ -e "$folder" ] || exit 0
[ "$(id -u)" = 0 ] || fail "needs root: SLURM's daemons run as root"
[ -e "$folder/.slurm-local" ] || fail "$folder is not one of up.sh"

# jobs first: without their daemon nobody would end them
export SLURM_CONF=$folder/slurm.conf
if timeout 10 scancel --signal=KILL --full --user=root 2>/dev/null; then
    timeout 10 scancel --user=root 2>/dev/null || true
    for _ in $(seq 100); do
        timeout 5 squeue -h 2>/dev/null | grep -q . || break
        sleep 0.1
    done
fi

for daemon in slurmd slurmctld munged; do
    pid=$(cat "$folder/$daemon.pid" 2>/dev/null) || continue
    # a process id may have gone to another program since
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$daemon" ] || continue
    kill "$pid"
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
done
rm -rf "$folder"
