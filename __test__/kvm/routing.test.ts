import test from 'ava';

import { type KvmError, pcGsiRoutes, type GsiRoute } from '../../index.ts';
import { makeEvent, makeVm } from '../helpers/machine.ts';

const EINVAL = 22;
/** `struct kvm_irqchip`: chip id and padding, then `struct kvm_pic_state`: last_irr, irr, … */
const LAST_IRR = 8;

test('routes need interrupt controllers', (t) => {
  const vm = makeVm(t);
  const error = t.throws<KvmError>(() => vm.setGsiRouting(pcGsiRoutes()), { code: 'ERR_KVM_IOCTL' });
  t.is(error?.errno, EINVAL);
  t.is(error?.syscall, 'KVM_SET_GSI_ROUTING');
});

test('a line leads where its route says', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  const pending = (): readonly number[] => [0, 1].map((chip) => vm.getIrqchip(chip as 0 | 1)[LAST_IRR]!);
  vm.setIrqLine(5, true);
  t.deepEqual(pending(), [1 << 5, 0], 'the routes that KVM begins with');
  vm.setIrqLine(5, false);
  // Line 5 to pin 3 of the second PIC, line 6 nowhere.
  vm.setGsiRouting([{ type: 'irqchip', gsi: 5, irqchip: 1, pin: 3 }]);
  vm.setIrqLine(5, true);
  vm.setIrqLine(6, true);
  t.deepEqual(pending(), [0, 1 << 3]);
  vm.setIrqLine(5, false);
  vm.setGsiRouting(pcGsiRoutes());
  vm.setIrqLine(5, true);
  t.deepEqual(pending(), [1 << 5, 0], 'as it was before');
});

test('a line may lead to several controllers, and routes are 4096 at most', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  const routes = pcGsiRoutes();
  t.is(routes.length, 40);
  t.is(routes.filter(({ gsi }) => gsi === 7).length, 2);
  vm.setGsiRouting([]);
  const msi = (gsi: number): GsiRoute => ({ type: 'msi', gsi, addressLow: 0xfee0_0000, data: 0x40 });
  vm.setGsiRouting(Array.from({ length: 1024 }, (_, gsi) => msi(gsi)));
  t.throws(() => vm.setGsiRouting(Array.from({ length: 4097 }, (_, gsi) => msi(gsi))), {
    code: 'ERR_OUT_OF_RANGE',
  });
});

test('a route that leads nowhere is refused, and the others stay as they were', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  const refused = (route: GsiRoute): void => {
    const error = t.throws<KvmError>(() => vm.setGsiRouting([route]), { code: 'ERR_KVM_IOCTL' });
    t.is(error?.errno, EINVAL);
  };
  refused({ type: 'irqchip', gsi: 5, irqchip: 3, pin: 0 });
  refused({ type: 'irqchip', gsi: 5, irqchip: 2, pin: 24 });
  refused({ type: 'irqchip', gsi: 5000, irqchip: 0, pin: 0 });
  vm.setIrqLine(5, true);
  t.is(vm.getIrqchip(0)[LAST_IRR], 1 << 5);
});

test('a wrong route is an argument error that says which', (t) => {
  const vm = makeVm(t);
  const wrong = (route: unknown, code: string, message: RegExp): void =>
    void t.throws(() => vm.setGsiRouting([route as GsiRoute]), { code, message });
  wrong({ type: 'irqchp', gsi: 1 }, 'ERR_INVALID_ARG_VALUE', /routes\[0\]\.type.*did you mean 'irqchip'/);
  wrong({ type: 'irqchip', gsi: 1, irqchip: 0 }, 'ERR_INVALID_ARG_TYPE', /routes\[0\]\.pin/);
  wrong({ type: 'irqchip', gsi: -1, irqchip: 0, pin: 0 }, 'ERR_OUT_OF_RANGE', /routes\[0\]\.gsi/);
  wrong({ type: 'msi', gsi: 1, addressLow: 0 }, 'ERR_INVALID_ARG_TYPE', /routes\[0\]\.data/);
  wrong({ type: 'msi', gsi: 1, addressLow: 0, data: 0, pin: 1 }, 'ERR_INVALID_ARG_VALUE', /\.pin/);
  wrong({ type: 'hvSint', gsi: 1, vcpu: 0 }, 'ERR_INVALID_ARG_TYPE', /\.sint/);
  wrong(null, 'ERR_INVALID_ARG_TYPE', /routes\[0\]/);
  t.throws(() => vm.setGsiRouting({} as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('an event is bound to a line with a route of its own', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  vm.createVcpu();
  vm.setGsiRouting([...pcGsiRoutes(), { type: 'msi', gsi: 24, addressLow: 0xfee0_0000, data: 0x30 }]);
  const event = makeEvent(t);
  vm.registerIrqfd(event, 24);
  event.write();
  vm.unregisterIrqfd(event, 24);
  vm.close();
  t.throws(() => vm.setGsiRouting([]), { code: 'ERR_KVM_CLOSED' });
});

test("an MSI route may name a device, which x86's controllers do not look at", (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  const route = { type: 'msi', gsi: 24, addressLow: 0xfee0_0000, data: 0x30, deviceId: 1 } as const;
  t.notThrows(() => vm.setGsiRouting([route]));
  // x2APIC addresses alone have a high half.
  t.throws(() => vm.setGsiRouting([{ ...route, addressHigh: -1 }]), { code: 'ERR_OUT_OF_RANGE' });
});
