/**
 * The exits of an x86_64 vCPU, one type each, told apart by `kind`. Ports, guest-physical addresses and sizes are
 * numbers; registers, MSR contents and guest-virtual addresses are bigints.
 *
 * A handler gets these as one reused object per kind that is valid while the handler runs; `toJSON()` gives a copy
 * to keep. `vcpu.step()` and `vcpu.exits()` give copies.
 */

/** `out`, `outs`: the guest writes to a port that no device claims (`KVM_EXIT_IO`). */
export interface IoOutExit {
  readonly kind: 'ioOut';
  /** The port, 0 to 65535. */
  readonly port: number;
  /** Bytes an element. */
  readonly size: 1 | 2 | 4;
  /** Elements: more than one for string instructions. */
  readonly count: number;
  /** The first element. */
  readonly value: number;
  /** All `size * count` bytes, a copy. */
  readonly data: Uint8Array;
}

/** `in`, `ins`: the guest reads a port that no device claims (`KVM_EXIT_IO`). Unanswered it reads all ones. */
export interface IoInExit {
  readonly kind: 'ioIn';
  /** The port, 0 to 65535. */
  readonly port: number;
  /** Bytes an element. */
  readonly size: 1 | 2 | 4;
  /** Elements: more than one for string instructions. */
  readonly count: number;
}

/** A read of guest-physical memory that no region backs (`KVM_EXIT_MMIO`). Unanswered it reads all ones. */
export interface MmioReadExit {
  readonly kind: 'mmioRead';
  /** The guest-physical address. */
  readonly address: number;
  /** Bytes, 1 to 8. */
  readonly size: number;
}

/** A write to guest-physical memory that no region backs or that is read-only (`KVM_EXIT_MMIO`). */
export interface MmioWriteExit {
  readonly kind: 'mmioWrite';
  /** The guest-physical address. */
  readonly address: number;
  /** Bytes, 1 to 8. */
  readonly size: number;
  /** The value; of more than 4 bytes the low 4. */
  readonly value: number;
  /** The whole value. */
  readonly value64: bigint;
}

/** `hlt` without an in-kernel interrupt controller (`KVM_EXIT_HLT`). */
export interface HltExit {
  readonly kind: 'hlt';
}

/** A triple fault, or another way to shut the CPU down (`KVM_EXIT_SHUTDOWN`). */
export interface ShutdownExit {
  readonly kind: 'shutdown';
}

/** A single step or a breakpoint (`KVM_EXIT_DEBUG`). */
export interface DebugExit {
  readonly kind: 'debug';
  /** The exception: 1 is #DB, 3 is #BP. */
  readonly exception: number;
  /** The instruction's linear address. */
  readonly pc: bigint;
  /** Debug register 6: what happened. */
  readonly dr6: bigint;
  /** Debug register 7. */
  readonly dr7: bigint;
}

/** An exception that KVM hands to user space (`KVM_EXIT_EXCEPTION`). */
export interface ExceptionExit {
  readonly kind: 'exception';
  readonly exception: number;
  readonly errorCode: number;
}

/** The hardware refused to enter the guest (`KVM_EXIT_FAIL_ENTRY`). */
export interface FailEntryExit {
  readonly kind: 'failEntry';
  readonly hardwareEntryFailureReason: bigint;
  /** The host CPU. */
  readonly cpu: number;
}

/** KVM could not go on (`KVM_EXIT_INTERNAL_ERROR`), most often because its emulator lacks an instruction. */
export interface InternalErrorExit {
  readonly kind: 'internalError';
  /** `KVM_INTERNAL_ERROR_*`: 1 is an emulation failure. */
  readonly suberror: number;
  readonly data: readonly bigint[];
  /** The instruction's bytes, where KVM gives them. */
  readonly instruction?: Uint8Array;
}

/** The guest asked the platform for something (`KVM_EXIT_SYSTEM_EVENT`). */
export interface SystemEventExit {
  readonly kind: 'systemEvent';
  /** `KVM_SYSTEM_EVENT_*`. */
  readonly type: number;
  readonly data: readonly bigint[];
}

/** A hypercall that user space asked to see (`KVM_EXIT_HYPERCALL`). Unanswered it returns 0. */
export interface HypercallExit {
  readonly kind: 'hypercall';
  readonly nr: bigint;
  readonly args: readonly bigint[];
  readonly longmode: boolean;
}

/** `rdmsr` of an MSR that user space asked to see (`KVM_EXIT_X86_RDMSR`). Unanswered it reads 0. */
export interface X86RdmsrExit {
  readonly kind: 'x86Rdmsr';
  readonly index: number;
  /** `KVM_MSR_EXIT_REASON_*`. */
  readonly why: number;
}

/** `wrmsr` of an MSR that user space asked to see (`KVM_EXIT_X86_WRMSR`). */
export interface X86WrmsrExit {
  readonly kind: 'x86Wrmsr';
  readonly index: number;
  /** `KVM_MSR_EXIT_REASON_*`. */
  readonly why: number;
  readonly data: bigint;
}

/** An access to the task priority register that user space asked to see (`KVM_EXIT_TPR_ACCESS`). */
export interface TprAccessExit {
  readonly kind: 'tprAccess';
  readonly rip: bigint;
  readonly isWrite: boolean;
}

