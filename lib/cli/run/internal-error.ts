import { INTERNAL_ERROR } from '../../generated/run-page.ts';

/** In a person's words, by the constants of `<linux/kvm.h>`. */
const names: Readonly<Record<number, string>> = {
  [INTERNAL_ERROR.EMULATION]: 'emulation failure (KVM_INTERNAL_ERROR_EMULATION)',
  [INTERNAL_ERROR.SIMUL_EX]: 'two exceptions at once (KVM_INTERNAL_ERROR_SIMUL_EX)',
  [INTERNAL_ERROR.DELIVERY_EV]: 'an exit while an event was delivered (KVM_INTERNAL_ERROR_DELIVERY_EV)',
  [INTERNAL_ERROR.UNEXPECTED_EXIT_REASON]:
    'an exit that KVM did not expect (KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON)',
};

/** What an internal error's sub-error is called. */
export function internalErrorName(suberror: number): string {
  return names[suberror] ?? `sub-error ${suberror}`;
}
