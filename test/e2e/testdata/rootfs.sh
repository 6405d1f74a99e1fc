#!/bin/sh
# Makes the root file system of the container, once: rootfs.sh CACHE. In a mount namespace of its own.
set -eu
cache=$1
mkdir -p "$cache/mount"
mount -t tmpfs -o size=2g,mode=755 e2e "$cache/mount" # dpkg's fsyncs cost nothing here
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps bookworm "$cache/mount/rootfs"
rm -rf "$cache/mount/rootfs/var/cache/apt/archives" "$cache/mount/rootfs/var/lib/apt/lists"
tar -C "$cache/mount/rootfs" -cf "$cache/rootfs.tar.new" .
mv "$cache/rootfs.tar.new" "$cache/rootfs.tar"
