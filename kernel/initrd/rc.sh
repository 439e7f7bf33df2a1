# What the first process of the minimal initrd, init.c, starts once all is mounted: a script for busybox's shell.
# Words of the kernel's command line that the kernel does not know arrive as variables:
#   vmhatch_run="COMMAND"   runs this instead of an interactive shell, and says its exit status
#   vmhatch_end=WORD        what follows: poweroff (if nothing is said), reboot, halt or panic
# Words with a dot do not, and are looked for:
#   vmhatch.rows=R vmhatch.columns=C   the size of the terminal that the console leads to, which a serial line does not tell
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

read -r words </proc/cmdline
for word in $words; do
  case $word in
    vmhatch.rows=* | vmhatch.columns=*)
      word=${word#vmhatch.}
      size="$size ${word%%=*} ${word#*=}"
      ;;
  esac
done
[ -n "$size" ] && stty $size

# The shell wants a terminal of its own, for job control: the one that /dev/console stands for.
if [ -n "$vmhatch_run" ]; then
  sh -c "$vmhatch_run"
  echo "vmhatch: status $?"
else
  setsid cttyhack sh
fi

# The end of this script is the end of the machine: init.c powers it off.
sync
case $vmhatch_end in
  panic) echo c >/proc/sysrq-trigger ;;
  reboot | halt) "$vmhatch_end" -f ;;
esac
