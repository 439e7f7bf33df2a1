/** Port and memory accesses: the hot exits. */
import { RUN } from '../../generated/run-page.ts';
import type { IoInExit, IoOutExit, MmioReadExit, MmioWriteExit } from '../../kvm/exits.ts';
import { ExitObject, checkAnswer, checkAnswer64, checkAnswerBytes } from './base.ts';

const IO_COUNT = RUN.io.count / 4;
const ADDRESS_LOW = RUN.mmio.physAddr / 4;
const MMIO_LENGTH = RUN.mmio.len / 4;
const MMIO_DATA = RUN.mmio.data;

/** A guest-physical address as a number: 52 bits fit. */
function guestAddress(u32: Uint32Array, low: number): number {
  return u32[low]! + u32[low + 1]! * 2 ** 32;
}

/** What both directions of port accesses have. */
abstract class PortExit extends ExitObject {
  get port(): number {
    return this.live.data.getUint16(RUN.io.port, true);
  }

  get size(): 1 | 2 | 4 {
    return this.live.u8[RUN.io.size] as 1 | 2 | 4;
  }

  get count(): number {
    return this.live.u32[IO_COUNT]!;
  }
}

/** What both directions of memory accesses have. */
abstract class MemoryExit extends ExitObject {
  get address(): number {
    return guestAddress(this.live.u32, ADDRESS_LOW);
  }

  get size(): number {
    return this.live.u32[MMIO_LENGTH]!;
  }
}

export class IoOut extends PortExit {
  readonly kind = 'ioOut' as const;

  get value(): number {
    return this.live.load(this.live.ioData, this.size);
  }

  get data(): Uint8Array {
    const start = this.live.ioData;
    return this.live.u8.slice(start, start + this.size * this.count);
  }

  toJSON(): IoOutExit {
    const { kind, port, size, count, value, data } = this;
    return { kind, port, size, count, value, data };
  }
}

export class IoIn extends PortExit {
  readonly kind = 'ioIn' as const;

  /** A number answers every element; bytes answer all of them. */
  reply(answer: number | Uint8Array): void {
    this.owner.checkCurrent(this);
    const { size, count } = this;
    const at = this.live.ioData;
    if (typeof answer === 'object') {
      this.live.u8.set(checkAnswerBytes(answer, size * count), at);
      return;
    }
    const value = checkAnswer(answer, size);
    for (let element = 0; element < count; element++) this.live.store(at + element * size, size, value);
  }

  toJSON(): IoInExit {
    const { kind, port, size, count } = this;
    return { kind, port, size, count };
  }
}

export class MmioRead extends MemoryExit {
  readonly kind = 'mmioRead' as const;

  reply(answer: number | bigint | Uint8Array): void {
    this.owner.checkCurrent(this);
    const { size } = this;
    if (typeof answer === 'object') {
      this.live.u8.set(checkAnswerBytes(answer, size), MMIO_DATA);
    } else if (typeof answer === 'number' && size <= 4) {
      this.live.store(MMIO_DATA, size, checkAnswer(answer, size));
    } else {
      this.live.store64(MMIO_DATA, size, checkAnswer64(answer, size));
    }
  }

  toJSON(): MmioReadExit {
    const { kind, address, size } = this;
    return { kind, address, size };
  }
}

export class MmioWrite extends MemoryExit {
  readonly kind = 'mmioWrite' as const;

  get value(): number {
    return this.live.load(MMIO_DATA, this.size);
  }

  get value64(): bigint {
    return this.live.load64(MMIO_DATA, this.size);
  }

  toJSON(): MmioWriteExit {
    const { kind, address, size, value, value64 } = this;
    return { kind, address, size, value, value64 };
  }
}
