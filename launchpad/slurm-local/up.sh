#!/bin/bash
# Bring up a real SLURM of one node on this machine, for tests:
#
#     eval "$(launchpad/slurm-local/up.sh)"     # sbatch, squeue, scancel and `lzc launch` use it
#     launchpad/slurm-local/down.sh             # stop it, leave nothing
#
# Everything (munge's key, configuration, state, logs, process ids) is in one private folder, SLURM_LOCAL_DIR or
# /tmp/lzc-slurm-local; ports are free ones. Running it twice is the same as running it once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${SLURM_LOCAL_DIR:-/tmp/lzc-slurm-local}
PATH=$PATH:/usr/sbin:/sbin

fail() { echo "slurm-local: $*" >&2; exit 2; }

[ "$(id -u)" = 0 ] || fail "needs root: SLURM's daemons run as root"
for program in munged slurmctld slurmd sbatch; do
    command -v "$program" >/dev/null ||
        fail "$program is not installed: apt-get install -y --no-install-recommends slurm-wlm munge"
done
case $folder in /*) ;; *) fail "SLURM_LOCAL_DIR must be an absolute path: $folder" ;; esac

export SLURM_CONF=$folder/slurm.conf
answers() { [ -f "$SLURM_CONF" ] && timeout 5 sinfo -h -t idle,mix,alloc -o %n 2>/dev/null | grep -q .; }

if ! answers; then
    [ ! -e "$folder" ] || "$here/down.sh" # the rest of one that was killed
    mkdir -m 755 -p "$folder"
    mkdir -m 700 "$folder/state" "$folder/spool" "$folder/munge"
    touch "$folder/.slurm-local" # down.sh removes no other folder

    free_ports=$(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))')
    read -r controller_port node_port <<<"$free_ports"
    memory_mb=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
    for name in slurm.conf gres.conf; do
        sed -e "s|@FOLDER@|$folder|g" -e "s|@HOST@|$(hostname -s)|g" -e "s|@CPUS@|$(env -u OMP_NUM_THREADS nproc)|g" \
            -e "s|@MEMORY_MB@|$memory_mb|g" -e "s|@CONTROLLER_PORT@|$controller_port|g" \
            -e "s|@NODE_PORT@|$node_port|g" "$here/$name.in" >"$folder/$name"
    done

    (umask 077 && head -c 1024 /dev/urandom >"$folder/munge/munge.key")
    # --force: munged would rather not run as root, nor below /tmp
    munged --force --key-file "$folder/munge/munge.key" --socket "$folder/munge.socket" \
        --pid-file "$folder/munged.pid" --log-file "$folder/munge/munged.log" \
        --seed-file "$folder/munge/munged.seed" >"$folder/start.log" 2>&1 ||
        fail "munged does not start: $(tail -n 1 "$folder/start.log")"
    slurmctld >>"$folder/start.log" 2>&1 || fail "slurmctld does not start: $(tail -n 1 "$folder/start.log")"
    slurmd >>"$folder/start.log" 2>&1 || fail "slurmd does not start: $(tail -n 1 "$folder/start.log")"
    for _ in $(seq 200); do
        answers && break
        sleep 0.1
    done
    answers || fail "the node does not come up: see $folder/slurmctld.log and $folder/slurmd.log"
fi
echo "export SLURM_CONF=$SLURM_CONF"
