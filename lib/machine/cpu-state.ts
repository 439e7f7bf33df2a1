/** How the first vCPU begins, for each kind of entry; and what all vCPUs have as firmware would have left it. */
import type { KvmSegment } from '../generated/struct-types.ts';
import { KvmError } from '../internal/errors.ts';
import type { NativeEntry } from '../internal/native.ts';
import type { Patch } from '../internal/structs.ts';
import type { Sregs } from '../kvm/vcpu-x86.ts';
import type { Vcpu } from '../kvm/vcpu.ts';

/** Control register bits (Intel SDM volume 3, 2.5) and those of EFER. */
const CR0 = { PE: 1n, ET: 1n << 4n, NE: 1n << 5n, PG: 1n << 31n } as const;
const CR4_PAE = 1n << 5n;
const EFER = { LME: 1n << 8n, LMA: 1n << 10n } as const;

/** Selectors of crates/boot's GDT, which are those of the Linux boot protocol. */
const SELECTOR = { code: 0x10, data: 0x18, task: 0x20 } as const;

/** Segment types: code that is executed and read, data that is read and written, a busy task state segment. */
const TYPE = { code: 0xb, data: 0x3, task: 0xb } as const;

const flat: Patch<KvmSegment> = { base: 0n, limit: 0xffff_ffff, present: 1, dpl: 0, s: 1, g: 1, unusable: 0 };
const data: Patch<KvmSegment> = { ...flat, selector: SELECTOR.data, type: TYPE.data, db: 1, l: 0 };
const dataSegments = { ds: data, es: data, fs: data, gs: data, ss: data };
const task: Patch<KvmSegment> = {
  ...flat,
  selector: SELECTOR.task,
  type: TYPE.task,
  limit: 0x67,
  s: 0,
  g: 0,
  db: 0,
  l: 0,
};

/** Sets the registers of the vCPU that starts the kernel. */
export function enterKernel(vcpu: Vcpu, entry: NativeEntry): void {
  // The CPU's own state after reset is the firmware's entry.
  if (entry.mode === 'reset') return;
  const sregs = specialRegisters(entry);
  vcpu.setSregs(sregs);
  const { rip, rsp, rax, rbx, rsi } = entry;
  vcpu.setRegs({ rip, rsp, rax, rbx, rsi, rflags: 2n });
}

function specialRegisters(entry: NativeEntry): Patch<Sregs> {
  const gdt = { base: BigInt(entry.gdtBase), limit: entry.gdtLimit };
  const idt = { base: 0n, limit: 0 };
  switch (entry.mode) {
    case 'long':
      return {
        cs: { ...flat, selector: SELECTOR.code, type: TYPE.code, db: 0, l: 1 },
        ...dataSegments,
        tr: task,
        gdt,
        idt,
        cr0: CR0.PE | CR0.ET | CR0.NE | CR0.PG,
        cr3: BigInt(entry.cr3),
        cr4: CR4_PAE,
        efer: EFER.LME | EFER.LMA,
      };
    case 'protected':
      return {
        cs: { ...flat, selector: SELECTOR.code, type: TYPE.code, db: 1, l: 0 },
        ...dataSegments,
        tr: task,
        gdt,
        idt,
        cr0: CR0.PE | CR0.ET,
        cr4: 0n,
        efer: 0n,
      };
    case 'real': {
      const all = { base: BigInt(entry.csBase), selector: entry.csBase / 16 };
      return { cs: all, ds: all, es: all, fs: all, gs: all, ss: all };
    }
    default:
      throw new KvmError('ERR_KVM_INTERNAL', `an entry of an unknown kind: ${entry.mode}`);
  }
}

/** MSRs of arch/x86/include/asm/msr-index.h. */
const MSR = { MISC_ENABLE: 0x1a0, MTRR_DEF_TYPE: 0x2ff } as const;
/** Fast string instructions. */
const FAST_STRING = 1n;
/** MTRRs on, memory is write-back unless one says otherwise: what firmware leaves, and Linux expects. */
const MTRR_ENABLED_WRITE_BACK = (1n << 11n) | 6n;

/** Registers of the local APIC: offsets in its page, and delivery modes. */
const LVT_LINT0 = 0x350;
const LVT_LINT1 = 0x360;
const EXT_INT = 0x700;
const NMI = 0x400;

/** Sets what firmware leaves on every vCPU. */
export function likeFirmware(vcpu: Vcpu): void {
  for (const entry of [
    { index: MSR.MISC_ENABLE, data: FAST_STRING },
    { index: MSR.MTRR_DEF_TYPE, data: MTRR_ENABLED_WRITE_BACK },
  ]) {
    try {
      vcpu.setMsrs([entry]);
    } catch (error) {
      // A processor that has no such register does without.
      if (!(error instanceof KvmError) || error.code !== 'ERR_KVM_IOCTL') throw error;
    }
  }
  const lapic = vcpu.getLapic();
  const registers = new DataView(lapic.buffer, lapic.byteOffset, lapic.byteLength);
  registers.setUint32(LVT_LINT0, EXT_INT, true);
  registers.setUint32(LVT_LINT1, NMI, true);
  vcpu.setLapic(lapic);
}
