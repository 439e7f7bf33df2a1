// Counting what test runners print, from output that they really printed.
import test from 'ava';
import { avaCounter, cargoCounter } from '../../scripts/test/count.mjs';
import { Report } from '../../scripts/test/report.mjs';
import { atLeast } from '../../scripts/shared/tools.mjs';

type Counter = ReturnType<typeof avaCounter>;

function count(counter: Counter, output: string, ok: boolean): Report {
  const report = new Report();
  for (const line of output.split('\n')) counter.line(line);
  counter.finish(report, { ok, ending: ok ? 'exit status 0' : 'exit status 1', output });
  return report;
}

test('ava: passes, failures, skips, crashes and tests that hang', (t) => {
  const report = count(
    avaCounter(),
    `
  - [skip] a › no kvm: needs /dev/kvm
  - [todo] a › later
  ✔ a › good
  \u001B[31m✘ [fail]:\u001B[39m a › bad
  ✔ a › slow (1.2s)
    ℹ skipped: no SeaBIOS
  ✔ [expected fail] a › kf
  ✘ __test__/unit/b.test.ts exited due to SIGSEGV
  Unhandled rejection in __test__/unit/d.test.ts
  2 tests were pending in __test__/unit/b.test.ts
  ◌ b › crash
`,
    false,
  );
  t.is(report.passed, 1);
  t.deepEqual(report.skips, ['a › no kvm: needs /dev/kvm', 'a › later', 'a › slow: no SeaBIOS']);
  t.deepEqual(report.failures, [
    'a › bad',
    'a › kf is expected to fail',
    '__test__/unit/b.test.ts exited due to SIGSEGV',
    'Unhandled rejection in __test__/unit/d.test.ts',
    'b › crash did not end',
  ]);
});

test('a runner that fails without naming a test, or runs none, has failed', (t) => {
  t.deepEqual(count(avaCounter(), '  ✔ a\n', false).failures, ['ava ended with exit status 1']);
  t.deepEqual(count(avaCounter(), '', true).failures, ['ava ran no tests']);
  t.deepEqual(count(cargoCounter('cargo test'), '', true).failures, ['cargo test ran no tests']);
  t.deepEqual(count(cargoCounter('cargo test --doc', { mayBeEmpty: true }), '', true).failures, []);
});

const nextest = `
     SIGABRT [   0.004s] (1/5) vmm t::crash
  stdout ───

    running 1 test
        PASS [   0.005s] (2/5) vmm t::good
  stdout ───

    running 1 test
    test t::good ... ok

        PASS [   0.004s] (3/5) vmm t::skippy
  stderr ───
    skipped: no /dev/kvm

        FAIL [   0.070s] (5/5) vmm t::bad
  stderr ───
    thread 't::bad' (10270) panicked at src/lib.rs:9:19
────────────
     Summary [   0.071s] 5 tests run: 3 passed, 2 failed, 1 skipped
     SIGABRT [   0.004s] (1/5) vmm t::crash
        FAIL [   0.070s] (5/5) vmm t::bad
`;

test('nextest: counts, and what passing tests print is left out except why they were skipped', (t) => {
  const counter = cargoCounter('cargo nextest');
  const shown: string[] = [];
  const report = new Report();
  for (const line of nextest.split('\n')) {
    counter.line(line);
    const text = counter.show(line);
    if (text !== undefined) shown.push(text.trim());
  }
  counter.finish(report, { ok: false, ending: 'exit status 100', output: '' });
  t.is(report.passed, 1);
  t.deepEqual(report.failures, ['vmm t::crash', 'vmm t::bad']);
  t.deepEqual(report.skips, ['vmm t::skippy: no /dev/kvm']);
  t.false(shown.includes('test t::good ... ok'));
  t.true(shown.includes('skipped: no /dev/kvm'));
  t.true(shown.some((line) => line.includes('panicked at')));
});

test('cargo test: counts', (t) => {
  const report = count(
    cargoCounter('cargo test'),
    `
running 4 tests
test t::good ... ok
test t::skippy ... ok
test t::slow ... ignored
test t::bad ... FAILED

---- t::skippy stdout ----
skipped: no /dev/kvm

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out
`,
    false,
  );
  t.is(report.passed, 1);
  t.deepEqual(report.failures, ['t::bad']);
  t.deepEqual(report.skips, ['t::slow: ignored', 't::skippy: no /dev/kvm']);
});

test('versions are compared as numbers', (t) => {
  t.true(atLeast('v20.19.0', [20, 19]));
  t.true(atLeast('v22.1.0', [20, 19]));
  t.false(atLeast('v20.9.0', [20, 19]));
  t.true(atLeast('rustc 1.95.0 (59807616e 2026-04-14)', [1, 88]));
  t.false(atLeast(undefined, [1, 88]));
});
