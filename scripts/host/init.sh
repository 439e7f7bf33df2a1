#!/bin/busybox sh
# The first process of the emulated host, run by busybox: mounts the machine's root, runs one job in it, and reports
# over ports of virtio-serial. job.mjs writes what arrives on port 3.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in $(cat /modules/order); do insmod "/modules/$module"; done

# A port's node appears when the device has told its name, its reader may come later still.
until [ -c /dev/vport?p1 ] && [ -c /dev/vport?p2 ] && [ -c /dev/vport?p3 ]; do usleep 1000; done
port=$(echo /dev/vport?p1)
port=${port%1}
exec 3<>"${port}3"
until read -r length <&3; do usleep 1000; done
dd bs="$length" count=1 iflag=fullblock of=/job <&3 2>/dev/null

fail() {
  echo "fail $*" >&3
  sleep 60
}

# Sets `libraries`, `tty`, `end` and `rows` and `columns`, and the functions `keep` and `job`.
. /job

# The root of a host whose processor is not the machine's: the folders of programs are its own, all others the machine's.
lay() {
  mount -t tmpfs tmpfs /host
  mkdir -p /host/usr/bin /host/usr/lib/aarch64-linux-gnu
  mount --bind /bin /host/usr/bin
  mount --bind "$libraries" /host/usr/lib/aarch64-linux-gnu
  ln -s aarch64-linux-gnu/ld-linux-aarch64.so.1 /host/usr/lib
  ln -s usr/bin /host/bin
  ln -s usr/bin /host/sbin
  ln -s usr/lib /host/lib
  ln -s bin /host/usr/sbin
  for path in /under/* /under/.[!.]* /under/usr/*; do
    name=${path#/under}
    case ${name#/usr} in
      '' | /bin | /sbin | /lib | /lib32 | /lib64 | /libx32 | /libexec) continue ;;
    esac
    if [ -L "$path" ]; then
      cp -P "$path" "/host$name"
    elif [ -d "$path" ]; then
      mkdir "/host$name" && mount --bind "$path" "/host$name"
    elif [ -f "$path" ]; then
      : >"/host$name" && mount --bind "$path" "/host$name"
    fi
  done
}

mkdir /host /under
# The machine's root, which no mount below hides.
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose host /under ||
  fail "the machine's root could not be mounted"
[ -c /dev/kvm ] || fail "its kernel has no /dev/kvm"
if [ -n "$libraries" ]; then
  lay
else
  mount --bind /under /host
fi
mount -t proc proc /host/proc
mount -t sysfs sys /host/sys
mount -t cgroup2 cgroup2 /host/sys/fs/cgroup
mount -t devtmpfs dev /host/dev
mkdir -p /host/dev/pts /host/dev/shm
mount -t devpts -o ptmxmode=666 pts /host/dev/pts
for folder in dev/shm tmp run; do mount -t tmpfs -o mode=1777 tmpfs "/host/$folder"; done
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
hostname emulated-host
ip link set lo up
ulimit -Hn 1048576

keep

# Whoever started this host may end without a word: then nobody is on the other side of port 3.
(
  while read -r word first second <&3; do
    [ "$word" = size ] && stty -F /dev/hvc0 rows "$first" cols "$second"
  done
  poweroff -f
) &
listener=$!

mkfifo /out /err
cat /out >"${port}1" &
output=$!
cat /err >"${port}2" &
errors=$!
echo up >&3
# In the foreground: a shell lets its background jobs ignore SIGINT.
if [ "$tty" = yes ]; then
  : >/out 2>/err
  # A terminal that nobody has open forgets its size.
  exec 4<>/dev/hvc0
  stty rows "$rows" cols "$columns" <&4
  (job 3>&-) <&4 >&4 2>&4 4>&-
else
  (job 3>&-) </dev/null >/out 2>/err
fi
status=$?

# What the job left running ends with it, and what they all wrote goes out before the end is told.
while kill -0 $output 2>/dev/null || kill -0 $errors 2>/dev/null; do
  for process in /proc/[0-9]*; do
    process=${process#/proc/}
    case $process in
      1 | "$listener" | "$output" | "$errors") ;;
      *) kill -9 "$process" 2>/dev/null ;;
    esac
  done
  usleep 5000
done
sync
printf "$end" >"${port}1"
printf "$end" >"${port}2"
[ "$tty" = yes ] && printf "$end" >/dev/hvc0
echo "exit $status" >&3
sleep 60
