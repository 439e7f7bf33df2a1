/** Firmware: entered at the reset vector, as a processor is. SeaBIOS, and firmware of a few bytes. */
import test, { type ExecutionContext } from 'ava';

import { findFirmware } from '../../scripts/firmware.mjs';
import {
  POWER_OFF,
  inputFrom,
  makeMachine,
  out,
  print,
  soon,
  startMachine,
  textOf,
} from '../helpers/whole-machine.ts';
import { until } from '../helpers/wait.ts';

const KIB = 1024;

/** Firmware of `size` bytes with code at the reset vector's segment, f000:0000. */
function firmware(size: number, ...code: (number | readonly number[])[]): Uint8Array {
  const image = new Uint8Array(size).fill(0xf4);
  image.set(code.flat(), size - 64 * KIB);
  // At the reset vector: jmp f000:0000
  image.set([0xea, 0x00, 0x00, 0x00, 0xf0], size - 16);
  return image;
}

async function seaBios(t: ExecutionContext): Promise<string | undefined> {
  const found = await findFirmware();
  if (found.path === undefined) {
    t.log(`skipped: ${found.missing}`);
    t.pass();
  }
  return found.path;
}

test('SeaBIOS looks for something to boot', async (t) => {
  const kernel = await seaBios(t);
  if (kernel === undefined) return;
  const machine = await startMachine(t, {
    kernel,
    protocol: 'firmware',
    memory: '16MiB',
    debugConsole: 0x402,
  });
  t.is(machine.protocol, 'firmware');
  let printed = '';
  machine.debugConsole!.on('data', (bytes: Buffer) => (printed += bytes.toString()));
  await until(() => printed.includes('Booting from Hard Disk') || machine.state === 'exited');
  t.is(machine.state, 'running', printed);
  t.regex(printed, /^SeaBIOS \(version /);
  t.regex(printed, /RamSize: 0x01000000 \[cmos\]/);
  await soon('stop()', machine.stop());
});

test('SeaBIOS begins anew at a reset', async (t) => {
  const kernel = await seaBios(t);
  if (kernel === undefined) return;
  const machine = await startMachine(t, {
    kernel,
    protocol: 'firmware',
    memory: '16MiB',
    debugConsole: 0x402,
  });
  let printed = '';
  machine.debugConsole!.on('data', (bytes: Buffer) => (printed += bytes.toString()));
  const lives = (): number => printed.split('SeaBIOS (version').length - 1;
  await until(() => lives() === 1);
  await machine.reset();
  await until(() => lives() === 2);
  await soon('stop()', machine.stop());
  t.pass();
});

for (const size of [64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB]) {
  test(`firmware of ${size / KIB} KiB: at the end of 4 GiB, and below 1 MiB`, async (t) => {
    const machine = await startMachine(t, {
      kernel: firmware(size, print('up'), POWER_OFF),
      protocol: 'firmware',
    });
    t.deepEqual(await soon('the end', machine.exited), { reason: 'poweroff', consoleTail: 'up' });
    const below = Math.min(size, 256 * KIB);
    t.deepEqual(machine.placed, [
      { name: 'firmware below 1 MiB', address: 2 ** 20 - below, length: below },
      { name: 'firmware', address: 2 ** 32 - size, length: size },
    ]);
  });
}

test('the memory at 4 GiB is read-only, that below 1 MiB is RAM', async (t) => {
  // mov ax, 0xf000; mov ds, ax; mov byte ptr [0x8000], 7; then off
  const code = [0xb8, 0x00, 0xf0, 0x8e, 0xd8, 0xc6, 0x06, 0x00, 0x80, 7];
  const machine = await startMachine(t, {
    kernel: firmware(64 * KIB, code, POWER_OFF),
    protocol: 'firmware',
  });
  await soon('the end', machine.exited);
  t.is(machine.vm.memory.readUint8(0xf_8000), 7);
  t.is(machine.vm.memory.readUint8(0xffff_8000), 0xf4);
  t.true(
    machine.vm.memory.regions.some(({ guestAddress, readOnly }) => guestAddress === 0xffff_0000 && readOnly),
  );
});

test('firmware finds the memory’s size in the CMOS, and nothing on an empty bus', async (t) => {
  // Registers 0x30 and 0x31: KiB above 1 MiB; then port 0xcfc, where a PCI bridge would be.
  const show = [0xba, 0xf8, 0x03, 0xee]; // mov dx, COM1; out dx, al
  const code = [0x30, 0x31].flatMap((register) => [out(0x70, register), inputFrom(0x71), show]).flat();
  const machine = await makeMachine(t, {
    kernel: firmware(64 * KIB, code, inputFrom(0xcfc), show, POWER_OFF),
    protocol: 'firmware',
    memory: '4MiB',
  });
  machine.console.setEncoding('latin1');
  const chunks: string[] = [];
  machine.console.on('data', (text: string) => chunks.push(text));
  await machine.start();
  await soon('the end', machine.exited);
  await until(() => machine.console.readableEnded);
  t.deepEqual([...Buffer.from(chunks.join(''), 'latin1')], [0x00, 0x0c, 0xff]);
});

test('what is no firmware', async (t) => {
  for (const [kernel, message] of [
    [new Uint8Array(0), /^kernel: the firmware image is empty$/],
    [new Uint8Array(5000), /^kernel: the length of the firmware is 0x1388.* a multiple of 4096/],
    [
      new Uint8Array(16 * 2 ** 20 + 4096),
      /^kernel: firmware of \d+ bytes: at most 16777216 fit below 4 GiB$/,
    ],
  ] as const) {
    await t.throwsAsync(makeMachine(t, { kernel, protocol: 'firmware', memory: '32MiB' }), {
      code: 'ERR_KVM_BOOT',
      message,
    });
  }
  const kernel = firmware(64 * KIB);
  await t.throwsAsync(makeMachine(t, { kernel, protocol: 'firmware', memory: '512KiB' }), {
    code: 'ERR_KVM_BOOT',
    message: /^memory: firmware below 1 MiB needs/,
  });
  await t.throwsAsync(makeMachine(t, { kernel, protocol: 'firmware', initrd: Uint8Array.of(1) }), {
    code: 'ERR_KVM_BOOT',
    message: /^initrd: the protocol firmware takes no initrd/,
  });
});

test('the text of firmware is the console’s, too', async (t) => {
  const machine = await makeMachine(t, {
    kernel: firmware(64 * KIB, print('text'), POWER_OFF),
    protocol: 'firmware',
  });
  const text = textOf(machine.console);
  await machine.start();
  t.is(await soon('the text', text), 'text');
});
