/** Files behind guest memory that shrink, and bus errors that are somebody else's. */
import test from 'ava';

import { expectEnd, hasKvm, runProgram } from '../helpers/child-program.ts';
import { withFaults } from '../helpers/fault-shim.ts';

test.serial('the host reads zeros where a file has shrunk, and the process lives', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['backing', 'the host reads'], 0);
  t.is(stdout, 'before 65\nafter 0 0 0\nwritten 7\n'.repeat(2));
});

test.serial('a run ends with ERR_KVM_BACKING_LOST when the file under the guest shrinks', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['backing', 'the guest runs'], 0);
  t.is(stdout, 'ERR_KVM_BACKING_LOST\nthe guest had run true\n'.repeat(2));
});

test.serial('so does a run on the background lane', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['backing', 'the guest runs in the background'], 0);
  t.is(stdout, 'ERR_KVM_BACKING_LOST\nthe process lives\n');
});

test.serial('a memfd can neither shrink nor grow', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['backing', 'a memfd cannot shrink'], 0);
  t.is(stdout, 'EPERM\nEPERM\n');
});

test.serial('a bus error that is not ours kills the process as ever', async (t) => {
  if (!hasKvm(t)) return;
  const env = await withFaults(t, { VMHATCH_BUS_ERROR: '1' });
  if (env === undefined) return;
  const end = await runProgram('backing', 'a bus error of somebody else', { env });
  t.is(end.signal, 'SIGBUS', end.stdout);
});

test.serial('SIGBUS from outside kills the process as ever', async (t) => {
  if (!hasKvm(t)) return;
  const end = await runProgram('backing', 'a bus error signal from outside');
  t.is(end.signal, 'SIGBUS', end.stdout);
});
