// What the compiler must say about options, registers and devices. Never run: compiled by the type check.
import {
  Cap,
  EventFd,
  GuestMemfd,
  GuestMemory,
  Kvm,
  KvmDevice,
  Serial,
  Vcpu,
  Vm,
  type Device,
  type GsiRoute,
  type KickHandle,
  type VcpuToken,
} from '../../index.ts';

declare const kvm: Kvm;
declare const vm: Vm;
declare const vcpu: Vcpu;

// ---- constructors that are not for callers

// @ts-expect-error machines are made by createVm()
export const noVm = new Vm();
// @ts-expect-error vCPUs are made by createVcpu()
export const noVcpu = new Vcpu();
// @ts-expect-error memory belongs to a machine
export const noMemory = new GuestMemory();

// @ts-expect-error devices are made by createDevice()
export const noDevice = new KvmDevice();
// @ts-expect-error private memory is made by createGuestMemfd()
export const noMemfd = new GuestMemfd();

// ---- routes, filters and state

export const gsiRoutes: GsiRoute[] = [
  { type: 'irqchip', gsi: 4, irqchip: 2, pin: 4 },
  { type: 'msi', gsi: 24, addressLow: 0xfee0_0000, data: 0x30 },
  { type: 'hvSint', gsi: 25, vcpu: 0, sint: 2 },
];
// @ts-expect-error a message has no pin
vm.setGsiRouting([{ type: 'msi', gsi: 24, addressLow: 0, data: 0, pin: 1 }]);
// @ts-expect-error only these two
vm.setMsrFilter({ defaultAction: 'ask' });
vcpu.setVcpuEvents({ exception: { injected: 1, nr: 6 } });
// What get gives, set takes.
vcpu.setVcpuEvents(vcpu.getVcpuEvents());
vcpu.setFpu(vcpu.getFpu());
vcpu.setXcrs(vcpu.getXcrs());
vcpu.setDebugRegs(vcpu.getDebugRegs());
vcpu.setSregs2(vcpu.getSregs2());
vcpu.setXsave2(vcpu.getXsave2());
vcpu.setNestedState(vcpu.getNestedState());
// @ts-expect-error no such event
vcpu.setVcpuEvents({ exeption: {} });

// ---- options

export const byPath = new Kvm({ path: '/dev/kvm' });
// @ts-expect-error no such option
export const misspelt = new Kvm({ pth: '/dev/kvm' });
kvm.checkExtension(Cap.SyncRegs);
kvm.checkExtension(1);
// @ts-expect-error capabilities are numbers
kvm.checkExtension('SyncRegs');

vm.memory.map({ guestAddress: 0, size: 4096, backing: { path: '/tmp/x' } });
// @ts-expect-error the size is missing
vm.memory.map({ guestAddress: 0 });
// @ts-expect-error no such kind of memory
vm.memory.map({ guestAddress: 0, size: 4096, backing: 'hugetlb' });
// @ts-expect-error addresses are numbers
vm.memory.map({ guestAddress: 0n, size: 4096 });

vm.registerIoevent(new EventFd(), { port: 1 }, { length: 8, datamatch: 1n });
// @ts-expect-error no access has this length
vm.registerIoevent(new EventFd(), { port: 1 }, { length: 3 });
// @ts-expect-error a place is needed
vm.registerIoevent(new EventFd(), {});
// @ts-expect-error a descriptor's number is no EventFd
vm.registerIoevent(3, { port: 1 });
vm.getIrqchip(2);
// @ts-expect-error there are three
vm.getIrqchip(3);

vcpu.run({}, { timeoutMs: 1, syncRegs: true });
// @ts-expect-error nothing could fire a signal while this thread is in the guest
vcpu.run({}, { signal: AbortSignal.abort() });
void vcpu.runSliced({}, { signal: AbortSignal.abort(), budgetMs: 5 });
void vcpu.runInBackground({}, { signal: AbortSignal.abort() });
// @ts-expect-error slices are the sliced lane's
void vcpu.runInBackground({}, { budgetMs: 5 });

// ---- registers

vcpu.setRegs({ rax: 1, rbx: 2n });
vcpu.setSregs({ cs: { base: 0, selector: 8 }, cr3: 0x1000 });
vcpu.regs.rax += 1n;
// @ts-expect-error registers read as bigints, and the live view takes those
vcpu.regs.rax = 1;
// @ts-expect-error no such register
vcpu.setRegs({ eax: 1 });
// @ts-expect-error no such register
void vcpu.regs.eax;
export const cr0: bigint = vcpu.getSregs().cr0;

// ---- devices

const device: Device = {
  read: (offset, size) => offset + size,
  write: async (_offset, value: number) => void value,
  read64: () => 1n,
};
vm.io.attach({ base: 1, length: 1 }, device, { posted: true });
vm.io.attach({ base: 1, length: 1 }, new Serial());
// @ts-expect-error a device reads numbers
export const wrongDevice: Device = { read: () => 1n };
// @ts-expect-error and 64 bits as bigints
export const wrongWideDevice: Device = { read64: () => 1 };

// ---- what crosses threads

export const token: VcpuToken = vcpu.transfer();
export const adopted: Vcpu = Vcpu.adopt(token);
export const handle: KickHandle = vcpu.kickHandle;
// @ts-expect-error a handle is no token
Vcpu.adopt(handle);
