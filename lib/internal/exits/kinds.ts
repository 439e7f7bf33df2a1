/** The kinds of exits, as a list: what a handlers object may have as keys. */
import type { ExitKind } from '../../kvm/exits.ts';

const TABLE: Record<ExitKind, true> = {
  ioOut: true,
  ioIn: true,
  mmioRead: true,
  mmioWrite: true,
  hlt: true,
  shutdown: true,
  debug: true,
  armDebug: true,
  armNisv: true,
  exception: true,
  failEntry: true,
  internalError: true,
  systemEvent: true,
  hypercall: true,
  x86Rdmsr: true,
  x86Wrmsr: true,
  tprAccess: true,
  ioapicEoi: true,
  notify: true,
  memoryFault: true,
  hyperv: true,
  xen: true,
  irqWindowOpen: true,
  intr: true,
  nmi: true,
  setTpr: true,
  dirtyRingFull: true,
  apResetHold: true,
  x86BusLock: true,
  unknown: true,
};

/** All kinds. The table above makes a forgotten one a compile error. */
export const EXIT_KINDS: readonly string[] = Object.keys(TABLE);
