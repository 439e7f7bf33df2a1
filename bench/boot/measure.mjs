// The measuring half of `npm run bench -- boot`: runs where KVM runs Linux, which may be the emulated host. It prints
// one line of JSON, and its progress on standard error.
//
//   node bench/boot/measure.mjs KERNEL INITRD QEMU ROUNDS
//   node bench/boot/measure.mjs KERNEL INITRD QEMU once-vmhatch|once-qemu     one boot, to be looked at from outside
import { release } from 'node:os';
import { bootQemu, bootVmhatch } from './guest.mjs';
import { countExits, countIoctls, mountCounters } from './counts.mjs';

const [kernel = '', initrd = '', qemu = '', what = ''] = process.argv.slice(2);
const images = { kernel, initrd, qemu };

if (what === 'once-vmhatch') {
  await bootVmhatch(images);
} else if (what === 'once-qemu') {
  await bootQemu(images);
} else {
  process.stdout.write(`${JSON.stringify(await measure(Number(what)))}\n`);
}

/** @param {number} rounds */
async function measure(rounds) {
  const say = (/** @type {string} */ text) => process.stderr.write(`${text}\n`);
  say('warming up');
  await bootVmhatch(images);
  await bootQemu(images);
  const result = { kernel: release(), node: process.version, vmhatch: [], qemu: [], create: [] };
  for (let round = 0; round < rounds; round++) {
    // Who begins changes from round to round.
    const order = round % 2 === 0 ? ['vmhatch', 'qemu'] : ['qemu', 'vmhatch'];
    for (const who of order) {
      const boot = who === 'qemu' ? await bootQemu(images) : await bootVmhatch(images);
      result[who].push(boot.totalMs);
      if (boot.createMs !== undefined) result.create.push(boot.createMs);
    }
    say(`boot ${round + 1}/${rounds}: vmhatch ${ms(result.vmhatch.at(-1))}, QEMU ${ms(result.qemu.at(-1))}`);
  }
  say('counting');
  if (mountCounters()) {
    result.exits = {
      vmhatch: await countExits((onMark) => bootVmhatch(images, onMark)),
      qemu: await countExits((onMark) => bootQemu(images, onMark)),
    };
  }
  const once = (/** @type {string} */ name) =>
    countIoctls(process.execPath, [import.meta.filename, kernel, initrd, qemu, name]);
  result.ioctls = { vmhatch: once('once-vmhatch'), qemu: once('once-qemu') };
  return result;
}

/** @param {number} milliseconds */
function ms(milliseconds) {
  return `${milliseconds.toFixed(0)} ms`;
}
