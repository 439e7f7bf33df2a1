import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { Cap, Kvm, KvmError } from '../../index.ts';
import { INDEX, runModule } from '../helpers/child.ts';
import { openKvm } from '../helpers/machine.ts';
import { PAGE } from '../helpers/page.ts';

test('the API has version 12', (t) => {
  t.is(openKvm(t).apiVersion, 12);
});

test('limits are those of a usable host', (t) => {
  const kvm = openKvm(t);
  t.true(kvm.getVcpuMmapSize() >= PAGE && kvm.getVcpuMmapSize() % PAGE === 0);
  t.true(kvm.getNrVcpus() >= 1);
  t.true(kvm.getMaxVcpus() >= kvm.getNrVcpus());
  t.true(kvm.getMaxVcpuId() >= kvm.getMaxVcpus());
  t.true(kvm.getNrMemslots() >= 32);
});

test('a capability is there or not, or has a value', (t) => {
  const kvm = openKvm(t);
  t.true(kvm.checkExtension(Cap.UserMemory));
  t.is(kvm.checkExtensionInt(Cap.UserMemory), 1);
  t.is(kvm.checkExtensionInt(Cap.NrMemslots), kvm.getNrMemslots());
  t.false(kvm.checkExtension(0xffff_ffff));
  t.is(kvm.checkExtensionInt(0xffff_ffff), 0);
  t.throws(() => kvm.checkExtension(-1), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => kvm.checkExtension('irqchip' as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('a machine of a type that does not exist is refused', (t) => {
  const error = t.throws<KvmError>(() => openKvm(t).createVm({ type: 0x7000_0000 }), {
    code: 'ERR_KVM_IOCTL',
  });
  t.is(error?.syscall, 'KVM_CREATE_VM');
});

test('closing is for good, quiet the second time, and spares the machines', (t) => {
  const kvm = new Kvm();
  const vm = kvm.createVm();
  t.teardown(() => vm.close());
  t.false(kvm.closed);
  kvm.close();
  kvm.close();
  t.true(kvm.closed);
  t.throws(() => kvm.apiVersion, { instanceOf: KvmError, code: 'ERR_KVM_CLOSED' });
  t.throws(() => kvm.createVm(), { code: 'ERR_KVM_CLOSED' });
  t.throws(() => kvm.getNrVcpus(), { code: 'ERR_KVM_CLOSED' });
  t.is(vm.createVcpu().id, 0);
});

test('`using` closes', (t) => {
  let kvm: Kvm;
  {
    using scoped = new Kvm();
    kvm = scoped;
    t.false(kvm.closed);
  }
  t.true(kvm.closed);
});

test('no device is ERR_KVM_UNAVAILABLE', (t) => {
  t.throws(() => new Kvm({ path: '/nonexistent' }), {
    instanceOf: KvmError,
    code: 'ERR_KVM_UNAVAILABLE',
    message: /\/nonexistent/,
  });
});

test('a device that is not KVM is ERR_KVM_API_VERSION', (t) => {
  t.throws(() => new Kvm({ path: '/dev/null' }), { code: 'ERR_KVM_API_VERSION', message: /\/dev\/null/ });
});

test('a path that is none is an argument error', (t) => {
  t.throws(() => new Kvm({ path: '' }), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => new Kvm({ path: '/dev/kvm\0' }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => new Kvm({ path: 12 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => new Kvm({ pth: '/dev/kvm' } as never), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /did you mean 'path'/,
  });
});

test('no permission is ERR_KVM_PERMISSION', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'kvm');
  writeFileSync(path, '', { mode: 0 });
  // Root may open anything: the child becomes nobody, after the addon is loaded.
  const { stdout, stderr } = await runModule(
    t,
    `import { Kvm } from ${INDEX};
    try { new Kvm({ path: '/nonexistent' }); } catch {}
    if (process.getuid() === 0) process.setuid(65534);
    try { new Kvm({ path: ${JSON.stringify(path)} }); } catch (error) { console.log(error.code, error.message); }`,
  );
  // Without the right to enter the folder, the answer is the same.
  t.regex(stdout, /^ERR_KVM_PERMISSION .*group/, stderr);
});
