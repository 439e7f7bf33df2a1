/** Devices of a caller's in a machine's configuration. */
import { elements, integer, object, options as checkOptions, port, string } from '../internal/check.ts';
import { invalidArgValue, outOfRange } from '../internal/errors.ts';
import { checkDevice as deviceMethods, type Range } from '../kvm/bus.ts';
import type { AcpiDescription, DeviceTreeDescription, MachineDevice } from './config.ts';
import { platform } from './platform.ts';

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
    'deviceTree',
  ]);
  if (given.io === undefined && given.mmio === undefined) {
    throw invalidArgValue(name, value, 'must have io or mmio');
  }
  const checked: MachineDevice = { device: object(`${name}.device`, given.device) };
  deviceMethods(`${name}.device`, checked.device);
  if (given.io !== undefined) {
    checked.io = ports(`${name}.io`, given.io);
    if (!platform.hasPorts)
      throw invalidArgValue(`${name}.io`, given.io, 'needs x86_64: aarch64 has no ports');
  }
  if (given.mmio !== undefined) checked.mmio = addresses(`${name}.mmio`, given.mmio);
  if (given.interrupt !== undefined) {
    checked.interrupt = interruptLine(`${name}.interrupt`, given.interrupt);
  }
  if (given.acpi !== undefined) checked.acpi = description(`${name}.acpi`, given.acpi);
  if (given.deviceTree !== undefined) {
    if (given.mmio === undefined) throw invalidArgValue(name, value, 'must have mmio for its deviceTree');
    checked.deviceTree = treeNode(`${name}.deviceTree`, given.deviceTree);
  }
  return checked;
}

function ports(name: string, value: Range): Range {
  const { base, length } = checkOptions(name, value, ['base', 'length']);
  const first = port(`${name}.base`, base);
  return { base: first, length: integer(`${name}.length`, length, 1, 0x1_0000 - first) };
}

function addresses(name: string, value: Range): Range {
  const { base, length } = checkOptions(name, value, ['base', 'length']);
  const { start, end } = platform.deviceWindows;
  const first = integer(`${name}.base`, base, start, end - 1);
  return { base: first, length: integer(`${name}.length`, length, 1, end - first) };
}

/** A line that a device of a caller's may have. */
export function interruptLine(name: string, value: unknown): number {
  const { first, last } = platform.deviceLines;
  return integer(name, value, first, last);
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

/** A driver's name in a device tree, and how many of them are read. */
const COMPATIBLE = /^[A-Za-z0-9][A-Za-z0-9,._+-]{0,62}$/;
const COMPATIBLES = 16;

function treeNode(name: string, value: DeviceTreeDescription): DeviceTreeDescription {
  const given = checkOptions(name, value, ['name', 'compatible']);
  const node = string(`${name}.name`, given.name);
  // Devicetree Specification 0.4, 2.2.1.
  if (!/^[A-Za-z][A-Za-z0-9,._+-]{0,30}$/.test(node)) {
    throw invalidArgValue(`${name}.name`, node, 'must be a letter and up to 30 letters, digits or ,._+-');
  }
  const list =
    typeof given.compatible === 'string'
      ? [given.compatible]
      : elements(`${name}.compatible`, given.compatible, COMPATIBLES).map((one, index) =>
          string(`${name}.compatible[${index}]`, one),
        );
  const wrong = list.find((one) => !COMPATIBLE.test(one));
  if (list.length === 0 || wrong !== undefined) {
    throw invalidArgValue(`${name}.compatible`, given.compatible, "must name drivers, such as 'virtio,mmio'");
  }
  return { name: node, compatible: list };
}
