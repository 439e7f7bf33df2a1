/**
 * The exits of a vCPU, one type each, told apart by `kind`. Ports, guest-physical addresses and sizes are
 * numbers; registers, MSR contents and guest-virtual addresses are bigints.
 *
 * A handler gets these as one reused object per kind that is valid while the handler runs; `toJSON()` gives a copy
 * to keep. `vcpu.step()` and `vcpu.exits()` give fresh objects, which can be kept as they are.
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

/** A single step or a breakpoint on x86_64 (`KVM_EXIT_DEBUG`). */
export interface GuestDebugExit {
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

/** A single step, a breakpoint or a watchpoint on aarch64 (`KVM_EXIT_DEBUG`). */
export interface ArmDebugExit {
  readonly kind: 'armDebug';
  /** The syndrome, as `ESR_EL2` has it: its exception class is in bits 26 to 31. */
  readonly hsr: bigint;
  /** The address that a watchpoint saw. */
  readonly far: bigint;
}

/**
 * An aarch64 instruction accessed memory that no region backs, and the processor does not say how
 * (`KVM_EXIT_ARM_NISV`). Only with {@link Cap.ArmNisvToUser} enabled; without it the run fails with `ENOSYS`.
 */
export interface ArmNisvExit {
  readonly kind: 'armNisv';
  /** The instruction-specific syndrome, `ESR_EL2.ISS`, without the part that is not valid. */
  readonly esrIss: bigint;
  /** The guest-physical address, its page only. */
  readonly faultIpa: number;
}

/** An exception that KVM hands to user space (`KVM_EXIT_EXCEPTION`). */
export interface ExceptionExit {
  readonly kind: 'exception';
  /** The exception's vector, 0 to 31. */
  readonly exception: number;
  /** What the processor pushes with it; 0 where it pushes nothing. */
  readonly errorCode: number;
}

/** The hardware refused to enter the guest (`KVM_EXIT_FAIL_ENTRY`). */
export interface FailEntryExit {
  readonly kind: 'failEntry';
  /** The processor's own code: VMX's exit reason with bit 31, SVM's exit code -1 in 32 bits or in 64. */
  readonly hardwareEntryFailureReason: bigint;
  /** The host CPU. */
  readonly cpu: number;
}

/** KVM could not go on (`KVM_EXIT_INTERNAL_ERROR`), most often because its emulator lacks an instruction. */
export interface InternalErrorExit {
  readonly kind: 'internalError';
  /** `KVM_INTERNAL_ERROR_*`: 1 is an emulation failure. */
  readonly suberror: number;
  /** Up to 16 words whose meaning the sub-error gives. */
  readonly data: readonly bigint[];
  /** The instruction's bytes, where KVM gives them. */
  readonly instruction?: Uint8Array;
}

/** The guest asked the platform for something (`KVM_EXIT_SYSTEM_EVENT`). */
export interface SystemEventExit {
  readonly kind: 'systemEvent';
  /** `KVM_SYSTEM_EVENT_*`. */
  readonly type: number;
  /** Up to 16 words whose meaning the type gives. */
  readonly data: readonly bigint[];
}

/**
 * A hypercall that user space asked to see (`KVM_EXIT_HYPERCALL`). Unanswered it returns 0. On aarch64 it is an SMC or HVC
 * that the machine's filter forwards: arguments and answer are in `vcpu.armRegs`, from `x0` on, and `reply()` does nothing.
 */
export interface HypercallExit {
  readonly kind: 'hypercall';
  /** The hypercall's number: `rax`; on aarch64 the low half of `x0`. */
  readonly nr: bigint;
  /** Six arguments. */
  readonly args: readonly bigint[];
  /** Whether the guest made it in 64-bit mode. */
  readonly longmode: boolean;
}

/** `rdmsr` of an MSR that user space asked to see (`KVM_EXIT_X86_RDMSR`). Unanswered it reads 0. */
export interface X86RdmsrExit {
  readonly kind: 'x86Rdmsr';
  /** The MSR, 0 to 2^32 - 1. */
  readonly index: number;
  /** `KVM_MSR_EXIT_REASON_*`. */
  readonly why: number;
}

/** `wrmsr` of an MSR that user space asked to see (`KVM_EXIT_X86_WRMSR`). */
export interface X86WrmsrExit {
  readonly kind: 'x86Wrmsr';
  /** The MSR, 0 to 2^32 - 1. */
  readonly index: number;
  /** `KVM_MSR_EXIT_REASON_*`. */
  readonly why: number;
  /** What the guest writes. */
  readonly data: bigint;
}

/** The guest has accessed the task priority register: after `vcpu.setTprAccessReporting()` (`KVM_EXIT_TPR_ACCESS`). */
export interface TprAccessExit {
  readonly kind: 'tprAccess';
  /** The instruction's address. */
  readonly rip: bigint;
  /** Whether it writes. */
  readonly isWrite: boolean;
}

/** The end of a level-triggered interrupt, with a split interrupt controller (`KVM_EXIT_IOAPIC_EOI`). */
export interface IoapicEoiExit {
  readonly kind: 'ioapicEoi';
  /** The interrupt's vector, 0 to 255. */
  readonly vector: number;
}

/** The guest blocked events for too long (`KVM_EXIT_NOTIFY`). */
export interface NotifyExit {
  readonly kind: 'notify';
  /** `KVM_NOTIFY_*`: 1 means that the guest's context is no longer valid. */
  readonly flags: number;
}

/** A fault on memory of a `GuestMemfd`, or of the other side, that KVM cannot resolve (`KVM_EXIT_MEMORY_FAULT`). */
export interface MemoryFaultExit {
  readonly kind: 'memoryFault';
  /** `KVM_MEMORY_EXIT_FLAG_*`: 8 means a private access. */
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

/** A hypercall of Xen that KVM does not serve: after `vm.setXenHypercallExits()` (`KVM_EXIT_XEN`). */
export interface XenExit {
  readonly kind: 'xen';
  /** `KVM_EXIT_XEN_*`. */
  readonly type: number;
  /** Whether the guest made it in 64-bit mode. */
  readonly longmode: boolean;
  /** The guest's privilege level, 0 to 3. */
  readonly cpl: number;
  /** The hypercall's number. */
  readonly input: bigint;
  /** Six parameters. */
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
  /** `KVM_EXIT_IO`, to a port. */
  ioOut: IoOutExit;
  /** `KVM_EXIT_IO`, from a port. */
  ioIn: IoInExit;
  /** `KVM_EXIT_MMIO`, a read. */
  mmioRead: MmioReadExit;
  /** `KVM_EXIT_MMIO`, a write. */
  mmioWrite: MmioWriteExit;
  /** `KVM_EXIT_HLT`. */
  hlt: HltExit;
  /** `KVM_EXIT_SHUTDOWN`. */
  shutdown: ShutdownExit;
  /** `KVM_EXIT_DEBUG`. */
  debug: GuestDebugExit;
  /** `KVM_EXIT_DEBUG` on aarch64. */
  armDebug: ArmDebugExit;
  /** `KVM_EXIT_ARM_NISV`. */
  armNisv: ArmNisvExit;
  /** `KVM_EXIT_EXCEPTION`. */
  exception: ExceptionExit;
  /** `KVM_EXIT_FAIL_ENTRY`. */
  failEntry: FailEntryExit;
  /** `KVM_EXIT_INTERNAL_ERROR`. */
  internalError: InternalErrorExit;
  /** `KVM_EXIT_SYSTEM_EVENT`. */
  systemEvent: SystemEventExit;
  /** `KVM_EXIT_HYPERCALL`. */
  hypercall: HypercallExit;
  /** `KVM_EXIT_X86_RDMSR`. */
  x86Rdmsr: X86RdmsrExit;
  /** `KVM_EXIT_X86_WRMSR`. */
  x86Wrmsr: X86WrmsrExit;
  /** `KVM_EXIT_TPR_ACCESS`. */
  tprAccess: TprAccessExit;
  /** `KVM_EXIT_IOAPIC_EOI`. */
  ioapicEoi: IoapicEoiExit;
  /** `KVM_EXIT_NOTIFY`. */
  notify: NotifyExit;
  /** `KVM_EXIT_MEMORY_FAULT`. */
  memoryFault: MemoryFaultExit;
  /** `KVM_EXIT_HYPERV`. */
  hyperv: HypervExit;
  /** `KVM_EXIT_XEN`. */
  xen: XenExit;
  /** `KVM_EXIT_IRQ_WINDOW_OPEN`: the guest can take an interrupt now. */
  irqWindowOpen: BareExit<'irqWindowOpen'>;
  /** `KVM_EXIT_INTR`: a signal, where KVM reports it as an exit. */
  intr: BareExit<'intr'>;
  /** `KVM_EXIT_NMI`. */
  nmi: BareExit<'nmi'>;
  /** `KVM_EXIT_SET_TPR`: the guest lowered its task priority. */
  setTpr: BareExit<'setTpr'>;
  /** `KVM_EXIT_DIRTY_RING_FULL`. */
  dirtyRingFull: BareExit<'dirtyRingFull'>;
  /** `KVM_EXIT_AP_RESET_HOLD`: an SEV-ES processor waits for its start. */
  apResetHold: BareExit<'apResetHold'>;
  /** `KVM_EXIT_X86_BUS_LOCK`: a locked access across cache lines. */
  x86BusLock: BareExit<'x86BusLock'>;
  /** `KVM_EXIT_UNKNOWN`, and every reason that this version does not know. */
  unknown: UnknownExit;
}

/** The kinds of exit. */
export type ExitKind = keyof ExitMap;

/** Any exit, as plain data. */
export type Exit = ExitMap[ExitKind];

/** What kinds of exit want an answer, and which. */
export interface AnswerMap {
  /** A number answers every element; bytes (`size * count`) answer all of them. */
  ioIn: number | Uint8Array;
  /** The value, or `size` bytes. */
  mmioRead: number | bigint | Uint8Array;
  /** What the guest finds in `rax`, on x86_64. */
  hypercall: bigint | number;
  /** What the guest reads. */
  x86Rdmsr: bigint | number;
  /** The result of a hypercall; the other types ignore it. */
  hyperv: bigint | number;
  /** What the guest finds in `rax`. */
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

/** An exit as `step()` and `exits()` give it: a fresh object, to keep, and answerable until the next step. */
export type StepExit = {
  [Kind in ExitKind]: ExitMap[Kind] &
    Answerable<Kind> & {
      /** Its data as a plain object: to spread, to compare, to post to a Worker. */
      toJSON(): ExitMap[Kind];
    };
}[ExitKind];
