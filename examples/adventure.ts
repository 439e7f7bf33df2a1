// A text adventure over the serial port: the guest is crates/test-guests/guests/adventure.bin, listed in
// adventure.lst beside it; the terminal is this one. Ctrl-D, or the end of piped input, types `quit`; Ctrl-C stops.
import { readFileSync } from 'node:fs';
import { Kvm, Serial } from 'vmhatch';

const guest = new URL('../crates/test-guests/guests/adventure.bin', import.meta.url);
const CTRL_C = 3;
const CTRL_D = 4;

const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
vm.memory.write(0x1000, readFileSync(guest));
const serial = new Serial({ onOutput: (bytes) => void process.stdout.write(bytes) });
vm.io.attach({ base: 0x3f8, length: 8 }, serial);

const vcpu = vm.createVcpu();
vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
vcpu.setRegs({ rip: 0x1000, rflags: 2 });

const stop = new AbortController();
const { stdin } = process;
// The guest echoes what is typed. Ctrl-C is then a byte like any other; from elsewhere it is a signal.
if (stdin.isTTY) stdin.setRawMode(true);
process.once('SIGINT', () => stop.abort());
stdin.on('data', (typed: Buffer) => {
  if (typed.includes(CTRL_C)) stop.abort();
  else serial.input(typed.includes(CTRL_D) ? '\nquit\n' : typed);
});
stdin.on('end', () => serial.input('\nquit\n'));

try {
  await vcpu.runInBackground({}, { signal: stop.signal });
} catch (error) {
  if (!stop.signal.aborted) throw error;
  process.exitCode = 130;
  process.stdout.write('\n');
} finally {
  if (stdin.isTTY) stdin.setRawMode(false);
  stdin.destroy();
  serial.close();
  vm.close();
  kvm.close();
}
