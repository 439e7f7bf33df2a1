// Machines of aarch64 with small programs of their own; what they have that x86_64 does not, and the other way round.
import test from 'ava';

import { Machine, type MachineConfig } from '../../index.ts';

/** Prints `ok` on the serial port, then calls PSCI with the function in w0. */
const say = (psci: number): Uint8Array =>
  new Uint8Array(
    Uint32Array.of(
      0xd2a1_2001, // mov x1, #0x9000000
      0x5280_0de0, // mov w0, #'o'
      0x3900_0020, // strb w0, [x1]
      0x5280_0d60, // mov w0, #'k'
      0x3900_0020, // strb w0, [x1]
      0x5280_0000 | (psci << 5), // mov w0, #psci
      0x72b0_8000, // movk w0, #0x8400, lsl #16
      0xd400_0002, // hvc #0
      0x1400_0000, // b .
    ).buffer,
  );
const SYSTEM_OFF = say(8);
const SYSTEM_RESET = say(9);

const flat = (kernel: Uint8Array, config: MachineConfig = {}): MachineConfig => ({
  memory: '4MiB',
  kernel,
  protocol: 'flat',
  ...config,
});

test('a flat program prints, and powers off by PSCI', async (t) => {
  await using machine = await Machine.create(flat(SYSTEM_OFF));
  t.deepEqual(
    machine.placed.map(({ name }) => name),
    ['flat image', 'device tree'],
  );
  let text = '';
  machine.console.on('data', (bytes: Buffer) => (text += bytes.toString()));
  await machine.start();
  t.deepEqual(await machine.exited, { reason: 'poweroff', consoleTail: 'ok' });
  t.is(text, 'ok');
});

test('a reset by PSCI ends it, or starts it again', async (t) => {
  await using ending = await Machine.create(flat(SYSTEM_RESET));
  await ending.start();
  t.is((await ending.exited).reason, 'reset');
  await using machine = await Machine.create(flat(SYSTEM_RESET, { onReset: 'restart' }));
  let resets = 0;
  const three = new Promise<void>((resolve) => machine.on('reset', () => ++resets === 3 && resolve()));
  await machine.start();
  await three;
  await machine.stop();
  t.is((await machine.exited).reason, 'killed');
});

test('the registers at the first instruction are those of the boot protocol', async (t) => {
  await using machine = await Machine.create(
    flat(SYSTEM_OFF, { cpus: 2, flat: { address: 0x4010_0000, entry: 0x4010_0008 } }),
  );
  const [first, second] = machine.vm.vcpus;
  const tree = machine.placed.find(({ name }) => name === 'device tree')!;
  t.like(first!.armRegs.toJSON(), { pc: 0x4010_0008n, x0: BigInt(tree.address), x1: 0n, pstate: 0x3c5n });
  // The magic number of a device tree, big-endian.
  t.is(machine.vm.memory.readUint32(tree.address), 0xedfe_0dd0);
  // It waits for CPU_ON: KVM_MP_STATE_STOPPED.
  t.is(first!.getMpState(), 0);
  t.is(second!.getMpState(), 5);
});

test('what only a PC has is refused, with its name', async (t) => {
  const device = { read: () => 0 };
  for (const [config, field] of [
    [{ acpi: true }, 'config.acpi'],
    [{ debugConsole: true }, 'config.debugConsole'],
    [{ protocol: 'linux64' }, 'config.protocol'],
    [{ flat: { mode: 'long' } }, 'config.flat.mode'],
    [{ devices: [{ device, io: { base: 0x80, length: 1 } }] }, 'config.devices[0].io'],
    [{ devices: [{ device, mmio: { base: 0xd000_2000, length: 1 } }] }, 'config.devices[0].mmio.base'],
    [
      { devices: [{ device, mmio: { base: 0xa00_0000, length: 1 }, interrupt: 5 }] },
      'config.devices[0].interrupt',
    ],
  ] as const) {
    const thrown = await t.throwsAsync(Machine.create(flat(SYSTEM_OFF, config as MachineConfig)), {
      any: true,
    });
    const { code, message } = thrown as Error & { code: string };
    t.regex(code, /^ERR_(?:INVALID_ARG_VALUE|OUT_OF_RANGE)$/);
    t.true(message.includes(`'${field}'`) || message.includes(`"${field}"`), message);
  }
});

test('a kernel that is none of this architecture is refused', async (t) => {
  const elf = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, ...Array<number>(57).fill(0));
  await t.throwsAsync(Machine.create({ memory: '16MiB', kernel: elf }), { code: 'ERR_KVM_BOOT' });
  await t.throwsAsync(Machine.create({ memory: '16MiB', kernel: new Uint8Array(4096) }), {
    code: 'ERR_KVM_BOOT',
  });
});
