/** `state`: what it costs to read and write a machine's state, beside the same ioctl and one empty native call. */
import { type BinaryStats, Kvm, type Vcpu, type Vm } from '../../index.ts';
import { native } from '../internal/native.ts';
import { type BenchContext, measure } from './context.ts';
import { goals } from './goals.ts';
import { ratioRow } from './report.ts';
import type { Mode } from './rounds.ts';

/** Accesses in a block: enough that reading the clock costs nothing. */
const perBlock = 50;
/** Blocks of the dirty log are long: it is 32 KiB each time. */
const perLongBlock = 10;
const callsPerBlock = 1000;

/** One thing that is measured, on a machine of its own. */
interface StateKind {
  /** The native control's name for it. */
  readonly kind: 'getRegs' | 'setRegs' | 'getSregs' | 'getMsrs' | 'dirtyLog' | 'dirtyRing' | 'stats';
  readonly title: string;
  /** What a program in C would make: native calls that the peer is given as well. */
  readonly calls: number;
  /** Whether the goal is meant for it, or it is reported only. */
  readonly judged: boolean;
  readonly times: number;
  readonly note?: string;
  /** Makes what is timed; `before` makes it ready, untimed, each time. */
  prepare(vm: Vm, setting: Setting): { once: () => unknown; before?: () => void };
}

type Setting = ReturnType<ReturnType<typeof native>['measureStateSetting']>;

/** A vCPU at the guest that writes pages. */
function writer(vm: Vm, setting: Setting): Vcpu {
  const size = setting.writerMemory;
  vm.memory.map({ guestAddress: 0, size, logDirtyPages: true });
  vm.memory.write(setting.writerAddress, setting.writer);
  const vcpu = vm.createVcpu();
  vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
  vcpu.setRegs({ rip: setting.writerAddress, rflags: 2 });
  return vcpu;
}

const kinds: readonly StateKind[] = [
  {
    kind: 'getRegs',
    title: 'registers read',
    calls: 1,
    judged: true,
    times: perBlock,
    prepare(vm, setting) {
      const vcpu = writer(vm, setting);
      // After a step of the guest, of one instruction or none, what the page holds is old.
      return { once: () => vcpu.getRegs(), before: () => vcpu.complete() };
    },
  },
  {
    kind: 'getRegs',
    title: 'registers read again',
    calls: 1,
    // The peer asks the kernel.
    judged: false,
    times: perBlock,
    note: 'no ioctl: they are in the shared page',
    prepare(vm, setting) {
      const vcpu = writer(vm, setting);
      return { once: () => vcpu.getRegs() };
    },
  },
  {
    kind: 'setRegs',
    title: 'registers written',
    calls: 1,
    judged: true,
    times: perBlock,
    prepare(vm, setting) {
      const vcpu = writer(vm, setting);
      const regs = vcpu.getRegs();
      return { once: () => vcpu.setRegs(regs) };
    },
  },
  {
    kind: 'getSregs',
    title: 'special registers read',
    calls: 1,
    judged: true,
    times: perBlock,
    prepare(vm, setting) {
      const vcpu = writer(vm, setting);
      return { once: () => vcpu.getSregs() };
    },
  },
  {
    kind: 'getMsrs',
    title: '8 MSRs read',
    calls: 1,
    judged: true,
    times: perBlock,
    prepare(vm, setting) {
      const vcpu = writer(vm, setting);
      const { msrs } = setting;
      return { once: () => vcpu.getMsrs(msrs) };
    },
  },
  {
    kind: 'dirtyLog',
    title: 'dirty log of 1 GiB',
    calls: 1,
    judged: true,
    times: perLongBlock,
    prepare(vm, setting) {
      const { slot } = vm.memory.map({ guestAddress: 0, size: setting.loggedMemory, logDirtyPages: true });
      const log = vm.getDirtyLog(slot);
      return { once: () => vm.getDirtyLog(slot, log) };
    },
  },
  {
    kind: 'dirtyRing',
    title: 'dirty ring, 64 pages harvested',
    calls: 2,
    judged: false,
    times: perLongBlock,
    prepare(vm, setting) {
      vm.enableDirtyRing({ entries: setting.ringEntries });
      const vcpu = writer(vm, setting);
      return {
        before: () => vcpu.run(),
        once: () => {
          const regions = vm.harvestDirtyRings();
          vm.resetDirtyRings();
          return regions;
        },
      };
    },
  },
  {
    kind: 'stats',
    title: 'statistics read',
    calls: 1,
    judged: true,
    times: perBlock,
    prepare(vm, setting) {
      const stats: BinaryStats = writer(vm, setting).binaryStats();
      const values = stats.readValues();
      return { once: () => stats.readValues(values) };
    },
  },
];

/** Results are kept until the next one, so that none is optimised away. */
const sink: { last: unknown } = { last: undefined };

function ours(name: string, { times }: StateKind, prepared: ReturnType<StateKind['prepare']>): Mode {
  const { once, before } = prepared;
  return {
    name,
    block() {
      if (before !== undefined) {
        let elapsed = 0;
        for (let done = 0; done < times; done++) {
          before();
          const start = performance.now();
          sink.last = once();
          elapsed += performance.now() - start;
        }
        return (elapsed * 1e6) / times;
      }
      const start = performance.now();
      for (let done = 0; done < times; done++) sink.last = once();
      return ((performance.now() - start) * 1e6) / times;
    },
  };
}

export async function measureState(context: BenchContext): Promise<void> {
  const setting = native().measureStateSetting();
  for (const kind of kinds) {
    const kvm = new Kvm();
    const vm = kvm.createVm();
    let control: InstanceType<ReturnType<typeof native>['MeasureState']> | undefined;
    try {
      const made = new (native().MeasureState)(kind.kind);
      control = made;
      const modes: Mode[] = [
        ours('ours', kind, kind.prepare(vm, setting)),
        { name: 'ioctl', block: () => made.block(kind.times) },
        {
          name: 'call',
          block() {
            const start = performance.now();
            for (let call = 0; call < callsPerBlock; call++) made.empty();
            return ((performance.now() - start) * 1e6) / callsPerBlock;
          },
        },
      ];
      const samples = await measure(context, `state, ${kind.title}`, modes);
      const calls = samples.get('call')!;
      context.add(
        ratioRow({
          id: 'state',
          lane: 'getter or setter',
          exit: kind.title,
          peer:
            kind.calls === 1 ? 'the ioctl and an empty native call' : 'the ioctl and two empty native calls',
          per: 'access',
          samples: samples.get('ours')!,
          peerSamples: samples.get('ioctl')!.map((time, round) => time + calls[round]! * kind.calls),
          goal: kind.judged ? goals.state : undefined,
          ...(kind.note === undefined ? {} : { note: kind.note }),
        }),
      );
    } catch (error) {
      context.skip(`state, ${kind.title}`, error);
    } finally {
      control?.close();
      vm.close();
      kvm.close();
    }
  }
}
