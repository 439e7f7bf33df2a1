// A Linux console on your terminal: the guest's serial port is a Node stream. Ctrl-] ends it.
import { Machine } from 'vmhatch';

const CTRL_BRACKET = 0x1d;
const { stdin, stdout } = process;
const [initrd, kernel] = process.argv.slice(2);
if (initrd === undefined) {
  console.error('Usage: linux-console.ts INITRD [KERNEL]');
  console.error('In a clone node scripts/initrd.mjs and node scripts/kernel.mjs make them.');
  process.exit(2);
}

// Without a kernel the one of the package vmhatch-kernel-x64 is booted.
await using machine = await Machine.create({ cpus: 2, memory: '512MiB', initrd, kernel });

// Keys go to the guest as they are typed, Ctrl-C too; the guest echoes what it wants to.
if (stdin.isTTY) stdin.setRawMode(true);
stdin.on('data', (keys: Buffer) => {
  if (keys.includes(CTRL_BRACKET)) void machine.stop();
});
stdin.pipe(machine.console).pipe(stdout);

await machine.start();
const end = await machine.exited;
if (stdin.isTTY) stdin.setRawMode(false);
stdin.destroy();
console.log(`\n${end.reason}${end.reason === 'panic' ? `: ${end.message ?? ''}` : ''}`);
