# What the first process of the minimal initrd goes on with, in busybox's shell, once init.c has mounted all there is.
# Words of the kernel's command line that the kernel does not know arrive as variables:
#   vmhatch_run="COMMAND"   runs this instead of an interactive shell, and says its exit status
#   vmhatch_end=WORD        what follows: poweroff (if nothing is said), reboot, halt or panic
# Programs are applets of busybox and need no links; what the shell can do itself saves a process.
export PATH=/bin

read -r name </proc/sys/kernel/hostname
[ "$name" = '(none)' ] && echo vmhatch >/proc/sys/kernel/hostname
for module in /modules/*.ko; do
  [ -f "$module" ] && insmod "$module"
done

read -r release </proc/sys/kernel/osrelease
read -r _ memory _ </proc/meminfo
read -r online </sys/devices/system/cpu/online
cpus=0
IFS=,
for range in $online; do
  cpus=$((cpus + ${range#*-} - ${range%-*} + 1))
done
unset IFS
echo "vmhatch: Linux $release, CPUs: $cpus, memory: $((memory / 1024)) MiB. Type exit or poweroff to end."

# poweroff, reboot and halt send these signals to the first process.
end=${vmhatch_end:-poweroff}
trap end=poweroff USR2
trap end=reboot TERM
trap end=halt USR1

# In the background, because a signal ends a wait and nothing else. The shell wants a terminal of its own, for job
# control; it is the one that /dev/console stands for.
if [ -n "$vmhatch_run" ]; then
  sh -c "$vmhatch_run" </dev/console &
  wait $!
  echo "vmhatch: status $?"
else
  setsid cttyhack sh </dev/console &
  wait $!
fi

sync
case $end in
  panic) echo c >/proc/sysrq-trigger ;;
  reboot | halt) "$end" -f ;;
  *) poweroff -f ;;
esac
