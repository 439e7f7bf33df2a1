/** Which of the two architectures this process runs on, and the refusal of what belongs to the other one. */
import { KvmError } from './errors.ts';

/** Architectures by Node's names. */
export type Architecture = 'x64' | 'arm64';

const NAMES: Record<Architecture, string> = { x64: 'x86_64', arm64: 'aarch64' };

/** Asked once: `process` is slow at telling. */
const HERE = process.arch;

/** Throws `ERR_KVM_UNSUPPORTED` unless this is that architecture. */
export function only(architecture: Architecture, ioctl: string): void {
  if (HERE === architecture) return;
  throw absent(architecture, ioctl);
}

function absent(architecture: Architecture, ioctl: string): KvmError {
  const here = NAMES[HERE as Architecture] ?? HERE;
  return new KvmError(
    'ERR_KVM_UNSUPPORTED',
    `${ioctl} exists on ${NAMES[architecture]} only; this host is ${here}`,
  );
}
