/** What the end of one vCPU's run means for its machine. */
import { KvmError } from '../internal/errors.ts';
import type { Exit } from '../kvm/exits.ts';
import type { RunResult } from '../kvm/handlers.ts';
import type { Vcpu } from '../kvm/vcpu.ts';
import type { MachineEnd } from './exit.ts';

/** Why the machine ends. */
export function endOf(vcpu: Vcpu, result: RunResult): MachineEnd {
  switch (result.reason) {
    case 'device':
      return endByDevice(result);
    case 'exit':
    case 'stopped':
      return endByExit(vcpu, result.exit);
    case 'timeout':
    case 'kicked':
      return { reason: 'killed' };
  }
}

/** `KVM_SYSTEM_EVENT_*`: what a guest asked PSCI for, in the kernel. */
const SYSTEM_EVENTS: Readonly<Record<number, MachineEnd>> = {
  1: { reason: 'poweroff' },
  2: { reason: 'reset' },
  3: { reason: 'panic', message: undefined },
};

function endByDevice({ device, code }: Extract<RunResult, { reason: 'device' }>): MachineEnd {
  switch (device) {
    case 'acpi-sleep':
      return { reason: 'poweroff' };
    case 'pvpanic':
      return { reason: 'panic', message: undefined };
    case 'isa-debug-exit':
      return { reason: 'exit', code };
    case 'i8042':
    case 'acpi-reset':
      return { reason: 'reset' };
  }
}

function endByExit(vcpu: Vcpu, exit: Exit): MachineEnd {
  if (exit.kind === 'shutdown') return { reason: 'tripleFault', vcpu: vcpu.id };
  const known = exit.kind === 'systemEvent' ? SYSTEM_EVENTS[exit.type] : undefined;
  if (known !== undefined) return known;
  const error = new KvmError(
    'ERR_KVM_GUEST',
    `vCPU ${vcpu.id} cannot go on: ${exit.kind} ${details(exit)}`.trimEnd(),
  );
  return { reason: 'error', error };
}

/** The fields of an exit in one line. */
function details(exit: Exit): string {
  return Object.entries(exit)
    .filter(([key, value]) => key !== 'kind' && typeof value !== 'object' && typeof value !== 'function')
    .map(([key, value]) => `${key}=${typeof value === 'bigint' ? `0x${value.toString(16)}` : String(value)}`)
    .join(' ');
}
