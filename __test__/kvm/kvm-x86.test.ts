// What KVM says about the processors of x86_64: CPUID, and MSRs of features.
import test from 'ava';

import { KvmError } from '../../index.ts';
import { openKvm } from '../helpers/machine.ts';

test('the supported CPUID begins with leaf 0', (t) => {
  const leaves = openKvm(t).getSupportedCpuid();
  const first = leaves.find((leaf) => leaf.function === 0)!;
  t.true(first.eax >= 1);
  t.deepEqual(Object.keys(first), ['function', 'index', 'flags', 'eax', 'ebx', 'ecx', 'edx']);
  t.truthy(leaves.find((leaf) => leaf.function === 0x4000_0000));
});

test('the emulated CPUID is a list', (t) => {
  t.true(Array.isArray(openKvm(t).getEmulatedCpuid()));
});

test('the lists of MSRs have the time stamp counter, and features', (t) => {
  const kvm = openKvm(t);
  const IA32_TIME_STAMP_COUNTER = 0x10;
  t.true(kvm.getMsrIndexList().includes(IA32_TIME_STAMP_COUNTER));
  t.true(kvm.getMsrFeatureIndexList().length > 0);
});

test('feature MSRs come in the order asked for', (t) => {
  const kvm = openKvm(t);
  const indices = kvm.getMsrFeatureIndexList().slice(0, 3).toReversed();
  const entries = kvm.getMsrs(indices);
  t.deepEqual(
    entries.map((entry) => entry.index),
    indices,
  );
  for (const entry of entries) t.is(typeof entry.data, 'bigint');
});

test('an MSR that the host refuses is named', (t) => {
  const kvm = openKvm(t);
  const [good] = kvm.getMsrFeatureIndexList();
  const error = t.throws<KvmError>(() => kvm.getMsrs([good!, 0xdead_beef]), {
    instanceOf: KvmError,
    code: 'ERR_KVM_IOCTL',
    message: /0xdeadbeef/,
  });
  t.is(error?.syscall, 'KVM_GET_MSRS');
  t.is(error?.errno, 22);
});
