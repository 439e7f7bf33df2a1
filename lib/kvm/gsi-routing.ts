import { IRQ_ROUTING } from '../generated/flags.ts';
import { elements, integer, object, oneOf, options as checkOptions, property } from '../internal/check.ts';

/** Where an interrupt line leads: to a pin of an in-kernel controller. */
export interface IrqchipRoute {
  /** Which kind of route. */
  readonly type: 'irqchip';
  /** The line. */
  readonly gsi: number;
  /** The controller: on x86_64 0 and 1 are the PICs, 2 is the IOAPIC; on aarch64 0 is the GIC. */
  readonly irqchip: number;
  /** Its pin. */
  readonly pin: number;
}

/** Where an interrupt line leads: it becomes a message-signalled interrupt. */
export interface MsiRoute {
  /** Which kind of route. */
  readonly type: 'msi';
  /** The line. */
  readonly gsi: number;
  /** Where a device would write, low half. */
  readonly addressLow: number;
  /** High half, 0 by default. */
  readonly addressHigh?: number;
  /** What it would write. */
  readonly data: number;
  /** The device's id, where the host's interrupt controller needs one ({@link Cap.MsiDevid}). */
  readonly deviceId?: number;
}

/** Where an interrupt line leads: to a synthetic interrupt of Hyper-V. */
export interface HvSintRoute {
  /** Which kind of route. */
  readonly type: 'hvSint';
  /** The line. */
  readonly gsi: number;
  /** The vCPU, by Hyper-V's number. */
  readonly vcpu: number;
  /** The interrupt's source, 0 to 15. */
  readonly sint: number;
}

/** Where an interrupt line leads. A line may have several routes to controllers. */
export type GsiRoute = IrqchipRoute | MsiRoute | HvSintRoute;

/** `KVM_MSI_VALID_DEVID`: the route names a device. */
const VALID_DEVID = 1;
/** `KVM_MAX_IRQ_ROUTES` of kernels since 4.19. */
const ROUTES = 4096;

const KEYS = {
  irqchip: ['type', 'gsi', 'irqchip', 'pin'],
  msi: ['type', 'gsi', 'addressLow', 'addressHigh', 'data', 'deviceId'],
  hvSint: ['type', 'gsi', 'vcpu', 'sint'],
} as const;

/** @internal Routes as the numbers that cross: line, type, flags, four words. */
export function routeNumbers(name: string, routes: unknown): number[] {
  return elements(name, routes, ROUTES).flatMap((route, index) => numbersOf(`${name}[${index}]`, route));
}

function numbersOf(name: string, value: unknown): number[] {
  const type = oneOf(`${name}.type`, property(name, object(name, value), 'type'), [
    'irqchip',
    'msi',
    'hvSint',
  ]);
  const given = checkOptions(name, value as Record<string, unknown>, KEYS[type]);
  const word = (key: string, fallback?: number): number =>
    integer(`${name}.${key}`, given[key] ?? fallback, 0, 0xffff_ffff);
  const gsi = word('gsi');
  switch (type) {
    case 'irqchip':
      return [gsi, IRQ_ROUTING.IRQCHIP, 0, word('irqchip'), word('pin'), 0, 0];
    case 'hvSint':
      return [gsi, IRQ_ROUTING.HV_SINT, 0, word('vcpu'), word('sint'), 0, 0];
    case 'msi': {
      const flags = given['deviceId'] === undefined ? 0 : VALID_DEVID;
      const address = [word('addressLow'), word('addressHigh', 0)];
      return [gsi, IRQ_ROUTING.MSI, flags, ...address, word('data'), word('deviceId', 0)];
    }
  }
}

const PICS = 16;
const IOAPIC_PINS = 24;

/**
 * The routes that x86_64 machines have after `vm.createIrqChip()`: lines 0 to 15 to the two PICs and to the IOAPIC, 16 to
 * 23 to the IOAPIC. `vm.setGsiRouting()` replaces all routes: begin with these to keep them.
 */
export function pcGsiRoutes(): GsiRoute[] {
  const ioapic = Array.from({ length: IOAPIC_PINS }, (_, gsi): GsiRoute => ({
    type: 'irqchip',
    gsi,
    irqchip: 2,
    pin: gsi,
  }));
  const pics = Array.from({ length: PICS }, (_, gsi): GsiRoute => ({
    type: 'irqchip',
    gsi,
    irqchip: gsi >> 3,
    pin: gsi & 7,
  }));
  return [...pics, ...ioapic];
}
