import { Cap } from '../../generated/capabilities.ts';
import type { Kvm } from '../../kvm/kvm.ts';
import type { Vcpu } from '../../kvm/vcpu.ts';
import type { Vm } from '../../kvm/vm.ts';
import { IDENTITY_MAP_ADDRESS, TSS_ADDRESS } from '../../machine/layout-x86.ts';
import type { RunPlan } from './plan.ts';

/** A VM with the plan's memory, filled, and its interrupt controllers. */
export function makeVm(kvm: Kvm, { ram, program, firmware, irqchip }: RunPlan): Vm {
  const vm = kvm.createVm();
  if (kvm.checkExtension(Cap.SetIdentityMapAddr)) vm.setIdentityMapAddress(IDENTITY_MAP_ADDRESS);
  if (kvm.checkExtension(Cap.SetTssAddr)) vm.setTssAddress(TSS_ADDRESS);
  if (irqchip) {
    vm.createIrqChip();
    // Port 0x61, which firmware uses to wait by the timer, is the timer's then.
    vm.createPit2({ speakerDummy: true });
  }
  for (const { guestAddress, size } of ram) vm.memory.map({ guestAddress, size });
  for (const { address, bytes } of program?.placements ?? []) vm.memory.write(address, bytes);
  if (firmware !== undefined) {
    const { rom, shadow } = firmware;
    vm.memory.map({ guestAddress: rom.guestAddress, size: rom.size, readOnly: true });
    vm.memory.write(rom.guestAddress, rom.bytes);
    vm.memory.write(shadow.address, shadow.bytes);
  }
  return vm;
}

/** The vCPU, about to execute the program's first instruction, or as after reset for firmware. */
export function makeVcpu(kvm: Kvm, vm: Vm, { program }: RunPlan): Vcpu {
  const vcpu = vm.createVcpu();
  vcpu.setCpuid2(kvm.getSupportedCpuid());
  if (program !== undefined) {
    vcpu.setSregs(program.start.sregs);
    vcpu.setRegs(program.start.regs);
  }
  return vcpu;
}
