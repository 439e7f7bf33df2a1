// A device in JavaScript that Linux uses: ACPI tells where it is, a program in the guest reads it through /dev/mem and
// sleeps until it interrupts (by UIO, Linux's way to let programs be drivers).
import { Machine, type Device } from 'vmhatch';

const [initrd, kernel] = process.argv.slice(2);
if (initrd === undefined) {
  console.error('Usage: platform-device.ts INITRD [KERNEL]');
  console.error('In a clone node scripts/initrd.mjs and node scripts/kernel.mjs make them.');
  process.exit(2);
}
const mmio = { base: 0xd000_2000, length: 0x1000 };
let celsius = 20;

/** A thermometer: a write asks it to measure, an interrupt says that it has, a read gives the value. */
const thermometer: Device = {
  read: (offset) => (offset === 0 ? celsius : 0),
  write() {
    setTimeout(() => {
      celsius += 1;
      machine.interrupt(5).raise();
    }, 20);
  },
};

/** What is typed at the guest's shell. */
const program = `
cd /sys/bus/platform/devices/VMHT0001:00
echo uio_pdrv_genirq >driver_override; echo VMHT0001:00 >/sys/bus/platform/drivers_probe
exec 3<>/dev/uio0 4>/dev/ttyS1; stty -F /dev/ttyS1 -opost
for i in 1 2 3; do
  printf '\\1\\0\\0\\0' >&3; devmem ${mmio.base} 32 1; dd bs=4 count=1 <&3 >/dev/null 2>&1
  echo "the guest reads $(($(devmem ${mmio.base}))) degrees" >&4
done
poweroff -f
`;

await using machine = await Machine.create({
  initrd,
  kernel,
  console2: true,
  devices: [{ device: thermometer, mmio, interrupt: 5, acpi: { name: 'THRM', hid: 'VMHT0001' } }],
});
machine.console2?.pipe(process.stdout);
machine.console.write(program);
await machine.start();
console.log((await machine.exited).reason);
