import type { HostFacts } from './host.ts';

/** One capability as this host answers it. */
export interface CapabilityAnswer {
  readonly name: string;
  /** What it is good for, in a few words. */
  readonly use: string;
  /** KVM_CHECK_EXTENSION's answer: 0 is no; more is yes, and for some a number that means something. */
  readonly value: number;
}

export type CapabilityGroup = 'exits' | 'memory' | 'interrupts' | 'state' | 'snapshots';

/** What /dev/kvm answered. */
export interface KvmFacts {
  readonly apiVersion: number;
  readonly capabilities: Readonly<Record<CapabilityGroup, readonly CapabilityAnswer[]>>;
  readonly limits: {
    readonly recommendedVcpus: number;
    readonly vcpus: number;
    readonly vcpuId: number;
    readonly memorySlots: number;
    /** Bits of a guest-physical address, from the supported CPUID. */
    readonly physicalBits: number | undefined;
  };
  /** A guest of three instructions, run for real. */
  readonly trial: TrialRun;
}

export type TrialRun =
  | { readonly ok: true; readonly ms: number }
  | { readonly ok: false; readonly message: string; readonly errno?: string };

/** Why the API could not be asked. */
export interface KvmFailure {
  readonly code: string;
  readonly message: string;
}

export interface Versions {
  readonly vmhatch: string;
  readonly node: string;
  readonly v8: string;
  readonly napi: string;
  readonly libc: string;
}

/** All that the doctor knows; `--json` prints it with the findings. */
export interface Facts {
  readonly host: HostFacts;
  readonly versions: Versions;
  readonly kvm: KvmFacts | undefined;
  readonly failure: KvmFailure | undefined;
}
