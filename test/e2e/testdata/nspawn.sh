#!/bin/sh
# Boots a real systemd in a container and waits for its end: nspawn.sh ROOTFS.tar FOLDER
# FOLDER is /e2e in it; what is in FOLDER/unit is started there and powers it off at its end.
# To be run in mount and process namespaces of its own (unshare), so that nothing of it stays.
set -eu
tar=$1 folder=$2
root=$folder/root
mkdir -p "$root"
mount -t tmpfs -o size=2g,mode=755 e2e "$root" # a copy for this run, and no fsync to wait for
tar -C "$root" -xf "$tar"
cp "$folder/unit" "$root/etc/systemd/system/e2e.service"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../e2e.service "$root/etc/systemd/system/multi-user.target.wants/e2e.service"
# Seen by this namespace alone: the machine's own control groups stay as they are.
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /sys/fs/cgroup/campaignd-e2e
echo $$ >/sys/fs/cgroup/campaignd-e2e/cgroup.procs
exec systemd-nspawn --quiet --boot --register=no --keep-unit --console=pipe --bind="$folder/share:/e2e" -D "$root" </dev/null
