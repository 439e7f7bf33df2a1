/** What the parts of a `Vcpu` share: its native side, its run, and the question whether its state may be touched now. */
import { KvmError } from './errors.ts';
import type { NativeVcpu } from './native.ts';
import type { Runner } from './runner.ts';

/** One vCPU as its parts see it. */
export class VcpuAccess {
  readonly native: NativeVcpu;
  /** Set once, by the `Vcpu`: the run needs the whole of it. */
  runner!: Runner;
  /** `close()` was called here. */
  closedHere = false;
  /** It belongs to another isolate now. */
  transferred = false;

  constructor(native: NativeVcpu) {
    this.native = native;
  }

  /** Whether it is closed, here or with its machine. */
  get closed(): boolean {
    return this.closedHere || this.runner.view.closed;
  }

  /** Throws unless the vCPU is open and ours. */
  checkUsable(): void {
    if (this.transferred) {
      throw new KvmError('ERR_KVM_TRANSFERRED', 'the vCPU was transferred to another isolate');
    }
    if (this.closed) throw new KvmError('ERR_KVM_CLOSED', 'the Vcpu is closed');
  }

  /** State may be looked at between runs and in handlers. */
  checkState(): void {
    const { runner } = this;
    // The hot case, without a native call: in a handler of a vCPU whose pages are still there.
    if (runner.handling && runner.view.u8.length !== 0) return;
    this.checkUsable();
    if (runner.running && !runner.handling) throw registersBusy();
  }

  /** Makes a change of state when the access that is open is complete: now, or at the handler's end. */
  change(how: () => void): void {
    this.runner.change(how);
  }
}

function registersBusy(): KvmError {
  return new KvmError('ERR_KVM_BUSY', 'the vCPU is running: its registers can be used in its handlers only');
}
