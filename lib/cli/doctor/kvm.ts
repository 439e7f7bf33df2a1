import { Kvm } from '../../kvm/kvm.ts';
import { readCapabilities } from './capabilities.ts';
import type { KvmFacts, KvmFailure, TrialRun } from './facts.ts';

/** CPUID leaf whose eax has the number of physical address bits in its low byte (AMD APM volume 3, appendix E). */
const ADDRESS_SIZES = 0x8000_0008;

/** Opens KVM, asks all that the doctor wants to know, runs the smallest guest, and closes it again. */
export function readKvm(path: string): { kvm: KvmFacts | undefined; failure: KvmFailure | undefined } {
  let kvm: Kvm | undefined;
  try {
    kvm = new Kvm({ path });
    return { kvm: factsOf(kvm), failure: undefined };
  } catch (error) {
    return { kvm: undefined, failure: failureOf(error) };
  } finally {
    kvm?.close();
  }
}

function failureOf(error: unknown): KvmFailure {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'ERR_KVM_INTERNAL';
  return { code, message: error instanceof Error ? error.message : String(error) };
}

function factsOf(kvm: Kvm): KvmFacts {
  const addressSizes = kvm.getSupportedCpuid().find((leaf) => leaf.function === ADDRESS_SIZES);
  return {
    apiVersion: kvm.apiVersion,
    capabilities: readCapabilities((cap) => kvm.checkExtensionInt(cap)),
    limits: {
      recommendedVcpus: kvm.getNrVcpus(),
      vcpus: kvm.getMaxVcpus(),
      vcpuId: kvm.getMaxVcpuId(),
      memorySlots: kvm.getNrMemslots(),
      physicalBits: addressSizes === undefined ? undefined : addressSizes.eax & 0xff,
    },
    trial: trialRun(kvm),
  };
}

/** `mov al, 42; out 0x10, al; hlt`: one exit with data and one without. */
const program = Uint8Array.of(0xb0, 0x2a, 0xe6, 0x10, 0xf4);

/** Whether a guest runs: all the questions before are only promises. */
function trialRun(kvm: Kvm): TrialRun {
  const start = performance.now();
  try {
    const vm = kvm.createVm();
    vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
    vm.memory.write(0x1000, program);
    const vcpu = vm.createVcpu();
    vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
    vcpu.setRegs({ rip: 0x1000, rflags: 2 });
    let seen: number | undefined;
    const end = vcpu.run({ ioOut: ({ value }) => void (seen = value) }, { timeoutMs: 2000 });
    const kind = end.reason === 'exit' ? end.exit.kind : end.reason;
    vm.close();
    return kind === 'hlt' && seen === 42
      ? { ok: true, ms: performance.now() - start }
      : { ok: false, message: `it ended by ${kind}, with ${seen ?? 'nothing'} at its port` };
  } catch (error) {
    const { message } = failureOf(error);
    const errno = error instanceof Error && 'errno' in error ? errnoName(error.errno) : undefined;
    return { ok: false, message, ...(errno === undefined ? {} : { errno }) };
  }
}

/** EBUSY is the one that the advice knows: another hypervisor has the processor. */
function errnoName(errno: unknown): string | undefined {
  return errno === 16 ? 'EBUSY' : undefined;
}
