/** What a test does where the host lacks a capability: it sees the refusal, says so, and is done. */
import type { ExecutionContext } from 'ava';

import { KvmError, type Kvm } from '../../index.ts';

/** Whether the host has the capability; otherwise the call must be refused with an error that names it. */
export function hasCapability(
  t: ExecutionContext,
  kvm: Kvm,
  capability: number,
  name: string,
  refused: () => unknown,
): boolean {
  if (kvm.checkExtension(capability)) return true;
  const error = t.throws<KvmError>(refused, { instanceOf: KvmError, code: 'ERR_KVM_UNSUPPORTED' });
  t.true(error?.message.includes(name), `${error?.message} names ${name}`);
  t.regex(error?.message ?? '', /this host's KVM \(\w+\)/);
  t.log(`this host lacks ${name}: only the refusal was tested`);
  return false;
}
