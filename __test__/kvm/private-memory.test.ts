// Memory that the host cannot see, and encrypted machines: few hosts have them, all hosts say whether.
import test, { type ExecutionContext } from 'ava';

import { Cap, GuestMemfd, KvmError, MEMORY_ATTRIBUTE, type Vm } from '../../index.ts';
import { hasCapability } from '../helpers/capability.ts';
import { enter, findGuest } from '../helpers/guests.ts';
import { exitOf, makeVm, openKvm } from '../helpers/machine.ts';

/** `KVM_X86_SW_PROTECTED_VM`: private memory without a processor that encrypts. */
const SW_PROTECTED = 1;

/** A machine for private memory, or undefined: then the refusal was tested. */
function protectedVm(t: ExecutionContext): Vm | undefined {
  const kvm = openKvm(t);
  const plain = makeVm(t);
  const ask = (): unknown => plain.createGuestMemfd({ size: 0x1000 });
  if (!hasCapability(t, kvm, Cap.GuestMemfd, 'KVM_CAP_GUEST_MEMFD', ask)) return undefined;
  try {
    const vm = kvm.createVm({ type: SW_PROTECTED });
    t.teardown(() => vm.close());
    return vm;
  } catch (error) {
    t.is((error as KvmError).code, 'ERR_KVM_IOCTL');
    if (plain.checkExtension(Cap.GuestMemfd)) {
      t.log('this host has no software-protected machines: an ordinary one was used');
      return plain;
    }
    // Kernels before 6.17 have none for ordinary machines, whatever they say of the host.
    t.throws(ask, { instanceOf: KvmError, code: 'ERR_KVM_UNSUPPORTED', message: /KVM_CAP_GUEST_MEMFD/ });
    t.log('this host has private memory for other machines: only the refusal was tested');
    return undefined;
  }
}

test('private memory is the other side of a region, and the guest runs on the shared one', (t) => {
  const vm = protectedVm(t);
  if (vm === undefined) return;
  using memfd = vm.createGuestMemfd({ size: 0x8000 });
  t.is(memfd.size, 0x8000);
  t.true(memfd.fd > 2);
  const place = { guestAddress: 0, size: 0x4000, guestMemfd: memfd, guestMemfdOffset: 0x4000 };
  try {
    vm.memory.map(place);
  } catch (error) {
    // Kernels before 6.17 place it in machines only that have private memory.
    t.is((error as KvmError).syscall, 'KVM_SET_USER_MEMORY_REGION2');
    return;
  }
  const { bytes, loadAddress } = findGuest('dirty-one-page');
  vm.memory.write(loadAddress, bytes);
  vm.memory.map({ guestAddress: 0x4000, size: 0x4000 });
  if (vm.checkExtension(Cap.MemoryAttributes)) {
    vm.setMemoryAttributes({ address: 0, size: 0x4000, attributes: MEMORY_ATTRIBUTE.PRIVATE });
    vm.setMemoryAttributes({ address: 0, size: 0x4000, attributes: 0 });
    const range = { address: 0, size: 0x1000, attributes: 1n << 40n };
    const error = t.throws<KvmError>(() => vm.setMemoryAttributes(range), { code: 'ERR_KVM_IOCTL' });
    t.is(error?.errno, 22);
    t.is(error?.syscall, 'KVM_SET_MEMORY_ATTRIBUTES');
  }
  const vcpu = vm.createVcpu();
  enter(vcpu, findGuest('dirty-one-page'), { rsi: 0x5000 });
  exitOf(vcpu.run({}, { timeoutMs: 5000 }), 'hlt');
  vm.memory.regions[0]!.unmap();
  vm.memory.map(place);
});

test('private memory that is too short, or closed, is refused', (t) => {
  const vm = protectedVm(t);
  if (vm === undefined) return;
  const memfd = vm.createGuestMemfd({ size: 0x4000 });
  const place = { guestAddress: 0x10_0000, size: 0x4000, guestMemfd: memfd };
  t.throws(() => vm.memory.map({ ...place, guestMemfdOffset: 0x1000 }), {
    instanceOf: KvmError,
    code: 'ERR_KVM_MEMORY_BOUNDS',
    message: /has 0x4000 bytes, the region needs 0x4000 at 0x1000/,
  });
  t.throws(() => vm.memory.map({ ...place, guestMemfdOffset: 1 }), { code: 'ERR_INVALID_ARG_VALUE' });
  const error = t.throws<KvmError>(() => vm.createGuestMemfd({ size: 0x1000, flags: 1n << 63n }), {
    code: 'ERR_KVM_IOCTL',
  });
  t.is(error?.syscall, 'KVM_CREATE_GUEST_MEMFD');
  t.false(memfd.closed);
  memfd.close();
  memfd.close();
  t.true(memfd.closed);
  t.throws(() => memfd.fd, { code: 'ERR_KVM_CLOSED' });
  t.throws(() => vm.memory.map(place), { code: 'ERR_KVM_CLOSED' });
  t.deepEqual(vm.memory.regions, []);
});

