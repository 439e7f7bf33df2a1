/** Option objects: some keys there, some spoilt, some strangers, and now and then one that acts when it is read. */
import * as fc from 'fast-check';
import { Dressed, act, action, hostile } from './hostile.ts';
import { recipe, type Recipe } from './recipe.ts';
import type { World } from './world.ts';

/** How the object is dressed. */
type Dress = 'plain' | 'null prototype' | 'proxy' | 'class instance' | 'getter';

const dresses: fc.Arbitrary<Dress> = fc.oneof(
  { weight: 10, arbitrary: fc.constant<Dress>('plain') },
  { weight: 1, arbitrary: fc.constantFrom<Dress[]>('null prototype', 'proxy', 'class instance') },
  { weight: 2, arbitrary: fc.constant<Dress>('getter') },
);

function dress(how: Dress, entries: readonly [string, unknown][], action_: Recipe, world: World): object {
  const object: object =
    how === 'null prototype' ? Object.create(null) : how === 'class instance' ? new Dressed() : {};
  for (const [key, value] of entries) {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  }
  if (how === 'proxy') return new Proxy(object, {});
  const [last] = entries.slice(-1);
  if (how === 'getter' && last !== undefined) {
    const get = (): unknown => {
      act(action_, world);
      return last[1];
    };
    Object.defineProperty(object, last[0], { get, enumerable: true, configurable: true });
  }
  return object;
}

/** One entry: mostly what the key takes. */
function entryOf(key: string, value: fc.Arbitrary<Recipe>): fc.Arbitrary<[string, Recipe]> {
  return fc.tuple(
    fc.constant(key),
    fc.oneof({ weight: 14, arbitrary: value }, { weight: 1, arbitrary: hostile }),
  );
}

/** An entry that may be mistyped. */
function slippedEntry(known: Fields): fc.Arbitrary<[string, Recipe]> {
  return fc.constantFrom(...Object.keys(known)).chain((key) => {
    const slips = fc.constantFrom(`${key}s`, key.slice(1), 'zz');
    const name = fc.oneof({ weight: 30, arbitrary: fc.constant(key) }, { weight: 1, arbitrary: slips });
    return fc.tuple(name, entryOf(key, known[key]!)).map(([text, [, value]]) => [text, value]);
  });
}

/** What the keys of an object take. */
type Fields = Readonly<Record<string, fc.Arbitrary<Recipe>>>;

/** Objects with these keys, with some of them, or with some and all of those that are required. */
export function fields(known: Fields, required: readonly string[] = []): fc.Arbitrary<Recipe> {
  const keys = Object.keys(known);
  const entry = slippedEntry(known);
  const every = (list: readonly string[]): fc.Arbitrary<[string, Recipe][]> =>
    fc.tuple(...list.map((key) => entryOf(key, known[key]!)));
  const entries = fc.oneof(
    fc.array(entry, { maxLength: keys.length }),
    every(keys),
    fc.tuple(fc.array(entry, { maxLength: 2 }), every(required)).map(([more, needed]) => more.concat(needed)),
  );
  return fc.tuple(entries, dresses, action).map(([list, how, chosen]) => {
    const body = list.map(([key, value]) => `${key}: ${value.text}`).join(', ');
    const note = how === 'plain' ? '' : how === 'getter' ? ` /* read: ${chosen.text} */` : ` /* ${how} */`;
    return recipe(`{ ${body} }${note}`, (world) => {
      const made = list.map(([key, value]): [string, unknown] => [key, value.make(world)]);
      return dress(how, made, chosen, world);
    });
  });
}
