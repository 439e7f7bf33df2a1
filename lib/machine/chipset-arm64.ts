import { Cap } from '../generated/capabilities.ts';
import { Pl031, PvPanic, disconnect } from '../kvm/rust-devices.ts';
import type { Vm } from '../kvm/vm.ts';
import { Chipset } from './chipset.ts';
import type { MachinePlan } from './config.ts';
import { DEVICES, INTERRUPTS } from './layout-arm64.ts';

/** The devices that the device tree of an aarch64 machine tells of. */
export class ChipsetArm64 extends Chipset {
  readonly #rtc: Pl031;
  readonly #pvpanic = new PvPanic();

  constructor(plan: MachinePlan) {
    super(plan, INTERRUPTS);
    this.#rtc = new Pl031({ interrupt: this.line(INTERRUPTS.rtc) });
    this.remember([this.#rtc, this.#pvpanic]);
  }

  protected attachDevices(vm: Vm): void {
    this.attachSerial(vm.mmio, vm.checkExtension(Cap.CoalescedMmio), [DEVICES.serial, DEVICES.serial2]);
    vm.mmio.attach({ base: DEVICES.rtc, length: 0x1000 }, this.#rtc);
    vm.mmio.attach({ base: DEVICES.bootTimer, length: 1 }, this.bootTimer);
    vm.mmio.attach({ base: DEVICES.pvpanic, length: 2 }, this.#pvpanic);
  }

  override close(): void {
    disconnect(this.#rtc);
    super.close();
  }
}
