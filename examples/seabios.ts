// A real firmware: SeaBIOS runs from the reset vector, and its debug log arrives through a JavaScript device.
import { existsSync, readFileSync } from 'node:fs';
import { Cmos, I8042, Kvm, type Device } from 'vmhatch';

const MIB = 2 ** 20;
const usual = ['/usr/share/seabios/bios-256k.bin', '/usr/share/seabios/bios.bin'];
const places = [process.argv[2] ?? process.env['VMHATCH_FIRMWARE'] ?? usual].flat();
const path = places.find((place) => existsSync(place));
if (path === undefined) {
  console.error(`No firmware at ${places.join(' or ')}: apt-get install seabios, or set VMHATCH_FIRMWARE.`);
  process.exit(2);
}
const bios = readFileSync(path);
// The PCI host bridge by which SeaBIOS knows QEMU's board: on others it does not print to port 0x402.
const bridge = Buffer.alloc(256);
bridge.writeUInt32LE(0x1237_8086, 0x00); // device and vendor: Intel's 82441FX
bridge.writeUInt32LE(0x0600_0002, 0x08); // class: host bridge
bridge.writeUInt32LE(0x1100_1af4, 0x2c); // subsystem: QEMU
let selected = 0;
const pci: Device = {
  write: (offset, value) => void (selected = offset === 0 ? value : selected),
  read(offset, size) {
    if (offset === 0) return selected;
    if (selected >>> 8 !== 0x80_0000) return 2 ** (8 * size) - 1; // other devices: none
    return bridge.readUIntLE((selected & 0xfc) + offset - 4, size);
  },
};

const kvm = new Kvm();
const vm = kvm.createVm();
vm.createIrqChip();
vm.createPit2({ speakerDummy: true });
vm.memory.map({ guestAddress: 0, size: 32 * MIB });
// The image ends at 4 GiB, where the CPU starts; its last 128 KiB lie below 1 MiB too, where they can be written.
const rom = vm.memory.map({ guestAddress: 2 ** 32 - bios.length, size: bios.length, readOnly: true });
vm.memory.write(rom.guestAddress, bios);
vm.memory.write(MIB - Math.min(bios.length, MIB / 8), bios.subarray(-MIB / 8));

const vcpu = vm.createVcpu();
vcpu.setCpuid2(kvm.getSupportedCpuid());
process.once('SIGINT', () => process.exit(130));
let log = '';
const debug: Device = {
  read: () => 0xe9, // somebody listens
  write(_offset, value) {
    process.stdout.write(String.fromCharCode(value));
    log += String.fromCharCode(value);
    if (/No bootable device.*\n$/.test(log)) vcpu.kickHandle.kick(); // it would try again in a minute
  },
};
vm.io.attach({ base: 0x402, length: 1 }, debug);
vm.io.attach({ base: 0xcf8, length: 8 }, pci);
vm.io.attach({ base: 0x60, length: 5 }, new I8042());
vm.io.attach({ base: 0x70, length: 2 }, new Cmos({ memorySize: 32 * MIB }));
const nothing = (): void => {}; // at the other ports and addresses: they read as all ones
const rest = { ioIn: nothing, ioOut: nothing, mmioRead: nothing, mmioWrite: nothing };
await vcpu.runSliced(rest, { timeoutMs: 60_000 });
vm.close();
kvm.close();
