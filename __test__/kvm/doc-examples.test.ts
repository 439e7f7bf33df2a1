// The examples that people copy: all of them compile, and they do what the comments beside them say.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';

import { hasKvm } from '../helpers/child-program.ts';
import { ExampleFolder, docExamples, root } from '../helpers/doc-examples.ts';
import { exampleMachine, type ExampleMachine } from '../helpers/doc-machine.ts';

const examples = docExamples();
const folder = new ExampleFolder(examples);
test.after.always(() => folder.remove());

test('there are examples in the documents and in the comments', (t) => {
  for (const file of [
    'README.md',
    'docs/exits.md',
    'lib/kvm/vcpu.ts',
    'lib/devices/device.ts',
    'lib/machine/machine.ts',
  ])
    t.true(
      examples.some(({ place }) => place.startsWith(`${file}:`)),
      file,
    );
});

test('all examples compile', async (t) => {
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  const ended = await promisify(execFile)(process.execPath, [tsc, '--project', folder.path]).catch(
    (error: { stdout: string }) => error,
  );
  const places = ended.stdout.replaceAll(
    /\S*example-(\d+)\.ts/g,
    (_, index: string) => examples[Number(index)]?.place ?? '',
  );
  t.is(places, '');
});

for (const [index, { place, runs }] of examples.entries()) {
  if (!runs) continue;
  test(`${place} runs`, async (t) => {
    if (!hasKvm(t)) return;
    const { example } = (await import(pathToFileURL(folder.fileOf(index)).href)) as {
      example: (machine: ExampleMachine) => Promise<void>;
    };
    await using machine = exampleMachine(t);
    await example(machine);
    t.pass();
  });
}
