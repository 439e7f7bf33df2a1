/**
 * P7: from nothing to a guest's first exit, and back to nothing. Alternately natively and by the public classes, with
 * this thread on one CPU: left free, creation has two modes that a ratio of medians could not be trusted across.
 */
import { setImmediate } from 'node:timers/promises';

import { Kvm } from '../../index.ts';
import type { BenchContext } from './context.ts';
import { guestLayout } from './bench-guest.ts';
import { goals } from './goals.ts';
import { nativeLifetime, pinned } from './modes/native.ts';
import { ratioRow } from './report.ts';

interface Lifetime {
  readonly createNs: number;
  readonly disposeNs: number;
}

function lifetime(program: Uint8Array, guestAddress: number): Lifetime {
  const start = performance.now();
  const kvm = new Kvm();
  const vm = kvm.createVm();
  vm.memory.map({ guestAddress, size: 0x1000 });
  vm.memory.write(guestAddress, program);
  const vcpu = vm.createVcpu();
  vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
  vcpu.setRegs({ rip: guestAddress, rflags: 2 });
  const end = vcpu.run();
  const firstExit = performance.now();
  vm.close();
  kvm.close();
  const closed = performance.now();
  if (end.reason !== 'exit') throw new Error(`the guest did not exit: ${end.reason}`);
  return { createNs: (firstExit - start) * 1e6, disposeNs: (closed - firstExit) * 1e6 };
}

const parts = {
  'create and dispose': ({ createNs, disposeNs }: Lifetime) => createNs + disposeNs,
  create: ({ createNs }: Lifetime) => createNs,
  dispose: ({ disposeNs }: Lifetime) => disposeNs,
} as const;

export async function measureLifecycle(context: BenchContext): Promise<void> {
  const { program, guestAddress } = guestLayout('pioOut');
  const own: Lifetime[] = [];
  const peer: Lifetime[] = [];
  const rounds = Math.max(Math.round(context.rounds / 2), 20);
  const warmUp = 10;
  await pinned(async () => {
    for (let round = -warmUp; round < rounds; round++) {
      if (context.signal?.aborted === true || (round >= 20 && performance.now() > context.deadline)) break;
      const first = (round & 1) === 0;
      const before = first ? nativeLifetime() : undefined;
      const mine = lifetime(program, guestAddress);
      const theirs = before ?? nativeLifetime();
      if (round >= 0) {
        own.push(mine);
        peer.push(theirs);
      }
      // Finalizers run between rounds, as they do in a program that has an event loop.
      await setImmediate();
      if ((round & 15) === 0) context.progress('create and dispose', round, rounds);
    }
  });
  for (const [exit, part] of Object.entries(parts)) {
    context.add(
      ratioRow({
        id: 'P7',
        lane: 'public classes',
        exit,
        peer: 'native',
        per: 'VM',
        samples: Float64Array.from(own, part),
        peerSamples: Float64Array.from(peer, part),
        // The goal is for the whole; its parts say where the time goes.
        goal: exit === 'create and dispose' ? goals.P7 : undefined,
        by: 'p25',
      }),
    );
  }
}
