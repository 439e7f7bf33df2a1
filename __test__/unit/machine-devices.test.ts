/** Devices of a caller's in a configuration. */
import test, { type ExecutionContext } from 'ava';

import { checkDevices, interruptLine } from '../../lib/machine/device-config.ts';

const device = {};
const io = { base: 0x700, length: 8 };
const mmio = { base: 0xd000_1000, length: 0x1000 };

function check(...devices: unknown[]): ReturnType<typeof checkDevices> {
  return checkDevices('config.devices', devices);
}

function refused(t: ExecutionContext, code: string, name: RegExp, ...devices: unknown[]): void {
  const error = t.throws(() => check(...devices), { code });
  t.regex(error?.message ?? '', name);
}

test('ports, addresses, an interrupt, a name', (t) => {
  const acpi = { name: 'DEV0', hid: 'LNRO0005' };
  t.deepEqual(check({ device, io, mmio, interrupt: 5, acpi }), [
    { device, io, mmio, interrupt: 5, acpi: { ...acpi, uid: 0 } },
  ]);
  t.deepEqual(check({ device, io }, { device, mmio }), [
    { device, io },
    { device, mmio },
  ]);
  t.deepEqual(check(), []);
});

test('a device needs a place', (t) => {
  refused(
    t,
    'ERR_INVALID_ARG_VALUE',
    /'config\.devices\[1\]' must have io or mmio/,
    { device, io },
    { device },
  );
});

test('a device is an object whose methods are functions', (t) => {
  for (const value of [undefined, null, 1, 'x', () => undefined]) {
    refused(t, 'ERR_INVALID_ARG_TYPE', /"config\.devices\[0\]\.device"/, { device: value, io });
  }
  for (const method of ['read', 'write', 'read64', 'write64']) {
    const name = new RegExp(`"config\\.devices\\[0\\]\\.device\\.${method}"`);
    refused(t, 'ERR_INVALID_ARG_TYPE', name, { device: { [method]: 1 }, io });
  }
});

test('what is no list of devices', (t) => {
  for (const value of [null, {}, 1, 'x']) {
    t.throws(() => checkDevices('config.devices', value), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  const many = Array.from({ length: 257 }, () => ({ device, io }));
  t.throws(() => checkDevices('config.devices', many), { code: 'ERR_OUT_OF_RANGE', message: /length/ });
  refused(t, 'ERR_INVALID_ARG_TYPE', /"config\.devices\[0\]"/, null);
  refused(t, 'ERR_INVALID_ARG_VALUE', /config\.devices\[0\]\.irq/, { device, io, irq: 5 });
});

test('ports: 0 to 65535', (t) => {
  t.deepEqual(check({ device, io: { base: 0xffff, length: 1 } })[0]!.io, { base: 0xffff, length: 1 });
  t.deepEqual(check({ device, io: { base: 0, length: 0x1_0000 } })[0]!.io, { base: 0, length: 0x1_0000 });
  for (const [range, name] of [
    [{ base: -1, length: 1 }, /io\.base/],
    [{ base: 0x1_0000, length: 1 }, /io\.base/],
    [{ base: 0xffff, length: 2 }, /io\.length/],
    [{ base: 0, length: 0 }, /io\.length/],
    [{ base: 0.5, length: 1 }, /io\.base/],
  ] as const) {
    refused(t, 'ERR_OUT_OF_RANGE', name, { device, io: range });
  }
  refused(t, 'ERR_INVALID_ARG_TYPE', /io\.length/, { device, io: { base: 1 } });
  refused(t, 'ERR_INVALID_ARG_TYPE', /config\.devices\[0\]\.io/, { device, io: 0x700 });
  refused(t, 'ERR_INVALID_ARG_VALUE', /io\.size.*known are: base, length/, {
    device,
    io: { base: 1, size: 1 },
  });
});

test('addresses: between the boot timer and the IOAPIC', (t) => {
  for (const base of [0, 0x1000, 0xbfff_f000, 0xd000_0000, 0xfec0_0000, 0xfee0_0000, 2 ** 32]) {
    refused(t, 'ERR_OUT_OF_RANGE', /config\.devices\[0\]\.mmio\.base/, { device, mmio: { base, length: 1 } });
  }
  refused(t, 'ERR_OUT_OF_RANGE', /mmio\.length/, { device, mmio: { base: 0xfebf_f000, length: 0x1001 } });
  refused(t, 'ERR_OUT_OF_RANGE', /mmio\.length/, { device, mmio: { base: 0xd000_1000, length: 0 } });
  t.is(check({ device, mmio: { base: 0xfebf_ffff, length: 1 } }).length, 1);
});

test('interrupts: 5 to 23, each of one device', (t) => {
  for (const line of [5, 15, 23]) t.is(check({ device, io, interrupt: line })[0]!.interrupt, line);
  for (const line of [-1, 0, 3, 4, 24, 5.5]) {
    refused(t, 'ERR_OUT_OF_RANGE', /config\.devices\[0\]\.interrupt/, { device, io, interrupt: line });
    t.throws(() => interruptLine('line', line), { code: 'ERR_OUT_OF_RANGE', message: /"line"/ });
  }
  refused(t, 'ERR_INVALID_ARG_TYPE', /interrupt/, { device, io, interrupt: '5' });
  refused(
    t,
    'ERR_INVALID_ARG_VALUE',
    /'config\.devices\[2\]\.interrupt' is that of config\.devices\[0\]/,
    { device, io, interrupt: 7 },
    { device, mmio },
    { device, mmio, interrupt: 7 },
  );
});

test('names: as ACPI has them', (t) => {
  for (const name of ['A', 'DEV', 'DEV0', 'A_1_']) {
    t.is(check({ device, io, acpi: { name, hid: 'PNP0501' } })[0]!.acpi!.name, name);
  }
  for (const name of ['', 'dev0', '0DEV', '_DEV', 'DEVICE', 'DE-V', 'DÉV', ' DEV']) {
    refused(t, 'ERR_INVALID_ARG_VALUE', /acpi\.name/, { device, io, acpi: { name, hid: 'PNP0501' } });
  }
  for (const hid of ['', 'PNP', 'PNP501', 'pnp0501', 'PNP050G', 'LNRO00055', 'ABCDE0001']) {
    refused(t, 'ERR_OUT_OF_RANGE', /acpi\.hid/, { device, io, acpi: { name: 'DEV0', hid } });
  }
  const acpi = { name: 'DEV0', hid: 'LNRO0005' };
  for (const uid of [-1, 2 ** 32, 0.5]) {
    refused(t, 'ERR_OUT_OF_RANGE', /acpi\.uid/, { device, io, acpi: { ...acpi, uid } });
  }
  refused(t, 'ERR_INVALID_ARG_TYPE', /acpi\.hid/, { device, io, acpi: { name: 'DEV0' } });
  refused(t, 'ERR_INVALID_ARG_VALUE', /acpi\.id/, { device, io, acpi: { ...acpi, id: 1 } });
});
