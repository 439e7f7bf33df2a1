/** Devices of a caller's in a machine's configuration. */
import { elements, integer, object, options as checkOptions, port, string } from '../internal/check.ts';
import { invalidArgValue, outOfRange } from '../internal/errors.ts';
import { checkDevice as deviceMethods, type Range } from '../kvm/bus.ts';
import type { AcpiDescription, MachineDevice } from './config.ts';
import { DEVICE_WINDOWS, INTERRUPT_LINES } from './layout.ts';

/** The ISA bus's own interrupts are below. */
const FIRST_INTERRUPT = 5;

/** More than a machine has room for, and few enough to be read. */
const DEVICES = 256;

/** Checks the devices. What of them overlaps is found when they are attached. */
export function checkDevices(name: string, value: unknown): MachineDevice[] {
  const devices = elements(name, value, DEVICES).map((entry, index) =>
    checkDevice(`${name}[${index}]`, entry),
  );
  const owners = new Map<number, number>();
  for (const [index, { interrupt }] of devices.entries()) {
    if (interrupt === undefined) continue;
    const owner = owners.get(interrupt);
    // An edge of one is lost while the line of the other is up.
    if (owner !== undefined) {
      throw invalidArgValue(`${name}[${index}].interrupt`, interrupt, `is that of ${name}[${owner}]`);
    }
    owners.set(interrupt, index);
  }
  return devices;
}

function checkDevice(name: string, value: unknown): MachineDevice {
  const given = checkOptions(name, object(name, value) as MachineDevice, [
    'device',
    'io',
    'mmio',
    'interrupt',
    'acpi',
  ]);
  if (given.io === undefined && given.mmio === undefined) {
    throw invalidArgValue(name, value, 'must have io or mmio');
  }
  const checked: MachineDevice = { device: object(`${name}.device`, given.device) };
  deviceMethods(`${name}.device`, checked.device);
  if (given.io !== undefined) checked.io = ports(`${name}.io`, given.io);
  if (given.mmio !== undefined) checked.mmio = addresses(`${name}.mmio`, given.mmio);
  if (given.interrupt !== undefined) {
    checked.interrupt = interruptLine(`${name}.interrupt`, given.interrupt);
  }
  if (given.acpi !== undefined) checked.acpi = description(`${name}.acpi`, given.acpi);
  return checked;
}

function ports(name: string, value: Range): Range {
  const { base, length } = checkOptions(name, value, ['base', 'length']);
  const first = port(`${name}.base`, base);
  return { base: first, length: integer(`${name}.length`, length, 1, 0x1_0000 - first) };
}

function addresses(name: string, value: Range): Range {
  const { base, length } = checkOptions(name, value, ['base', 'length']);
  const { start, end } = DEVICE_WINDOWS;
  const first = integer(`${name}.base`, base, start, end - 1);
  return { base: first, length: integer(`${name}.length`, length, 1, end - first) };
}

/** A line that a device of a caller's may have. */
export function interruptLine(name: string, value: unknown): number {
  return integer(name, value, FIRST_INTERRUPT, INTERRUPT_LINES - 1);
}

function description(name: string, value: AcpiDescription): AcpiDescription {
  const given = checkOptions(name, value, ['name', 'hid', 'uid']);
  const path = string(`${name}.name`, given.name);
  if (!/^[A-Z][A-Z0-9_]{0,3}$/.test(path)) {
    throw invalidArgValue(`${name}.name`, path, 'must be a letter and up to three letters or digits');
  }
  const hid = string(`${name}.hid`, given.hid);
  // ACPI 6.5, 6.1.5: three letters and four digits of EISA, or four and four of ACPI.
  if (!/^([A-Z]{3}|[A-Z0-9]{4})[0-9A-F]{4}$/.test(hid)) {
    throw outOfRange(`${name}.hid`, "an id such as 'PNP0501' or 'LNRO0005'", hid);
  }
  const { uid = 0 } = given;
  return { name: path, hid, uid: integer(`${name}.uid`, uid, 0, 0xffff_ffff) };
}
