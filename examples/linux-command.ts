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
await machine.start();

/** Reads on until the guest has printed `text`. */
async function until(text: string): Promise<void> {
  let seen = '';
  for await (const chunk of machine.console.iterator({ destroyOnReturn: false })) {
    seen += chunk;
    if (seen.includes(text)) return;
  }
  throw new Error(`The guest ended before it printed ${text}:\n${seen}`);
}

await until('# '); // the shell's prompt
// -opost: a line ends with \n, not with \r\n as on a terminal.
machine.console.write(`stty -F /dev/ttyS1 -opost; (${command}) > /dev/ttyS1 2>&1; poweroff -f\n`);
machine.console.resume();
const { reason } = await machine.exited;
if (reason !== 'poweroff') throw new Error(`The guest ended by ${reason}`);
