import test, { type ExecutionContext } from 'ava';

import { DEVICE_TYPE, KvmDevice, KvmError, type Vm } from '../../index.ts';
import { makeVm } from '../helpers/machine.ts';

/** `KVM_DEV_VFIO_FILE`, and what can be done in it. */
const VFIO_FILE = 1;
const VFIO_FILE_ADD = 1;

/** Whether the host has VFIO's device; a kernel may be built without it. */
function hasVfio(t: ExecutionContext, vm: Vm): boolean {
  if (vm.hasDeviceType(DEVICE_TYPE.VFIO)) return true;
  t.log('this kernel is built without VFIO: only the refusal was tested');
  t.throws(() => vm.createDevice(DEVICE_TYPE.VFIO), { instanceOf: KvmError, code: 'ERR_KVM_UNSUPPORTED' });
  return false;
}

test('a type of device that nobody has is refused, with the reason', (t) => {
  const vm = makeVm(t);
  t.false(vm.hasDeviceType(0x1234_5678));
  const error = t.throws<KvmError>(() => vm.createDevice(0x1234_5678), {
    instanceOf: KvmError,
    code: 'ERR_KVM_UNSUPPORTED',
    message: /this host's KVM \(\w+\) lacks devices of type 305419896/,
  });
  t.is(error?.errno, 19);
  t.is(error?.syscall, 'KVM_CREATE_DEVICE');
  t.throws(() => vm.createDevice(-1), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.createDevice('4' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vm.hasDeviceType(1.5), { code: 'ERR_OUT_OF_RANGE' });
});

test('asking for a device makes none', (t) => {
  const vm = makeVm(t);
  if (!hasVfio(t, vm)) return;
  // A machine has one device of this type: it could not be made after it was asked for otherwise.
  t.true(vm.hasDeviceType(DEVICE_TYPE.VFIO));
  const device = vm.createDevice(DEVICE_TYPE.VFIO);
  t.is(device.type, DEVICE_TYPE.VFIO);
  const again = t.throws<KvmError>(() => vm.createDevice(DEVICE_TYPE.VFIO), { code: 'ERR_KVM_IOCTL' });
  t.is(again?.syscall, 'KVM_CREATE_DEVICE');
});

test('a device has the attributes that it has', (t) => {
  const vm = makeVm(t);
  if (!hasVfio(t, vm)) return;
  using device = vm.createDevice(DEVICE_TYPE.VFIO);
  t.true(device.hasDeviceAttr(VFIO_FILE, VFIO_FILE_ADD));
  t.false(device.hasDeviceAttr(VFIO_FILE, 99n));
  t.false(device.hasDeviceAttr(99, 0));
  // What is no group of VFIO's is refused by the device, not by us.
  const refused = t.throws<KvmError>(
    () => device.setDeviceAttr(VFIO_FILE, VFIO_FILE_ADD, Int32Array.of(-1)),
    { instanceOf: KvmError, code: 'ERR_KVM_IOCTL' },
  );
  t.is(refused?.errno, 9);
  t.is(refused?.syscall, 'KVM_SET_DEVICE_ATTR');
});

test('an attribute that does not exist has its own error', (t) => {
  const vm = makeVm(t);
  if (!hasVfio(t, vm)) return;
  using device = vm.createDevice(DEVICE_TYPE.VFIO);
  const set = t.throws<KvmError>(() => device.setDeviceAttr(99, 7, Uint8Array.of(1)), {
    instanceOf: KvmError,
    code: 'ERR_KVM_NO_ATTRIBUTE',
    message: 'there is no attribute 0x7 in group 99',
  });
  t.is(set?.errno, 6);
  t.is(set?.syscall, 'KVM_SET_DEVICE_ATTR');
  // VFIO's device has nothing that can be read: the kernel has no such call for it.
  const get = t.throws<KvmError>(() => device.getDeviceAttr(VFIO_FILE, VFIO_FILE_ADD, 4), {
    instanceOf: KvmError,
  });
  t.is(get?.syscall, 'KVM_GET_DEVICE_ATTR');
});

test('wrong arguments are refused before the device is asked', (t) => {
  const vm = makeVm(t);
  if (!hasVfio(t, vm)) return;
  using device = vm.createDevice(DEVICE_TYPE.VFIO);
  t.throws(() => device.hasDeviceAttr(-1, 0), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => device.hasDeviceAttr(0, 2n ** 64n), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => device.setDeviceAttr(0, 0, 'x' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => device.setDeviceAttr(0, 0, new Uint8Array(4097)), { code: 'ERR_KVM_STATE' });
  for (const size of [0, -1, 4097, 1.5])
    t.throws(() => device.getDeviceAttr(0, 0, size), { code: 'ERR_OUT_OF_RANGE' });
});

test('a device is closed once, or with its machine; then it refuses everything', (t) => {
  const vm = makeVm(t);
  if (!hasVfio(t, vm)) return;
  const device = vm.createDevice(DEVICE_TYPE.VFIO);
  t.false(device.closed);
  device.close();
  device.close();
  t.true(device.closed);
  const other = makeVm(t);
  const second = other.createDevice(DEVICE_TYPE.VFIO);
  other.close();
  t.true(second.closed);
  for (const one of [device, second]) {
    t.throws(() => one.hasDeviceAttr(1, 1), { code: 'ERR_KVM_CLOSED' });
    t.throws(() => one.setDeviceAttr(1, 1), { code: 'ERR_KVM_CLOSED' });
    t.throws(() => one.getDeviceAttr(1, 1, 1), { code: 'ERR_KVM_CLOSED' });
  }
  t.throws(() => other.createDevice(DEVICE_TYPE.VFIO), { code: 'ERR_KVM_CLOSED' });
  t.throws(() => other.hasDeviceType(DEVICE_TYPE.VFIO), { code: 'ERR_KVM_CLOSED' });
});

test('nobody but a machine makes a device', (t) => {
  t.throws(() => Reflect.construct(KvmDevice, []), { code: 'ERR_ILLEGAL_CONSTRUCTOR' });
});
