// Boots Linux, runs one command in it, prints what that prints and nothing else, and powers it off.
import { Machine } from 'vmhatch';

const [initrd, command = 'uname -a', kernel] = process.argv.slice(2);
if (initrd === undefined) {
  console.error('Usage: linux-command.ts INITRD [COMMAND [KERNEL]]');
  console.error('In a clone node scripts/initrd.mjs and node scripts/kernel.mjs make them.');
  process.exit(2);
}

// Two serial ports: the shell is at the first, the command prints to the second.
await using machine = await Machine.create({ initrd, kernel, console2: true });
machine.console2?.pipe(process.stdout);
// Typed now, read when there is a shell. -opost: lines end with \n, not with \r\n as on a terminal.
machine.console.write(`stty -F /dev/ttyS1 -opost; (${command}) > /dev/ttyS1 2>&1; poweroff -f\n`);
await machine.start();
const { reason, consoleTail } = await machine.exited;
if (reason !== 'poweroff') throw new Error(`The guest ended by ${reason}:\n${consoleTail}`);
