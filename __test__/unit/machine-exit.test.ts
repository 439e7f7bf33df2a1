/** What the end of a vCPU's run means for its machine. */
import test from 'ava';

import type { RunResult, Vcpu } from '../../index.ts';
import { panicMessage } from '../../lib/machine/exit.ts';
import { endOf } from '../../lib/machine/run-end.ts';

test('what a kernel that panicked printed about it', (t) => {
  for (const [text, message] of [
    ['', undefined],
    ['Kernel panic', undefined],
    ['kernel panic - not syncing: x', undefined],
    ['Kernel panic - not syncing: VFS: Unable to mount root fs\n', 'VFS: Unable to mount root fs'],
    [
      '[    0.5] Kernel panic - not syncing: Attempted to kill init!\r\n[    0.6] CPU: 0',
      'Attempted to kill init!',
    ],
    ['Kernel panic - not syncing: cut of', 'cut of'],
    ['Kernel panic - not syncing: \nnext', ''],
    ['Kernel panic - not syncing: first\nKernel panic - not syncing: second', 'first'],
  ] as const) {
    t.is(panicMessage(text), message, JSON.stringify(text));
  }
});

const vcpu = { id: 3 } as Vcpu;

test('devices end a machine as they are meant to', (t) => {
  for (const [device, end] of [
    ['acpi-sleep', { reason: 'poweroff' }],
    ['acpi-reset', { reason: 'reset' }],
    ['i8042', { reason: 'reset' }],
    ['pvpanic', { reason: 'panic', message: undefined }],
    ['isa-debug-exit', { reason: 'exit', code: 7 }],
  ] as const) {
    t.deepEqual(endOf(vcpu, { reason: 'device', device, code: 7 }), end);
  }
});

test('an exit that no machine goes on from is an error that says which', (t) => {
  const exit = { kind: 'failEntry', hardwareReason: 0x8000_0021n, cpu: 1 };
  const end = endOf(vcpu, { reason: 'exit', exit } as unknown as RunResult);
  t.is(end.reason, 'error');
  if (end.reason !== 'error') return;
  t.like(end.error, {
    code: 'ERR_KVM_GUEST',
    message: 'vCPU 3 cannot go on: failEntry hardwareReason=0x80000021 cpu=1',
  });
});

test('a shutdown is a triple fault, of the vCPU that it happened on', (t) => {
  const end = endOf(vcpu, { reason: 'exit', exit: { kind: 'shutdown' } });
  t.deepEqual(end, { reason: 'tripleFault', vcpu: 3 });
});