/** The end of a level-triggered interrupt, with a split interrupt controller (`KVM_EXIT_IOAPIC_EOI`). */
export interface IoapicEoiExit {
  readonly kind: 'ioapicEoi';
  readonly vector: number;
}

/** The guest blocked events for too long (`KVM_EXIT_NOTIFY`). */
export interface NotifyExit {
  readonly kind: 'notify';
  readonly flags: number;
}

/** A fault on memory that KVM cannot resolve (`KVM_EXIT_MEMORY_FAULT`). */
export interface MemoryFaultExit {
  readonly kind: 'memoryFault';
  readonly flags: bigint;
  /** The guest-physical address. */
  readonly gpa: number;
  /** Bytes. */
  readonly size: number;
}

/** An enlightened guest's request (`KVM_EXIT_HYPERV`). */
export interface HypervExit {
  readonly kind: 'hyperv';
  /** `KVM_EXIT_HYPERV_*`: 1 SynIC, 2 hypercall, 3 debugger. */
  readonly type: number;
  /** SynIC and debugger: the MSR. */
  readonly msr: number;
  /** SynIC and debugger: the control register. Hypercall: the input value. */
  readonly control: bigint;
  /** Hypercall: its two parameters. SynIC: the event and message pages. */
  readonly params: readonly [bigint, bigint];
}

/** A Xen hypercall (`KVM_EXIT_XEN`). */
export interface XenExit {
  readonly kind: 'xen';
  /** `KVM_EXIT_XEN_*`. */
  readonly type: number;
  readonly longmode: boolean;
  readonly cpl: number;
  readonly input: bigint;
  readonly params: readonly bigint[];
}

/** An exit without details: `irqWindowOpen`, `intr`, `nmi`, `setTpr`, `dirtyRingFull`, `apResetHold`, `x86BusLock`. */
export interface BareExit<Kind extends string> {
  readonly kind: Kind;
}

/** A reason that this version does not know, or `KVM_EXIT_UNKNOWN`. */
export interface UnknownExit {
  readonly kind: 'unknown';
  /** `kvm_run.exit_reason`. */
  readonly reason: number;
  /** For `KVM_EXIT_UNKNOWN` the hardware's own reason. */
  readonly hardwareExitReason?: bigint;
}

/** Every exit by its kind. */
export interface ExitMap {
  ioOut: IoOutExit;
  ioIn: IoInExit;
  mmioRead: MmioReadExit;
  mmioWrite: MmioWriteExit;
  hlt: HltExit;
  shutdown: ShutdownExit;
  debug: DebugExit;
  exception: ExceptionExit;
  failEntry: FailEntryExit;
  internalError: InternalErrorExit;
  systemEvent: SystemEventExit;
  hypercall: HypercallExit;
  x86Rdmsr: X86RdmsrExit;
  x86Wrmsr: X86WrmsrExit;
  tprAccess: TprAccessExit;
  ioapicEoi: IoapicEoiExit;
  notify: NotifyExit;
  memoryFault: MemoryFaultExit;
  hyperv: HypervExit;
  xen: XenExit;
  irqWindowOpen: BareExit<'irqWindowOpen'>;
  intr: BareExit<'intr'>;
  nmi: BareExit<'nmi'>;
  setTpr: BareExit<'setTpr'>;
  dirtyRingFull: BareExit<'dirtyRingFull'>;
  apResetHold: BareExit<'apResetHold'>;
  x86BusLock: BareExit<'x86BusLock'>;
  unknown: UnknownExit;
}

/** The kinds of exit. */
export type ExitKind = keyof ExitMap;

/** Any exit, as plain data. */
export type Exit = ExitMap[ExitKind];

/** What kinds of exit want an answer, and which. */
export interface AnswerMap {
  ioIn: number | Uint8Array;
  mmioRead: number | bigint | Uint8Array;
  hypercall: bigint | number;
  x86Rdmsr: bigint | number;
  hyperv: bigint | number;
  xen: bigint | number;
}

/** How an exit that wants an answer gets it. */
export type Answerable<Kind extends ExitKind> = (Kind extends keyof AnswerMap
  ? {
      /**
       * Answers the guest.
       *
       * @throws `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE` when the answer does not fit the access.
       * @throws `ERR_KVM_STALE_EXIT` when the guest has gone on since.
       */
      reply(answer: AnswerMap[Kind]): void;
    }
  : unknown) &
  (Kind extends 'x86Rdmsr' | 'x86Wrmsr'
    ? {
        /** Makes the instruction fail: the guest gets #GP. */
        fail(): void;
      }
    : unknown);

/** An exit as a handler gets it: reused, valid while the handler runs. */
export type HandlerExit<Kind extends ExitKind> = ExitMap[Kind] &
  Answerable<Kind> & {
    /** Ends the run after this handler, with `{ reason: 'stopped' }`. */
    stop(): void;
    /** A plain copy to keep. */
    toJSON(): ExitMap[Kind];
  };

/** An exit as `step()` and `exits()` give it: a copy, answerable until the next step. */
export type StepExit = { [Kind in ExitKind]: ExitMap[Kind] & Answerable<Kind> }[ExitKind];
