/** The virtual machines of the exit benchmarks, with the same guest programs that the native control runs. */
import { EventFd, Kvm, type Vcpu, type Vm } from '../../index.ts';
import { native } from '../internal/native.ts';
import type { ExitKind } from './exit-kinds.ts';

/** The layout that all guest programs share. */
export interface GuestLayout {
  readonly program: Uint8Array;
  readonly guestAddress: number;
  readonly accessPort: number;
  readonly mmioAddress: number;
  readonly markerPort: number;
  readonly exitsPerBlock: number;
}

export function guestLayout(kind: ExitKind): GuestLayout {
  return native().measureGuest(kind);
}

/** A virtual machine that is about to run the guest program of one kind. */
export class BenchGuest {
  readonly kind: ExitKind;
  readonly layout: GuestLayout;
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  /** Takes the writes that are no exits, with 'ioeventfd'. */
  readonly event: EventFd | undefined;

  constructor(kind: ExitKind) {
    this.kind = kind;
    this.layout = guestLayout(kind);
    this.kvm = new Kvm();
    this.vm = this.kvm.createVm();
    const { guestAddress, program } = this.layout;
    this.vm.memory.map({ guestAddress, size: 0x1000 });
    this.vm.memory.write(guestAddress, program);
    if (kind === 'ioeventfd') {
      this.event = new EventFd();
      this.vm.registerIoevent(this.event, { port: this.layout.accessPort }, { length: 1 });
    }
    this.vcpu = this.vm.createVcpu();
    this.vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
    this.vcpu.setRegs({ rip: guestAddress, rflags: 2 });
  }

  /** Where the measured accesses of a device of this guest arrive: one byte. */
  attach(device: Parameters<Vm['io']['attach']>[1], options?: { posted: boolean }): void {
    const { accessPort, mmioAddress } = this.layout;
    if (this.kind === 'mmioRead' || this.kind === 'mmioWrite') {
      this.vm.mmio.attach({ base: mmioAddress, length: 1 }, device, options);
    } else {
      this.vm.io.attach({ base: accessPort, length: 1 }, device, options);
    }
  }

  close(): void {
    this.vm.close();
    this.event?.close();
    this.kvm.close();
  }
}
