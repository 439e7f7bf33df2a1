/** The exits that are not accesses: rare, so each is read whole from the page when it is looked at. */
import { EMULATION_FAILURE, HYPERV_EXIT, INTERNAL_ERROR, RUN } from '../../generated/run-page.ts';
import type { ExitKind, ExitMap } from '../../kvm/exits.ts';
import type { RunView } from '../run-view.ts';
import { ExitObject, checkAnswer64, type ExitOwner } from './base.ts';

/** Reads one kind of exit from the page. */
type Reader<Kind extends ExitKind> = (view: RunView) => Omit<ExitMap[Kind], 'kind'>;

const u32 = (view: RunView, at: number): number => view.data.getUint32(at, true);
const u64 = (view: RunView, at: number): bigint => view.data.getBigUint64(at, true);

function words(view: RunView, at: number, count: number): bigint[] {
  return Array.from({ length: count }, (_, index) => u64(view, at + index * 8));
}

/** The bytes of the instruction that the emulator refused, where KVM gives them. */
function instruction(view: RunView): { instruction?: Uint8Array } {
  const known =
    u32(view, RUN.internal.suberror) === INTERNAL_ERROR.EMULATION &&
    u32(view, RUN.internal.ndata) > 0 &&
    (u64(view, RUN.emulationFailure.flags) & BigInt(EMULATION_FAILURE.INSTRUCTION_BYTES)) !== 0n;
  if (!known) return {};
  const length = Math.min(view.u8[RUN.emulationFailure.insnSize]!, 15);
  const at = RUN.emulationFailure.insnBytes;
  return { instruction: view.u8.slice(at, at + length) };
}

function hyperv(view: RunView): Omit<ExitMap['hyperv'], 'kind'> {
  const type = u32(view, RUN.hyperv.type);
  if (type === HYPERV_EXIT.HCALL) {
    const at = RUN.hyperv.hcall;
    return {
      type,
      msr: 0,
      control: u64(view, at.input),
      params: [u64(view, at.params), u64(view, at.params + 8)],
    };
  }
  const at = RUN.hyperv.synic;
  return {
    type,
    msr: u32(view, at.msr),
    control: u64(view, at.control),
    params: [u64(view, at.evtPage), u64(view, at.msgPage)],
  };
}

const bare = (): object => ({});

/** All readers, by kind. */
const READERS: { [Kind in Exclude<ExitKind, 'ioIn' | 'ioOut' | 'mmioRead' | 'mmioWrite'>]: Reader<Kind> } = {
  hlt: bare,
  shutdown: bare,
  irqWindowOpen: bare,
  intr: bare,
  nmi: bare,
  setTpr: bare,
  dirtyRingFull: bare,
  apResetHold: bare,
  x86BusLock: bare,
  debug: (view) => ({
    exception: u32(view, RUN.debug.arch.exception),
    pc: u64(view, RUN.debug.arch.pc),
    dr6: u64(view, RUN.debug.arch.dr6),
    dr7: u64(view, RUN.debug.arch.dr7),
  }),
  armDebug: (view) => ({
    hsr: u64(view, RUN.debug.arm.hsr),
    far: u64(view, RUN.debug.arm.far),
  }),
  armNisv: (view) => ({
    esrIss: u64(view, RUN.armNisv.esrIss),
    faultIpa: Number(u64(view, RUN.armNisv.faultIpa)),
  }),
  exception: (view) => ({ exception: u32(view, RUN.ex.exception), errorCode: u32(view, RUN.ex.errorCode) }),
  failEntry: (view) => ({
    hardwareEntryFailureReason: u64(view, RUN.failEntry.reason),
    cpu: u32(view, RUN.failEntry.cpu),
  }),
  internalError: (view) => ({
    suberror: u32(view, RUN.internal.suberror),
    data: words(view, RUN.internal.data, Math.min(u32(view, RUN.internal.ndata), 16)),
    ...instruction(view),
  }),
  systemEvent: (view) => ({
    type: u32(view, RUN.systemEvent.type),
    data: words(view, RUN.systemEvent.data, Math.min(u32(view, RUN.systemEvent.ndata), 16)),
  }),
  hypercall: (view) => ({
    nr: u64(view, RUN.hypercall.nr),
    args: words(view, RUN.hypercall.args, 6),
    longmode: u32(view, RUN.hypercall.longmode) !== 0,
  }),
  x86Rdmsr: (view) => ({ index: u32(view, RUN.msr.index), why: u32(view, RUN.msr.reason) }),
  x86Wrmsr: (view) => ({
    index: u32(view, RUN.msr.index),
    why: u32(view, RUN.msr.reason),
    data: u64(view, RUN.msr.data),
  }),
  tprAccess: (view) => ({
    rip: u64(view, RUN.tprAccess.rip),
    isWrite: u32(view, RUN.tprAccess.isWrite) !== 0,
  }),
  ioapicEoi: (view) => ({ vector: view.u8[RUN.eoi.vector]! }),
  notify: (view) => ({ flags: u32(view, RUN.notify.flags) }),
  memoryFault: (view) => ({
    flags: u64(view, RUN.memoryFault.flags),
    gpa: Number(u64(view, RUN.memoryFault.gpa)),
    size: Number(u64(view, RUN.memoryFault.size)),
  }),
  hyperv,
  xen: (view) => ({
    type: u32(view, RUN.xen.type),
    longmode: u32(view, RUN.xen.hcall.longmode) !== 0,
    cpl: u32(view, RUN.xen.hcall.cpl),
    input: u64(view, RUN.xen.hcall.input),
    params: words(view, RUN.xen.hcall.params, 6),
  }),
  unknown: (view) => {
    const reason = u32(view, RUN.exitReason);
    return reason === 0 ? { reason, hardwareExitReason: u64(view, RUN.hw.hardwareExitReason) } : { reason };
  },
};

/** Where the answer of an exit goes. */
const ANSWERS: Partial<Record<ExitKind, number>> = {
  hypercall: RUN.hypercall.ret,
  x86Rdmsr: RUN.msr.data,
  hyperv: RUN.hyperv.hcall.result,
  xen: RUN.xen.hcall.result,
};

/** An exit that is no access. Its properties are those of its kind, read anew for each exit. */
export class OtherExit extends ExitObject {
  readonly kind: keyof typeof READERS;
  /** Answers the guest, on the kinds that want an answer. */
  declare reply?: (answer: bigint | number) => void;
  /** Makes the instruction fail, on the kinds of MSR accesses. */
  declare fail?: () => void;

  constructor(owner: ExitOwner, kind: keyof typeof READERS) {
    super(owner);
    this.kind = kind;
    const at = ANSWERS[kind];
    if (at !== undefined) {
      this.reply = (answer) => {
        owner.checkCurrent(this);
        this.view.data.setBigUint64(at, checkAnswer64(answer, 8), true);
      };
    }
    if (kind === 'x86Rdmsr' || kind === 'x86Wrmsr') {
      this.fail = () => {
        owner.checkCurrent(this);
        this.view.u8[RUN.msr.error] = 1;
      };
    }
  }

  /** Reads the exit that the page holds now. */
  refresh(): this {
    return Object.assign(this, READERS[this.kind](this.view));
  }

  toJSON(): object {
    return { kind: this.kind, ...READERS[this.kind](this.live) };
  }
}
