/** P11: loops over guest memory through a view, beside the same loops over a plain Uint8Array. */
import { Kvm } from '../../index.ts';
import type { BenchContext } from './context.ts';
import { measure } from './context.ts';
import { goals } from './goals.ts';
import { ratioRow } from './report.ts';
import { pooled } from './stats.ts';

const size = 256 * 1024;
const kib = size / 1024;

/** The results of the loops, so that none of them can be optimised away. */
const sink = { sum: 0 };

function read(bytes: Uint8Array): void {
  let sum = 0;
  for (let index = 0; index < bytes.length; index++) sum += bytes[index]!;
  sink.sum += sum;
}

function write(bytes: Uint8Array): void {
  for (let index = 0; index < bytes.length; index++) bytes[index] = index;
  sink.sum += bytes[4711]!;
}

/** One function serves all three arrays, as a program's own helper would: V8 must not see a difference. */
const loops = { 'view read': read, 'view written': write } as const;

/** @param suffix - says in the report under which circumstances */
export async function measureMemoryView(context: BenchContext, suffix = ''): Promise<void> {
  const kvm = new Kvm();
  const vm = kvm.createVm();
  try {
    vm.memory.map({ guestAddress: 0, size });
    const arrays = {
      plain: new Uint8Array(size),
      'plain again': new Uint8Array(size),
      view: vm.memory.view(0, size),
    };
    for (const [exit, loop] of Object.entries(loops)) {
      const modes = Object.entries(arrays).map(([name, bytes]) => ({
        name,
        block() {
          const start = performance.now();
          loop(bytes);
          return ((performance.now() - start) * 1e6) / kib;
        },
      }));
      const samples = await measure(context, `guest memory, ${exit}${suffix}`, modes);
      context.add(
        ratioRow({
          id: 'P11',
          lane: `view${suffix}`,
          exit,
          peer: 'Uint8Array',
          per: 'KiB',
          samples: samples.get('view')!,
          peerSamples: pooled(samples.get('plain')!, samples.get('plain again')!),
          goal: goals.P11,
        }),
      );
    }
  } finally {
    vm.close();
    kvm.close();
  }
}

/** Detaches a buffer, which changes how V8 compiles typed-array accesses in this isolate for good. */
export function detachABuffer(): void {
  const buffer = new ArrayBuffer(64);
  structuredClone(buffer, { transfer: [buffer] });
}
