// Ten machines at once in one process: each prints its letter ten times and powers itself off.
import { Machine } from 'vmhatch';

/** Sixteen-bit code, loaded and entered at 0x7c00 as a boot sector is. */
function program(letter: string): Uint8Array {
  // prettier-ignore
  return Uint8Array.of(
    0xba, 0xf8, 0x03,           //        mov dx, 0x3f8: COM1
    0xb9, 0x0a, 0x00,           //        mov cx, 10
    0xb0, letter.charCodeAt(0), //        mov al, letter
    0xee,                       // again: out dx, al
    0xe2, 0xfd,                 //        loop again
    0xba, 0x00, 0x06,           //        mov dx, 0x600: sleep control
    0xb0, 0x34,                 //        mov al, 0x34: power off
    0xee,                       //        out dx, al
  );
}

const machines = await Promise.all(
  Array.from('abcdefghij', (letter) =>
    Machine.create({ memory: '1MiB', kernel: program(letter), protocol: 'flat' }),
  ),
);
console.log(machines.map(({ state }) => state).join(' '));

await Promise.all(machines.map((machine) => machine.start()));
// Their vCPUs are threads: the event loop is free meanwhile.
for (const { consoleTail, reason } of await Promise.all(machines.map(({ exited }) => exited))) {
  console.log(consoleTail, reason);
}
await Promise.all(machines.map((machine) => machine[Symbol.asyncDispose]()));
