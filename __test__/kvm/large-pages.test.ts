// Guests whose page tables have pages of 1 GiB, on memory that reaches so far.
import test from 'ava';

import { CpuidTable } from '../../index.ts';
import { hostModule } from '../helpers/host-module.ts';
import { boot, exitOf, openKvm } from '../helpers/machine.ts';

/** The page-directory pointers of helpers/guests.ts. */
const PDPT = 0x6000;
const PRESENT_WRITABLE = 3n;
const LARGE = 0x80n;
const GiB = 2 ** 30;

test('a page of 1 GiB maps the first GiB, another one maps it once more', (t) => {
  const table = new CpuidTable(openKvm(t).getSupportedCpuid());
  if (!table.feature('pdpe1gb') || hostModule() === 'pvm') {
    t.log('skipped: this host gives its guests no pages of 1 GiB');
    t.pass();
    return;
  }
  const { vm, vcpu } = boot(t, 'long-mode-hello');
  vcpu.setCpuid2(table);
  // What is there is mapped at 0, as before, and a second time at 5 GiB, from where the guest runs.
  for (const gib of [0, 5]) vm.memory.writeBigUint64(PDPT + gib * 8, PRESENT_WRITABLE | LARGE);
  vcpu.setRegs({ rip: 5 * GiB + 0x1000 });
  let text = '';
  exitOf(vcpu.run({ ioOut: (exit) => void (text += String.fromCharCode(exit.value)) }), 'hlt');
  t.is(text, 'Hello from 64 bits\n');
  t.true(vcpu.regs.rip > 5n * BigInt(GiB));
  t.is(vcpu.translateGva(BigInt(5 * GiB + 0x1234))?.physicalAddress, 0x1234);
});
