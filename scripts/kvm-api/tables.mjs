// All tables of docs/kvm-api.md, in the order in which it has them.
import { readText } from '../house/source.mjs';
import { capabilitiesOf } from './check.mjs';
import { beyond } from './rows-beyond.mjs';
import { exits, more } from './rows-exits.mjs';
import { device, kvm, vm } from './rows-kvm.mjs';
import { functions, runWrapper, vcpu } from './rows-vcpu.mjs';

/**
 * @param {string} root
 * @returns {import('./document.mjs').Tables}
 */
export function readTables(root) {
  return {
    sections: [
      { owner: 'Kvm', title: 'Kvm', type: 'Kvm', rows: kvm },
      { owner: 'VmFd', title: 'VmFd', type: 'Vm', rows: vm },
      { owner: 'VcpuFd', title: 'VcpuFd', type: 'Vcpu', rows: vcpu },
      { owner: 'DeviceFd', title: 'DeviceFd', type: 'KvmDevice', rows: device },
      { owner: '', title: 'Functions', type: '', rows: functions },
      { owner: 'KvmRunWrapper', title: 'KvmRunWrapper', type: '', rows: runWrapper },
    ],
    exits,
    more,
    beyond,
    capabilities: capabilitiesOf(readText(root, 'lib/generated/capabilities.ts')),
  };
}
