/** Which processor an aarch64 vCPU becomes, `struct kvm_vcpu_init`. */
export interface ArmVcpuInit {
  /** The type, `KVM_ARM_TARGET_…`; {@link Vm.getPreferredTarget} knows the host's. */
  target: number;
  /** Its features, as numbers of {@link ArmVcpuFeature}. */
  features: number[];
}

/** Features of an aarch64 vCPU: `KVM_ARM_VCPU_…` of `<asm/kvm.h>`. */
export const ArmVcpuFeature = {
  /** It waits for PSCI's CPU_ON: every vCPU but the first. */
  powerOff: 0,
  /** EL1 is 32-bit. `Cap.ArmEl132bit` */
  el1Bits32: 1,
  /** PSCI 0.2 and later. `Cap.ArmPsci02` */
  psci02: 2,
  /** Performance counters. `Cap.ArmPmuV3` */
  pmuV3: 3,
  /** Scalable vectors; needs `vcpuFinalize()`. `Cap.ArmSve` */
  sve: 4,
  /** Pointer authentication of addresses, together with the next. `Cap.ArmPtrAuthAddress` */
  ptrauthAddress: 5,
  /** Pointer authentication, generic. `Cap.ArmPtrAuthGeneric` */
  ptrauthGeneric: 6,
  /** EL2: nested virtualization. */
  hasEl2: 7,
} as const;

/** `kvm_vcpu_init.features` has so many words of 32 bits. */
const FEATURE_WORDS = 7;

/** @internal Features are below this. */
export const FEATURES = FEATURE_WORDS * 32;

/** @internal The words of `kvm_vcpu_init.features` as numbers of features. */
export function featureNumbers(words: readonly number[]): number[] {
  return words.flatMap((word, at) =>
    Array.from({ length: 32 }, (_, bit) => at * 32 + bit).filter((bit) => ((word >>> (bit % 32)) & 1) === 1),
  );
}

/** @internal The inverse of {@link featureNumbers}. */
export function featureWords(features: readonly number[]): number[] {
  const words = Array.from({ length: FEATURE_WORDS }, () => 0);
  for (const feature of features) {
    const at = Math.floor(feature / 32);
    words[at] = (words[at]! | (1 << (feature % 32))) >>> 0;
  }
  return words;
}
