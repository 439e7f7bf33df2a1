/** What a machine asks of its vCPUs: the local APIC, the clock, and runs that keep no process alive. */
import test from 'ava';

import { GUESTS, INDEX, runModule } from '../helpers/child.ts';
import { boot, exitOf, makeVm } from '../helpers/machine.ts';

/** Registers of the local APIC: offsets in its page (Intel SDM volume 3, table 11-1). */
const ID = 0x20;
const LVT_LINT0 = 0x350;

test('the registers of the local APIC are 1 KiB that can be set', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  vm.createVcpu();
  const vcpu = vm.createVcpu();
  const state = vcpu.getLapic();
  t.is(state.length, 1024);
  const registers = new DataView(state.buffer, state.byteOffset, state.length);
  t.is(registers.getUint32(ID, true) >>> 24, 1);
  registers.setUint32(LVT_LINT0, 0x700, true);
  vcpu.setLapic(state);
  const after = vcpu.getLapic();
  t.is(new DataView(after.buffer, after.byteOffset).getUint32(LVT_LINT0, true), 0x700);
  vcpu.setLapic(new DataView(after.buffer, after.byteOffset, after.length));
});

test('a state of another size, or none, is refused', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  const vcpu = vm.createVcpu();
  for (const size of [0, 1023, 1025, 4096]) {
    t.throws(() => vcpu.setLapic(new Uint8Array(size)), { code: 'ERR_KVM_STATE' }, `${size} bytes`);
  }
  for (const value of [undefined, null, 'state', 1024, {}, []]) {
    t.throws(() => vcpu.setLapic(value as Uint8Array), { code: 'ERR_INVALID_ARG_TYPE' });
  }
});

test('without the interrupt controllers there is no local APIC', (t) => {
  const vcpu = makeVm(t).createVcpu();
  t.throws(() => vcpu.getLapic(), { code: 'ERR_KVM_IOCTL', message: /KVM_GET_LAPIC/ });
  t.throws(() => vcpu.setLapic(new Uint8Array(1024)), { code: 'ERR_KVM_IOCTL', message: /KVM_SET_LAPIC/ });
});

test('the clock of the guest, in kHz', (t) => {
  const { vcpu } = boot(t, 'spin');
  const khz = vcpu.getTscKhz();
  t.true(Number.isInteger(khz) && khz > 100_000 && khz < 20_000_000, `${khz} kHz`);
});

test('they are refused while the vCPU runs, and when it is closed', async (t) => {
  const { vm, vcpu } = boot(t, 'spin', { prepare: (machine) => machine.createIrqChip() });
  const calls = [() => vcpu.getLapic(), () => vcpu.setLapic(new Uint8Array(1024)), () => vcpu.getTscKhz()];
  const running = vcpu.runInBackground();
  for (const call of calls) t.throws(call, { code: 'ERR_KVM_BUSY' });
  vcpu.kickHandle.kick();
  await running;
  vm.close();
  for (const call of calls) t.throws(call, { code: 'ERR_KVM_CLOSED' });
});

test('in a handler they are those of the moment, and a change is made when the access is complete', (t) => {
  const { vcpu } = boot(t, 'add-numbers', {
    regs: { rax: 1, rbx: 2 },
    prepare: (machine) => machine.createIrqChip(),
  });
  let before = 0;
  const end = vcpu.run(
    {
      ioOut: (exit) => {
        const state = vcpu.getLapic();
        const registers = new DataView(state.buffer, state.byteOffset);
        before = registers.getUint32(LVT_LINT0, true);
        registers.setUint32(LVT_LINT0, 0x1_0700, true);
        vcpu.setLapic(state);
        t.true(vcpu.getTscKhz() > 0);
        exit.stop();
      },
    },
    { timeoutMs: 10_000 },
  );
  t.is(end.reason, 'stopped');
  const state = vcpu.getLapic();
  const after = new DataView(state.buffer, state.byteOffset).getUint32(LVT_LINT0, true);
  t.is(after, 0x1_0700, `it was ${before.toString(16)}`);
});

/** A guest that spins in the background of a process that has nothing else to do. */
const spinning = (options: string): string => `
  import { Kvm } from ${INDEX};
  import { enter, findGuest } from ${GUESTS};
  const guest = findGuest('spin');
  const vm = new Kvm().createVm();
  vm.memory.map({ guestAddress: 0, size: 0x8000 });
  vm.memory.write(guest.loadAddress, guest.bytes);
  const vcpu = vm.createVcpu();
  enter(vcpu, guest);
  const running = vcpu.runInBackground({}, ${options});
  process.on('exit', () => console.log('exit'));
`;

test('a run with keepAlive: false lets the process end, and the thread with it', async (t) => {
  const { code, signal, stdout, stderr } = await runModule(t, spinning('{ keepAlive: false }'));
  t.deepEqual([code, signal, stdout], [0, null, 'exit\n'], stderr);
});

test('one with it keeps the process until it is over', async (t) => {
  const source = `${spinning('{ keepAlive: true }')}
    setTimeout(() => { console.log('still here'); vcpu.kickHandle.kick(); }, 100).unref();
    running.then((end) => console.log(end.reason));
  `;
  const { code, stdout, stderr } = await runModule(t, source);
  t.deepEqual([code, stdout], [0, 'still here\nkicked\nexit\n'], stderr);
});

test('a run that keeps nothing alive can be waited for as long as something else does', async (t) => {
  const source = `${spinning('{ keepAlive: false }')}
    const kicking = setInterval(() => vcpu.kickHandle.kick(), 50);
    running.then((end) => { clearInterval(kicking); console.log(end.reason); });
  `;
  const { code, stdout, stderr } = await runModule(t, source);
  t.deepEqual([code, stdout], [0, 'kicked\nexit\n'], stderr);
});

test('its handlers are called all the same', async (t) => {
  const { vcpu } = boot(t, 'add-numbers', { regs: { rax: 2, rbx: 3 } });
  let printed = '';
  const handlers = { ioOut: (exit: { value: number }) => void (printed += String.fromCharCode(exit.value)) };
  exitOf(await vcpu.runInBackground(handlers, { keepAlive: false }), 'hlt');
  t.is(printed, '5\n');
});

test('keepAlive is true or false', async (t) => {
  const { vcpu } = boot(t, 'spin');
  for (const value of [null, 0, 1, 'no', {}]) {
    await t.throwsAsync(vcpu.runInBackground({}, { keepAlive: value as boolean }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /"options\.keepAlive"/,
    });
  }
});
