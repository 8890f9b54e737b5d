# Starts the system below $1 as a machine of its own: its own processes and mounts, the network of this one.
# systemd counts what it starts in a group of processes of its own: $2, below the hierarchy named systemd or the only one there is.
set -eu
root=$1
if [ -d /sys/fs/cgroup/systemd ]; then
    group=/sys/fs/cgroup/systemd/$2
else
    group=/sys/fs/cgroup/$2
fi
mkdir -p "$group"
echo $$ >"$group/cgroup.procs"
# Everything in it ends with this process, and this process with the one that started it.
exec setpriv --pdeathsig KILL unshare --mount --pid --fork --uts --ipc --cgroup --kill-child sh -eu -c '
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
# The settings of the kernel are those of this machine: what starts in there must not write them.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount --rbind /sys "$root/sys"
mount -o remount,ro,bind "$root/sys"
if [ -d /sys/fs/cgroup/systemd ]; then
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd,xattr cgroup "$root/sys/fs/cgroup/systemd"
else
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
hostname keyfob-trial
exec chroot "$root" /usr/bin/env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --show-status=no --unit=multi-user.target
' sh "$root"
