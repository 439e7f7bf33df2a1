/** The reused exit objects of one vCPU, and the copies made of them. */
import { EXIT_REASONS } from '../../generated/exit-reasons.ts';
import { RUN } from '../../generated/run-page.ts';
import type { Exit } from '../../kvm/exits.ts';
import { IoIn, IoOut, MmioRead, MmioWrite } from './access.ts';
import type { ExitOwner } from './base.ts';
import { OtherExit } from './other.ts';

const EXIT_REASON = RUN.exitReason / 4;

/** Kinds by `kvm_run.exit_reason`; reasons of architectures that this package is not made for are unknown. */
const KINDS: readonly OtherExit['kind'][] = (() => {
  const known: readonly OtherExit['kind'][] = [
    'exception',
    'hypercall',
    'debug',
    'hlt',
    'irqWindowOpen',
    'shutdown',
    'failEntry',
    'intr',
    'setTpr',
    'tprAccess',
    'nmi',
    'internalError',
    'systemEvent',
    'ioapicEoi',
    'hyperv',
    'x86Rdmsr',
    'x86Wrmsr',
    'dirtyRingFull',
    'apResetHold',
    'x86BusLock',
    'xen',
    'notify',
    'memoryFault',
    'armNisv',
  ];
  const kinds: OtherExit['kind'][] = Array.from({ length: 64 }, () => 'unknown');
  for (const kind of known) kinds[EXIT_REASONS[kind as keyof typeof EXIT_REASONS]] = kind;
  // What it says lies elsewhere, and means something else.
  if (process.arch === 'arm64') kinds[EXIT_REASONS.debug] = 'armDebug';
  return kinds;
})();

/** The kind behind an exit reason, for counters; port and memory accesses have two kinds each. */
export function reasonName(reason: number): string {
  if (reason === EXIT_REASONS.io) return 'io';
  if (reason === EXIT_REASONS.mmio) return 'mmio';
  return KINDS[reason] ?? 'unknown';
}

/** The reused exit objects of one vCPU, each made when it is first needed: most vCPUs see few kinds. */
export class ExitSet {
  #ioOut: IoOut | undefined;
  #ioIn: IoIn | undefined;
  #mmioRead: MmioRead | undefined;
  #mmioWrite: MmioWrite | undefined;
  readonly #owner: ExitOwner;
  readonly #others = new Map<OtherExit['kind'], OtherExit>();

  constructor(owner: ExitOwner) {
    this.#owner = owner;
  }

  get ioOut(): IoOut {
    return (this.#ioOut ??= new IoOut(this.#owner));
  }

  get ioIn(): IoIn {
    return (this.#ioIn ??= new IoIn(this.#owner));
  }

  get mmioRead(): MmioRead {
    return (this.#mmioRead ??= new MmioRead(this.#owner));
  }

  get mmioWrite(): MmioWrite {
    return (this.#mmioWrite ??= new MmioWrite(this.#owner));
  }

  /** The exit that is no access, as the page says. */
  other(): OtherExit {
    const kind = KINDS[this.#owner.view.u32[EXIT_REASON]!] ?? 'unknown';
    let exit = this.#others.get(kind);
    if (exit === undefined) {
      exit = new OtherExit(this.#owner, kind);
      this.#others.set(kind, exit);
    }
    return exit.refresh();
  }
}

/** Any of the reused objects. */
export type AnyExit = IoOut | IoIn | MmioRead | MmioWrite | OtherExit;

/** A copy of an exit that can be kept. */
export function copyExit(exit: AnyExit): Exit {
  return exit.toJSON() as Exit;
}
