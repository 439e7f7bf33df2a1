/** Arguments as recipes: printable, and made anew for each machine that they are thrown at. */
import * as fc from 'fast-check';
import type { World } from './world.ts';

/** How to make one value. */
export interface Recipe {
  readonly text: string;
  make(world: World): unknown;
  [fc.toStringMethod](): string;
}

export function recipe(text: string, make: (world: World) => unknown): Recipe {
  return { text, make, [fc.toStringMethod]: () => text };
}

function textOf(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  if (typeof value === 'string') return JSON.stringify(value);
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.byteLength})`;
  return String(value);
}

/** A recipe for a value that needs no making. */
export function plain(value: unknown): Recipe {
  return recipe(textOf(value), () => value);
}

/** Recipes for the values of an arbitrary. */
export function values(arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<Recipe> {
  return arbitrary.map(plain);
}

/** One of a few plain values. */
export function oneOf(...list: unknown[]): fc.Arbitrary<Recipe> {
  return fc.constantFrom(...list.map(plain));
}

/** Something of the world's. */
export function from(text: string, make: (world: World) => unknown): fc.Arbitrary<Recipe> {
  return fc.constant(recipe(text, make));
}

/** An array of what an arbitrary gives. */
export function listOf(element: fc.Arbitrary<Recipe>, maxLength = 5): fc.Arbitrary<Recipe> {
  return fc.array(element, { maxLength }).map((list) => {
    const text = `[${list.map((one) => one.text).join(', ')}]`;
    return recipe(text, (world) => list.map((one) => one.make(world)));
  });
}
