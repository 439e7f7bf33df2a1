/** Arguments that many members take. */
import * as fc from 'fast-check';
import { Cap } from 'vmhatch';
import { PAGE } from '../../helpers/page.ts';
import { oneOf, values } from './recipe.ts';
import { fields } from './record.ts';

export const address = oneOf(0, 0x1000, 0x1ffe, 0x7fff, 0x8000, 0x10_0000, 0x10_1fff, 0x20_0000, 2 ** 52 - 1);
export const page = oneOf(0, PAGE, 0x20_0000, 0x30_0000, 0x40_0000, 2 ** 40, 2 ** 52 - PAGE);
export const length = oneOf(0, 1, 2, 8, PAGE, PAGE + 1, 0x8000, 2 ** 31, 2 ** 52);
export const u8 = values(fc.integer({ min: 0, max: 255 }));
export const u32 = values(fc.integer({ min: 0, max: 0xffff_ffff }));
export const u64 = values(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
export const flag = oneOf(true, false);
export const data = values(fc.uint8Array({ maxLength: 64 }));
export const capability = fc.oneof(values(fc.constantFrom(...Object.values(Cap))), u32);
export const segment = fields({
  base: u64,
  limit: u32,
  selector: oneOf(0, 8, 0xffff),
  type: oneOf(3, 11, 15),
  present: oneOf(0, 1),
  dpl: oneOf(0, 3),
  db: oneOf(0, 1),
  s: oneOf(0, 1),
  l: oneOf(0, 1),
  g: oneOf(0, 1),
});
