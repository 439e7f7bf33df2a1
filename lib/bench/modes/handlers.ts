/**
 * The handlers that a program would write for each kind of exit: take what the guest wrote, answer what it reads. All
 * of them know the marker port, which ends a block.
 */
import type { Handlers } from '../../../index.ts';
import { answer, type ExitKind } from '../exit-kinds.ts';
import { type BlockClock, sink } from './block-clock.ts';

/** The marker alone: devices have the accesses, or the kernel. */
export function markerHandlers(markerPort: number, clock: BlockClock): Handlers {
  return {
    ioOut(exit) {
      if (exit.port === markerPort && clock.mark()) exit.stop();
    },
  };
}

/** Typed handlers for one kind of exit, and the marker. */
export function blockHandlers(kind: ExitKind, markerPort: number, clock: BlockClock): Handlers {
  const marker = markerHandlers(markerPort, clock);
  switch (kind) {
    case 'pioOut':
      return {
        ioOut(exit) {
          if (exit.port !== markerPort) sink.sum += exit.value;
          else if (clock.mark()) exit.stop();
        },
      };
    case 'pioIn':
      return { ...marker, ioIn: () => answer };
    case 'mmioRead':
      return { ...marker, mmioRead: () => answer };
    case 'mmioWrite':
      return {
        ...marker,
        mmioWrite(exit) {
          sink.sum += exit.value;
        },
      };
    case 'hlt':
      return {
        ...marker,
        hlt() {
          sink.sum++;
        },
      };
    default:
      return marker;
  }
}

/** A value that the guests never have in rax: comparing with it reads the register and keeps the branch. */
const neverInRax = 0xffff_ffff_ffff_fff1n;

/** The handler of 'pioOut' with a register read in it. */
export function readingHandlers(markerPort: number, clock: BlockClock): Handlers {
  return {
    ioOut(exit, vcpu) {
      if (exit.port !== markerPort) sink.sum += vcpu.regs.rax === neverInRax ? 1 : exit.value;
      else if (clock.mark()) exit.stop();
    },
  };
}

const written = 0x1122n;

/** The handler of 'pioOut' with a register written in it. */
export function writingHandlers(markerPort: number, clock: BlockClock): Handlers {
  return {
    ioOut(exit, vcpu) {
      if (exit.port !== markerPort) {
        sink.sum += exit.value;
        vcpu.regs.rbx = written;
      } else if (clock.mark()) exit.stop();
    },
  };
}

/** The handler of 'pioIn' that replies and writes a register. */
export function replyingAndWritingHandlers(markerPort: number, clock: BlockClock): Handlers {
  return {
    ...markerHandlers(markerPort, clock),
    ioIn(_exit, vcpu) {
      vcpu.regs.rbx = written;
      return answer;
    },
  };
}