test('memory attributes are refused where the host has none', (t) => {
  const vm = makeVm(t);
  const set = (): void => vm.setMemoryAttributes({ address: 0, size: 0x1000, attributes: 0 });
  // What an ordinary machine can do is asked of the machine.
  if (vm.checkExtension(Cap.MemoryAttributes)) {
    t.notThrows(set);
    return;
  }
  const error = t.throws<KvmError>(set, { instanceOf: KvmError, code: 'ERR_KVM_UNSUPPORTED' });
  t.regex(error?.message ?? '', /KVM \(\w+\) lacks KVM_CAP_MEMORY_ATTRIBUTES/);
});

test('wrong arguments are refused before the host is asked', (t) => {
  const vm = makeVm(t);
  t.throws(() => vm.createGuestMemfd({ size: 0x1001 }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vm.createGuestMemfd({ size: 0 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.createGuestMemfd({ size: 0x1000, flag: 1 } as never), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vm.createGuestMemfd({ size: 0x1000, flags: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.setMemoryAttributes({ address: 1, size: 0x1000, attributes: 0 }), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
  t.throws(() => vm.setMemoryAttributes({ address: 0, size: 0x1000 } as never), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
  t.throws(() => vm.memory.map({ guestAddress: 0, size: 0x1000, guestMemfd: {} as never }), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
  t.throws(
    () =>
      vm.memory.map({
        guestAddress: 0,
        size: 0x1000,
        guestMemfd: Object.create(GuestMemfd.prototype) as GuestMemfd,
      }),
    { code: 'ERR_INVALID_ARG_TYPE' },
  );
  t.throws(() => Reflect.construct(GuestMemfd, []), { code: 'ERR_ILLEGAL_CONSTRUCTOR' });
});

// ---- encrypted machines

/** Whether the host encrypts: it is asked without a command. */
function encrypts(t: ExecutionContext, vm: Vm): boolean {
  try {
    vm.encryptOp();
    return true;
  } catch (error) {
    t.true(error instanceof KvmError);
    const { code, message, errno, syscall } = error as KvmError;
    t.is(syscall, 'KVM_MEMORY_ENCRYPT_OP');
    if (code !== 'ERR_KVM_UNSUPPORTED') return true;
    t.regex(message, /this host's KVM \(\w+\) lacks encrypted machines/);
    t.is(errno, 25);
    return false;
  }
}

test('commands for encrypted machines are refused where the host does not encrypt', (t) => {
  const vm = makeVm(t);
  vm.memory.map({ guestAddress: 0, size: 0x4000 });
  if (encrypts(t, vm)) {
    t.log('this host encrypts: the refusals could not be tested');
    return;
  }
  const unsupported = { instanceOf: KvmError, code: 'ERR_KVM_UNSUPPORTED' };
  t.throws(() => vm.encryptOpSev({ id: 0 }), unsupported);
  t.throws(() => vm.encryptOpSev({ id: 3, data: updateData(0x1000), pointers: [pointer] }), unsupported);
  t.throws(() => vm.registerEncMemoryRegion(0, 0x1000), unsupported);
  t.throws(() => vm.unregisterEncMemoryRegion(0, 0x1000), unsupported);
});

/** `struct kvm_sev_launch_update_data`: an address, and how many bytes from there. */
function updateData(length: number, address = 0n): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, address, true);
  view.setUint32(8, length, true);
  return new Uint8Array(view.buffer);
}

const LAUNCH_UPDATE_DATA = 3;
const pointer = { offset: 0, guestAddress: 0x1000 };

test('addresses of commands for encrypted machines are those of guest memory, and no others', (t) => {
  const vm = makeVm(t);
  vm.memory.map({ guestAddress: 0, size: 0x4000 });
  const refused = (code: string, data: Uint8Array, ...pointers: (typeof pointer)[]): void => {
    const before = Uint8Array.from(data);
    t.throws(() => vm.encryptOpSev({ id: LAUNCH_UPDATE_DATA, data, pointers }), {
      instanceOf: KvmError,
      code,
    });
    t.deepEqual(data, before, "the caller's bytes stay as they were");
  };
  refused('ERR_KVM_MEMORY_BOUNDS', updateData(0x4000), pointer);
  refused('ERR_KVM_MEMORY_BOUNDS', updateData(1), { offset: 0, guestAddress: 0x4000 });
  refused('ERR_KVM_STATE', updateData(0x1000), { ...pointer, offset: 8 });
  refused('ERR_KVM_STATE', updateData(0x1000, 0x7fff_0000_0000n));
  refused('ERR_KVM_STATE', new Uint8Array(15), pointer);
  refused('ERR_KVM_STATE', new Uint8Array(0));
  t.throws(() => vm.encryptOpSev({ id: 9999 }), { code: 'ERR_KVM_UNSUPPORTED', message: /command 9999/ });
  t.throws(() => vm.registerEncMemoryRegion(0x3000, 0x2000), { code: 'ERR_KVM_MEMORY_BOUNDS' });
});

test('wrong arguments of commands for encrypted machines are refused', (t) => {
  const vm = makeVm(t);
  const send = (command: object): void => void vm.encryptOpSev({ id: LAUNCH_UPDATE_DATA, ...command });
  t.throws(() => send({ pointers: [{ ...pointer, guestAddress: -1 }] }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => send({ pointers: [{ ...pointer, size: 1 }] }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => send({ id: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => send({ data: 'x' }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vm.encryptOpSev(undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
  vm.close();
  t.throws(() => vm.encryptOp(), { code: 'ERR_KVM_CLOSED' });
});
