/** Closing while handlers, threads, Workers, windows and moved buffers are alive. */
import test from 'ava';

import { expectEnd, hasKvm } from '../helpers/child-program.ts';

const ways = ['vm.close()', 'vcpu.close()', 'vcpu.close() twice, then vm.close() twice'];
const lanes = ['run', 'runSliced', 'runInBackground'];
const handlers = [
  'port write',
  'port read',
  'memory read',
  'device write',
  'posted device write',
  'device read',
  'output',
];

function lines(stdout: string): string[] {
  return stdout.trimEnd().split('\n').toSorted();
}

function allClosed(runs: readonly string[]): string[] {
  return runs.map((run) => `${run}: ERR_KVM_CLOSED`).toSorted();
}

test.serial('a run ends with ERR_KVM_CLOSED when a handler or device closes its machine', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['close', 'in handlers'], 0);
  const runs = ways.flatMap((way) =>
    lanes.flatMap((lane) => handlers.map((handler) => `${way} in ${lane}, ${handler}`)),
  );
  t.deepEqual(lines(stdout), allClosed(runs));
});

test.serial('a run ends with ERR_KVM_CLOSED when the answer comes after the close', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['close', 'while answering'], 0);
  const runs = ways.flatMap((way) =>
    ['handler', 'device'].map((kind) => `${way} while a ${kind} is awaited`),
  );
  t.deepEqual(lines(stdout), allClosed(runs));
});

test.serial('a run in turns or on a thread ends with ERR_KVM_CLOSED', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['close', 'while a thread runs'], 0);
  const runs = ways.flatMap((way) =>
    ['runSliced', 'runInBackground'].flatMap((lane) =>
      ['spin', 'pio-out-loop'].map((guest) => `${way} beside ${lane}, ${guest}`),
    ),
  );
  t.deepEqual(lines(stdout), allClosed(runs));
});

test.serial('a run in a Worker ends with ERR_KVM_CLOSED', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['close', 'while a Worker runs'], 0);
  const runs = ['spin', 'handler', 'js-device', 'rust-device'].map(
    (kind) => `vm.close() beside a Worker, ${kind}`,
  );
  t.deepEqual(lines(stdout), allClosed(runs));
});

test.serial('a buffer that was moved away from its window reads zeros after the close', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['close', 'transferred buffers'], 0);
  const moves = 'transfer' in ArrayBuffer.prototype;
  t.is(stdout, moves ? 'nothing of others\nzeros\n' : 'nothing of others\n');
});
