/** Hosts that misbehave, by a preloaded library that stands between the addon and the kernel. */
import { constants } from 'node:os';

import test from 'ava';

import { expectEnd, hasKvm } from '../helpers/child-program.ts';
import { withFaults, type Faults } from '../helpers/fault-shim.ts';

const { EACCES, EAGAIN, EFAULT, EINTR, EINVAL, ENOENT, ENOMEM, EPERM } = constants.errno;

interface Case {
  title: string;
  faults: Faults;
  scenario: string;
  says: string | RegExp;
}

const interrupted = `KVM_CREATE_VM=${EINTR}*5,KVM_CREATE_VCPU=${EINTR}*5`;
const again = `KVM_RUN=${EAGAIN}*3,KVM_RUN=${EINTR}*3`;
const outOfReach = 'the guest used memory that the host cannot reach: KVM_RUN: Bad address (os error 14)';

const cases: Case[] = [
  {
    title: 'EINTR at creation is tried again',
    faults: { VMHATCH_FAULTS: interrupted },
    scenario: 'create and run',
    says: '4 exit\n',
  },
  {
    title: "KVM_RUN's EAGAIN and EINTR are no end of the run",
    faults: { VMHATCH_FAULTS: again },
    scenario: 'create and run',
    says: '4 exit\n',
  },
  {
    title: 'KVM_RUN that fails is a typed error on each lane, and the vCPU goes on afterwards',
    faults: { VMHATCH_FAULTS: `KVM_RUN=${EAGAIN}*2,KVM_RUN=${ENOMEM}*3` },
    scenario: 'fail once, then work',
    says: `${`ERR_KVM_IOCTL ${ENOMEM} KVM_RUN\n`.repeat(3)}exit\n52 10\n`,
  },
  {
    title: 'memory out of reach is a typed error on each lane, and the guest goes on when it is back',
    faults: { VMHATCH_HOLE: '3000*3' },
    scenario: 'memory out of reach',
    says: `${`ERR_KVM_IOCTL ${EFAULT} KVM_RUN\n${outOfReach}\n`.repeat(3)}shutdown\n1\n`,
  },
  {
    title: 'an extension of which the host says -1 is one that it lacks',
    faults: { VMHATCH_CAPS: '74=-1' },
    scenario: 'capabilities below zero',
    says: '0 false\n0 false\n',
  },
  {
    title: 'a host without KVM',
    faults: { VMHATCH_OPEN: String(ENOENT) },
    scenario: 'open',
    says: `ERR_KVM_UNAVAILABLE ${ENOENT} open\n`,
  },
  {
    title: 'a device that you may not open',
    faults: { VMHATCH_OPEN: String(EACCES) },
    scenario: 'open',
    says: `ERR_KVM_PERMISSION ${EACCES} open\n`,
  },
  {
    title: 'another API version is said so',
    faults: { VMHATCH_API: '11' },
    scenario: 'open',
    says: 'ERR_KVM_API_VERSION - -\n',
  },
  {
    title: 'a machine that may not be made: EPERM',
    faults: { VMHATCH_FAULTS: `KVM_CREATE_VM=${EPERM}*1` },
    scenario: 'create and run',
    says: `ERR_KVM_IOCTL ${EPERM} KVM_CREATE_VM\n`,
  },
  {
    title: 'a machine that cannot be made: ENOMEM',
    faults: { VMHATCH_FAULTS: `KVM_CREATE_VM=${ENOMEM}*1` },
    scenario: 'create and run',
    says: `ERR_KVM_IOCTL ${ENOMEM} KVM_CREATE_VM\n`,
  },
  {
    title: 'a vCPU that cannot be made: ENOMEM',
    faults: { VMHATCH_FAULTS: `KVM_CREATE_VCPU=${ENOMEM}*1` },
    scenario: 'create and run',
    says: `ERR_KVM_IOCTL ${ENOMEM} KVM_CREATE_VCPU\n`,
  },
  {
    title: 'registers are read and written in a handler without KVM_CAP_SYNC_REGS',
    faults: { VMHATCH_CAPS: '74=0' },
    scenario: 'registers without sync regs',
    says: 'sync regs 0\n1234 2a 5678 9\n',
  },
  {
    title: 'memory slots run out',
    faults: { VMHATCH_CAPS: '10=2', VMHATCH_FAULTS: `KVM_SET_USER_MEMORY_REGION=${EINVAL}*2+2` },
    scenario: 'memory slots',
    says: `0\n1\n${`ERR_KVM_NO_SLOTS ${EINVAL} KVM_SET_USER_MEMORY_REGION\n`.repeat(2)}0\n`,
  },
  {
    title: 'a region that the kernel refuses leaves nothing behind',
    faults: { VMHATCH_FAULTS: `KVM_SET_USER_MEMORY_REGION=${EINVAL}*1` },
    scenario: 'memory refused',
    says: `ERR_KVM_IOCTL ${EINVAL} KVM_SET_USER_MEMORY_REGION\nregions 0\n0\nexit\n`,
  },
  {
    title: 'vCPUs run out',
    faults: { VMHATCH_CAPS: '66=2,128=8', VMHATCH_FAULTS: `KVM_CREATE_VCPU=${EINVAL}*2+2` },
    scenario: 'vcpus',
    says: `0\n1\n${`ERR_KVM_TOO_MANY_VCPUS ${EINVAL} KVM_CREATE_VCPU\n`.repeat(2)}`,
  },
  {
    title: 'a runtime without external buffers: the error says what to do, and copies work',
    faults: { VMHATCH_NO_EXTERNAL_BUFFERS: '1' },
    scenario: 'external buffers',
    says: /^(ERR_KVM_EXTERNAL_BUFFERS .*use read\(\) and write\(\).*child process.*\n){2}1 2 3\n$/,
  },
];

for (const { title, faults, scenario, says } of cases) {
  test.serial(title, async (t) => {
    if (!hasKvm(t)) return;
    const env = await withFaults(t, faults);
    if (env === undefined) return;
    const { stdout } = await expectEnd(t, ['faults', scenario], 0, { env });
    if (typeof says === 'string') t.is(stdout, says);
    else t.regex(stdout, says);
  });
}
