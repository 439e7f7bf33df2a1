import type { PortDevice } from './port-device.ts';

/**
 * A PCI host bridge by configuration mechanism 1, alone on its bus: as much of QEMU's i440FX as SeaBIOS looks at to
 * know where it runs. Without it SeaBIOS takes the board for an unknown one and prints nothing to port 0x402.
 */
export class PciHost implements PortDevice {
  /** CONFIG_ADDRESS: bit 31 enables, then bus, device, function and register. */
  #address = 0;
  readonly #config = new Uint8Array(256);

  constructor() {
    const view = new DataView(this.#config.buffer);
    view.setUint16(0x00, 0x8086, true); // vendor: Intel
    view.setUint16(0x02, 0x1237, true); // device: 82441FX
    view.setUint8(0x08, 0x02); // revision
    view.setUint16(0x0a, 0x0600, true); // class: host bridge
    view.setUint16(0x2c, 0x1af4, true); // subsystem vendor: as QEMU's, which is what SeaBIOS asks for
    view.setUint16(0x2e, 0x1100, true); // subsystem
  }

  /** Ports 0xcf8–0xcff, offsets from 0xcf8. */
  read(offset: number, size: number): number {
    if (offset === 0 && size === 4) return this.#address;
    let value = 0;
    for (let index = size - 1; index >= 0; index--) value = value * 256 + this.#byte(offset + index);
    return value;
  }

  write(offset: number, value: number, size: number): void {
    if (offset === 0 && size === 4) {
      this.#address = value >>> 0;
      return;
    }
    for (let index = 0; index < size; index++) {
      const register = this.#register(offset + index);
      // The identity and the class are read-only; the rest (PAM and the like) is storage that nothing acts on.
      if (register !== undefined && register >= 0x40) this.#config[register] = (value >>> (8 * index)) & 0xff;
    }
  }

  #byte(offset: number): number {
    const register = this.#register(offset);
    return register === undefined ? 0xff : this.#config[register]!;
  }

  /** The bridge's register behind a byte of CONFIG_DATA, if it is the bridge that is addressed. */
  #register(offset: number): number | undefined {
    if (offset < 4 || offset > 7 || this.#address >>> 8 !== 0x80_0000) return undefined;
    return (this.#address & 0xfc) + (offset - 4);
  }
}
