/** Flat guests for `vmhatch boot --protocol flat`: real-mode programs at 0x7c00, and the command that boots them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ExecutionContext } from 'ava';

type Code = readonly number[];

const LOAD_ADDRESS = 0x7c00;

const word = (value: number): Code => [value & 0xff, value >> 8];

/** mov dx, 0x600; mov al, 0x34; out dx, al; jmp $: the sleep control register of ACPI. */
export const POWER_OFF: Code = [0xba, 0x00, 0x06, 0xb0, 0x34, 0xee, 0xeb, 0xfe];

/** mov al, 0xfe; out 0x64, al; jmp $: the keyboard controller. */
export const RESET: Code = [0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe];

/** mov dx, 0x505; mov al, 1; out dx, al; jmp $: pvpanic. */
export const PANIC: Code = [0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xeb, 0xfe];

/** mov dx, 0x3f0; mov al, 123; out dx, al: the boot timer. */
export const BOOTED: Code = [0xba, 0xf0, 0x03, 0xb0, 0x7b, 0xee];

/** jmp $ */
export const SPIN: Code = [0xeb, 0xfe];

/** mov dx, PORT; mov al, BYTE; out dx, al */
export const out = (port: number, byte: number): Code => [0xba, ...word(port), 0xb0, byte, 0xee];

/** Prints a text so many times, then goes on with `then`. */
export function says(text: string, then: Code, times = 1): Code {
  const bytes = Buffer.from(text);
  const start = LOAD_ADDRESS + 18 + then.length;
  return [
    [0xbd, ...word(times)], // mov bp, times
    [0xbe, ...word(start)], // again: mov si, the text below
    [0xb9, ...word(bytes.length)], // mov cx, its length
    [0xba, 0xf8, 0x03], // mov dx, 0x3f8
    [0xfc, 0xf3, 0x6e], // cld; rep outsb
    [0x4d, 0x75, 0xf1], // dec bp; jnz again
    then,
    [...bytes],
  ].flat();
}

/** The alphabet, a line at a time, for ever. */
export const FLOOD: Code = [
  [0xba, 0xf8, 0x03], // mov dx, 0x3f8
  [0xb0, 0x61], // again: mov al, 'a'
  [0xee, 0xfe, 0xc0], // next: out dx, al; inc al
  [0x3c, 0x7a, 0x76, 0xf9], // cmp al, 'z'; jbe next
  [0xb0, 0x0a, 0xee], // mov al, 10; out dx, al
  [0xeb, 0xf2], // jmp again
].flat();

/** Says `>`, then what is typed, a control character as `^` and a letter; a q powers off. */
export const ECHO: Code = [
  out(0x3f8, 0x3e),
  [0xba, 0xfd, 0x03], // wait: mov dx, 0x3fd
  [0xec, 0xa8, 0x01, 0x74, 0xf8], // in al, dx; test al, 1; jz wait
  [0xba, 0xf8, 0x03, 0xec], // mov dx, 0x3f8; in al, dx
  [0x3c, 0x71, 0x74, 0x10], // cmp al, 'q'; je off
  [0x3c, 0x20, 0x73, 0x09], // cmp al, ' '; jae put
  [0x88, 0xc4], // mov ah, al
  [0xb0, 0x5e, 0xee], // mov al, '^'; out dx, al
  [0x88, 0xe0, 0x04, 0x40], // mov al, ah; add al, 0x40
  [0xee, 0xeb, 0xe0], // put: out dx, al; jmp wait
  POWER_OFF, // off:
].flat();

/** Counts what is typed; a q ends it with the count on the console, 4 bytes from the lowest on. */
export const COUNT: Code = [
  [0x66, 0x31, 0xdb, 0xba, 0xf8, 0x03], // xor ebx, ebx; mov dx, 0x3f8
  [0xec, 0x84, 0xc0, 0x74, 0xfb], // again: in al, dx (0 if there is nothing); test al, al; jz again
  [0x3c, 0x71, 0x74, 0x04], // cmp al, 'q'; je done
  [0x66, 0x43, 0xeb, 0xf3], // inc ebx; jmp again
  [0x66, 0x93, 0xb9, 0x04, 0x00], // done: xchg eax, ebx; mov cx, 4
  [0xee, 0x66, 0xc1, 0xe8, 0x08, 0xe2, 0xf9], // put: out dx, al; shr eax, 8; loop put
  POWER_OFF,
].flat();

/** Writes a guest into a file. */
export function guestFile(t: ExecutionContext, ...code: readonly Code[]): string {
  const path = join(temporaryFolder(t), 'guest.bin');
  writeFileSync(path, Uint8Array.from(code.flat()));
  return path;
}

/** A folder that is gone after the test. */
export function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-boot-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The command line as sources, or compiled as these tests are. */
const cli = import.meta.url.endsWith('.ts')
  ? ['--import', '@oxc-node/core/register', 'lib/cli/main.ts']
  : ['lib/cli/main.js'];

/** What a shell is told, to boot something. */
export function bootCommand(...args: readonly string[]): [program: string, ...args: string[]] {
  return [process.execPath, ...cli, 'boot', ...args];
}

/** The same for a flat guest. */
export function flatCommand(
  t: ExecutionContext,
  code: Code,
  ...args: readonly string[]
): [program: string, ...args: string[]] {
  return bootCommand('--protocol', 'flat', ...args, guestFile(t, code));
}
