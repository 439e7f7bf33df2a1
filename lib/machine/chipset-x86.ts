import { Cap } from '../generated/capabilities.ts';
import { AcpiPower, Cmos, I8042, PvPanic } from '../kvm/rust-devices.ts';
import type { RustDevice } from '../kvm/rust-devices.ts';
import type { Vm } from '../kvm/vm.ts';
import { Chipset } from './chipset.ts';
import type { MachinePlan } from './config.ts';
import { BOOT_TIMER_ADDRESS, INTERRUPTS, PORTS } from './layout-x86.ts';

/** The devices of a PC that a guest without PCI still looks for. */
export class ChipsetX86 extends Chipset {
  readonly #others: { readonly base: number; readonly length: number; readonly device: RustDevice }[];

  constructor(plan: MachinePlan) {
    super(plan, INTERRUPTS);
    this.#others = [
      { ...PORTS.i8042, device: new I8042() },
      { ...PORTS.cmos, device: new Cmos({ memorySize: plan.memory }) },
      { ...PORTS.bootTimer, device: this.bootTimer },
      { ...PORTS.pvpanic, device: new PvPanic() },
      { ...PORTS.acpiPower, device: new AcpiPower() },
    ];
    if (this.debugConsole !== undefined) {
      this.#others.push({ base: plan.debugConsole!, length: 1, device: this.debugConsole });
    }
    this.remember(this.#others.map((other) => other.device));
  }

  protected attachDevices(vm: Vm): void {
    this.attachSerial(vm.io, vm.checkExtension(Cap.CoalescedPio), [PORTS.com1.base, PORTS.com2.base]);
    for (const { base, length, device } of this.#others) vm.io.attach({ base, length }, device);
    vm.mmio.attach({ base: BOOT_TIMER_ADDRESS, length: 1 }, this.bootTimer);
  }
}
