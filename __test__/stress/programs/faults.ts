/** A host that misbehaves: the faults come from fault-shim.c, preloaded. */
import { Cap, Kvm, KvmError, type Vcpu, type Vm } from '../../../index.ts';
import { enterUser, type Guest } from '../../helpers/guests.ts';
import { machine, main, startAt0x1000 } from './machine.ts';

/** Prints what a piece of work gives, or the error it fails with. */
async function report(work: () => unknown): Promise<void> {
  try {
    console.log(String(await work()));
  } catch (error) {
    if (!(error instanceof KvmError)) throw error;
    console.log(error.code, error.errno ?? '-', error.syscall ?? '-');
  }
}

function add(): string {
  const { vcpu } = machine('add-numbers');
  vcpu.setRegs({ rax: 2, rbx: 2 });
  let text = '';
  const end = vcpu.run({ ioOut: (exit) => void (text += String.fromCharCode(exit.value)) });
  return `${text.trim()} ${end.reason}`;
}

/**
 * A guest of the lowest privilege, which KVM-PVM, too, lets the processor run: `inc dword ptr [0x3000]`, then an
 * invalid opcode without a handler for it, which is a shutdown.
 */
function increment(): { vm: Vm; vcpu: Vcpu } {
  const kvm = new Kvm();
  const vm = kvm.createVm();
  const guest: Guest = {
    mode: 'long64',
    loadAddress: 0x1000,
    entry: 0x1000,
    bytes: Uint8Array.of(0xff, 0x04, 0x25, 0x00, 0x30, 0x00, 0x00, 0x0f, 0x0b),
  };
  vm.memory.map({ guestAddress: 0, size: 0x8000 });
  vm.memory.write(guest.loadAddress, guest.bytes);
  const vcpu = vm.createVcpu();
  enterUser(vcpu, guest);
  return { vm, vcpu };
}

/** in al, dx; hlt */
const readOnce = Uint8Array.of(0xba, 0x00, 0x05, 0xec, 0xf4);

await main({
  open: () => report(() => new Kvm().apiVersion),
  'create and run': () => report(add),
  async 'fail once, then work'() {
    // The machine that a fault hits is of use afterwards.
    const { vcpu } = machine('add-numbers');
    vcpu.setRegs({ rax: 2, rbx: 2 });
    const values: number[] = [];
    for (const lane of ['run', 'runSliced', 'runInBackground', 'run'] as const) {
      await report(async () => (await vcpu[lane]({ ioOut: (exit) => void values.push(exit.value) })).reason);
    }
    console.log(values.join(' '));
  },
  async 'memory out of reach'() {
    const { vm, vcpu } = increment();
    let said = '';
    for (const lane of ['run', 'runSliced', 'runInBackground', 'run'] as const) {
      await report(async () => {
        try {
          const end = await vcpu[lane]();
          return end.reason === 'exit' ? end.exit.kind : end.reason;
        } catch (error) {
          said = (error as Error).message;
          throw error;
        }
      });
      if (said !== '') console.log(said);
      said = '';
    }
    console.log(vm.memory.readUint32(0x3000));
  },
  'capabilities below zero'() {
    const kvm = new Kvm();
    const vm = kvm.createVm();
    for (const asked of [kvm, vm]) {
      console.log(asked.checkExtensionInt(Cap.SyncRegs), asked.checkExtension(Cap.SyncRegs));
    }
  },
  'registers without sync regs'() {
    const { vm, vcpu } = machine(readOnce);
    console.log('sync regs', vm.checkExtensionInt(Cap.SyncRegs));
    let seen = 0n;
    vcpu.setRegs({ rbx: 0x1234 });
    vcpu.run({
      ioIn(_exit, current) {
        seen = current.regs.rbx;
        current.regs.rcx = 0x5678n;
        current.setRegs({ rsi: 9 });
        return 0x2a;
      },
    });
    const { rax, rcx, rsi } = vcpu.getRegs();
    console.log(seen.toString(16), (rax & 0xffn).toString(16), rcx.toString(16), rsi.toString(16));
  },
  async 'memory slots'() {
    const vm = new Kvm().createVm();
    for (let slot = 0; slot < 3; slot++) {
      await report(() => vm.memory.map({ guestAddress: slot * 0x1000, size: 0x1000 }).slot);
    }
    await report(() => vm.memory.map({ guestAddress: 0x10_0000, size: 0x1000, slot: 7 }).slot);
    // One that is free again can be had again.
    vm.memory.regions[0]!.unmap();
    await report(() => vm.memory.map({ guestAddress: 0x2000, size: 0x1000 }).slot);
  },
  async vcpus() {
    const vm = new Kvm().createVm();
    for (let id = 0; id < 3; id++) await report(() => vm.createVcpu().id);
    await report(() => vm.createVcpu(4096).id);
  },
  async 'external buffers'() {
    const vm = new Kvm().createVm();
    vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
    for (const work of [() => vm.memory.view(0x1000, 16), () => vm.createVcpu()]) {
      try {
        work();
        console.log('it could');
      } catch (error) {
        console.log((error as KvmError).code, (error as KvmError).message);
      }
    }
    // What does without them works.
    vm.memory.write(0x1000, Uint8Array.of(1, 2, 3));
    console.log(vm.memory.read(0x1000, 3).join(' '));
  },
  async 'memory refused'() {
    const vm = new Kvm().createVm();
    await report(() => vm.memory.map({ guestAddress: 0x1000, size: 0x1000 }).slot);
    console.log('regions', vm.memory.regions.length);
    await report(() => vm.memory.map({ guestAddress: 0x1000, size: 0x1000 }).slot);
    const vcpu = vm.createVcpu();
    vm.memory.write(0x1000, Uint8Array.of(0xf4));
    startAt0x1000(vcpu);
    await report(() => vcpu.run().reason);
  },
});
