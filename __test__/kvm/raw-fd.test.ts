// Descriptors of KVM that somebody else made: taken when they are what they should be, refused before use otherwise.
import { closeSync, openSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';

import { Kvm, KvmError } from '../../index.ts';
import {
  ENTRY,
  OUTPUT,
  boot,
  ended,
  enter,
  getRegister,
  load,
  onArm,
  setRegisters,
} from '../helpers/common-guests.ts';
import { RAM_SIZE, exitOf, makeEvent, makeVm, openKvm } from '../helpers/machine.ts';

function foreign(t: ExecutionContext, call: () => unknown, message: RegExp): void {
  t.throws(call, { instanceOf: KvmError, code: 'ERR_KVM_DESCRIPTOR', message });
}

test('a machine taken by its descriptor is the same machine', (t) => {
  const kvm = openKvm(t);
  const vm = makeVm(t);
  const again = kvm.createVmFromRawFd(vm.fd);
  t.teardown(() => again.close());
  t.not(again.fd, vm.fd, 'a duplicate: the original stays whose it is');
  if (!onArm) {
    vm.createIrqChip();
    t.is(t.throws<KvmError>(() => again.createIrqChip())?.errno, 17, 'it has the controllers already');
  }
  t.is(vm.createVcpu().id, 0);
  t.is(t.throws<KvmError>(() => again.createVcpu(0))?.errno, 17, 'it has the vCPU already');
  t.is(again.createVcpu(1).id, 1);
});

test('a machine lives on in the object that took it, without the memory of the other', (t) => {
  const kvm = openKvm(t);
  const { vm } = boot(t, 'mmio-storm');
  const again = kvm.createVmFromRawFd(vm.fd);
  t.teardown(() => again.close());
  vm.close();
  const vcpu = again.createVcpu(1);
  enter(vcpu, 'mmio-storm');
  // Where its code was there is nothing now: neither the code nor what the process has put at that address since.
  const end = vcpu.run({}, { timeoutMs: 500 });
  if (end.reason === 'exit' && end.exit.kind === 'mmioWrite') t.not(end.exit.address, OUTPUT);
  else t.true(onArm || end.reason === 'exit', end.reason);
  again.memory.map({ guestAddress: 0, size: RAM_SIZE });
  load(again, 'mmio-storm');
  setRegisters(vcpu, { pc: ENTRY });
  vcpu.complete();
  enter(vcpu, 'mmio-storm', { value: 7 });
  t.is(exitOf(vcpu.run({}, { timeoutMs: 5000 }), 'mmioWrite').value, 7);
});

test('a vCPU taken by its descriptor is the same vCPU', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-burst', { regs: { step: 1 } });
  const again = vm.createVcpuFromRawFd(vcpu.fd);
  t.is(again.id, vcpu.id);
  t.not(again.fd, vcpu.fd);
  setRegisters(vcpu, { value: 0x1234 });
  vcpu.complete();
  t.is(getRegister(again, 'value'), 0x1234n);
  vcpu.close();
  const values: number[] = [];
  ended(again.run({ mmioWrite: (exit) => void values.push(exit.value) }, { timeoutMs: 5000 }));
  t.deepEqual(values, [0x34, 0x1235]);
});

test('what is no machine or no vCPU is refused before it is used', (t) => {
  const kvm = openKvm(t);
  const vm = makeVm(t);
  const vcpu = vm.createVcpu();
  const event = makeEvent(t);
  const file = openSync('/dev/null', 'r');
  t.teardown(() => closeSync(file));
  foreign(t, () => kvm.createVmFromRawFd(file), /\/dev\/null, not anon_inode:kvm-vm/);
  foreign(t, () => kvm.createVmFromRawFd(event.fd), /anon_inode:\[eventfd\], not anon_inode:kvm-vm/);
  foreign(t, () => kvm.createVmFromRawFd(vcpu.fd), /anon_inode:kvm-vcpu:0, not anon_inode:kvm-vm/);
  foreign(t, () => kvm.createVmFromRawFd(kvm.fd), /\/dev\/kvm, not/);
  foreign(t, () => vm.createVcpuFromRawFd(vm.fd), /anon_inode:kvm-vm, not anon_inode:kvm-vcpu/);
  foreign(t, () => vm.createVcpuFromRawFd(file), /\/dev\/null, not/);
  // All of them are as they were.
  t.is(kvm.apiVersion, 12);
  t.is(event.read(), undefined);
  t.is(vcpu.getMpState(), 0);
});

test('a descriptor that is not open is refused as such', (t) => {
  const kvm = openKvm(t);
  const error = t.throws<KvmError>(() => kvm.createVmFromRawFd(0x7fff_fff0), {
    code: 'ERR_KVM_DESCRIPTOR',
    message: /not open/,
  });
  t.is(error?.errno, 9);
  t.throws(() => kvm.createVmFromRawFd(-1), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => kvm.createVmFromRawFd('3' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  const vm = makeVm(t);
  t.throws(() => vm.createVcpuFromRawFd(0x7fff_fff0), { code: 'ERR_KVM_DESCRIPTOR' });
});

test('closed objects have no descriptor', (t) => {
  const vm = makeVm(t);
  const vcpu = vm.createVcpu();
  vm.close();
  t.throws(() => vm.fd, { code: 'ERR_KVM_CLOSED' });
  t.throws(() => vcpu.fd, { code: 'ERR_KVM_CLOSED' });
  t.throws(() => vm.runSize, { code: 'ERR_KVM_CLOSED' });
  t.throws(() => vm.createVcpuFromRawFd(0), { code: 'ERR_KVM_CLOSED' });
  const kvm = new Kvm();
  kvm.close();
  t.throws(() => kvm.fd, { code: 'ERR_KVM_CLOSED' });
  t.throws(() => kvm.createVmFromRawFd(0), { code: 'ERR_KVM_CLOSED' });
});

test("the size of a vCPU's mapping is the system's", (t) => {
  const kvm = openKvm(t);
  t.is(makeVm(t).runSize, kvm.getVcpuMmapSize());
});

test('programs that this process starts have KVM only when they should', async (t) => {
  const { execFileSync } = await import('node:child_process');
  const sees = (fd: number): boolean => {
    const listed = execFileSync('/bin/ls', ['-l', '/proc/self/fd'], { stdio: ['ignore', 'pipe', 'ignore'] });
    return new RegExp(`${fd} -> /dev/kvm$`, 'm').test(String(listed));
  };
  using closing = new Kvm();
  t.false(sees(closing.fd));
  using open = new Kvm({ closeOnExec: false });
  t.is(open.apiVersion, 12);
  // Node closes what it did not pass on itself: what is seen here is the flag.
  const flags = (fd: number): number => {
    const info = execFileSync('/bin/cat', [`/proc/${process.pid}/fdinfo/${fd}`]).toString();
    return Number.parseInt(/^flags:\s+(\d+)$/m.exec(info)![1]!, 8);
  };
  const O_CLOEXEC = 0o200_0000;
  t.not(flags(closing.fd) & O_CLOEXEC, 0);
  t.is(flags(open.fd) & O_CLOEXEC, 0);
  t.throws(() => new Kvm({ closeOnExec: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
});
