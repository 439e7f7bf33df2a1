/** The package's JavaScript twice in one isolate, as test runners have it that load modules anew for each file. */
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import test, { type ExecutionContext } from 'ava';

import * as source from '../../index.ts';
import { OUTPUT, enter, load } from '../helpers/common-guests.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

type Package = typeof source;

const root = new URL('../../', import.meta.url);

/** The built package once more, with the same addon. */
async function secondCopy(t: ExecutionContext): Promise<Package> {
  const folder = temporaryFolder(t);
  cpSync(new URL('dist', root), join(folder, 'dist'), { recursive: true });
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ type: 'module', imports: { '#native': './native.cjs' } }),
  );
  const addon = JSON.stringify(new URL('native.cjs', root).pathname);
  writeFileSync(join(folder, 'native.cjs'), `module.exports = require(${addon});\n`);
  return (await import(pathToFileURL(join(folder, 'dist', 'index.js')).href)) as Package;
}

/** A guest that writes to a device of the copy's, on the background lane, until the device has had enough. */
function storm(t: ExecutionContext, copy: Package) {
  const vm = new copy.Kvm().createVm();
  t.teardown(() => vm.close());
  vm.memory.map({ guestAddress: 0, size: 0x10000 });
  load(vm, 'mmio-storm');
  const vcpu = vm.createVcpu();
  enter(vcpu, 'mmio-storm');
  const seen: number[] = [];
  vm.mmio.attach(
    { base: OUTPUT, length: 8 },
    {
      write(_offset, value) {
        seen.push(value);
        if (seen.length === 20) vcpu.kickHandle.kick();
      },
    },
  );
  return { seen, run: vcpu.runInBackground({}, { timeoutMs: 20_000 }) };
}

test('each copy has its devices and its runs, side by side', async (t) => {
  const first = storm(t, source);
  const copy = await secondCopy(t);
  t.not(copy.Kvm, source.Kvm);
  const second = storm(t, copy);
  const third = storm(t, source);
  for (const { run, seen } of [second, first, third]) {
    t.deepEqual(await run, { reason: 'kicked' });
    t.deepEqual(seen.slice(0, 20), [...Array.from({ length: 20 }).keys()]);
  }
  t.throws(() => new copy.Kvm({ path: '/dev/null' }), { instanceOf: copy.KvmError });
});
