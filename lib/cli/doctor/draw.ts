import { formatBytes } from '../quantity.ts';
import type { Paint } from '../style.ts';
import type { Findings } from './advice.ts';
import type { CapabilityAnswer, Facts, KvmFacts } from './facts.ts';
import type { HostFacts } from './host.ts';
import { Page } from './page.ts';
import { platformName } from './platform-name.ts';

/** The doctor's screen as text, ending in a newline. Only commands to be copied are wider than `width` columns. */
export function drawDoctor(facts: Facts, findings: Findings, paint: Paint, width: number): string {
  const page = new Page(paint, width);
  const { host, kvm, versions } = facts;
  // Elsewhere there is no KVM to speak of, nor a /proc to know the machine by.
  const linux = host.platform === 'linux';
  page.row('system', systemText(host));
  if (linux) drawMachine(page, host);
  const { vmhatch, node, v8, napi, libc } = versions;
  page.row('versions', `vmhatch ${vmhatch}, Node ${node}, V8 ${v8}, Node-API ${napi}, ${libc}`);
  if (linux) {
    page.gap();
    drawDevice(page, facts);
  }
  if (kvm !== undefined) drawKvm(page, kvm, host);
  page.gap();
  page.list('can run', paint('green', '✓'), findings.can);
  page.list('cannot', paint('yellow', '✗'), findings.cannot);
  drawFindings(page, findings);
  return page.toString();
}

function systemText(host: HostFacts): string {
  const parts = [
    host.platform === 'linux' ? `Linux ${host.kernel ?? '?'}` : platformName(host.platform),
    host.arch,
    host.distribution,
    host.container === undefined ? undefined : `in a container (${host.container})`,
    host.wsl ? 'WSL' : undefined,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

function drawMachine(page: Page, { cpu, memory, virtual, hardware }: HostFacts): void {
  const processor = `${cpu.count} × ${cpu.model ?? 'unknown'}, ${cpu.extension ?? 'no vmx or svm'}`;
  const machine = `${virtual ? 'virtual machine' : 'physical'}${hardware === undefined ? '' : ` (${hardware})`}`;
  page.row('processor', `${processor}, ${machine}`);
  const total = memory.total === undefined ? 'unknown' : formatBytes(memory.total);
  const available = memory.available === undefined ? '' : `, ${formatBytes(memory.available)} available`;
  page.row('memory', total + available);
}

function drawDevice(page: Page, { host: { device, module }, failure }: Facts): void {
  const problem = device.access === 'ENOENT' ? 'not there' : `fails to open: ${device.access}`;
  const access = device.access === 'ok' ? page.paint('green', 'opens') : page.paint('red', problem);
  const owner = device.mode === undefined ? '' : `, mode ${device.mode}, group ${device.group ?? device.gid}`;
  page.row(device.path, access + owner);
  page.row('module', moduleText(module));
  if (failure !== undefined) page.row('API', page.paint('red', `${failure.message} [${failure.code}]`));
}

function moduleText({ vendor, core, nested }: HostFacts['module']): string {
  if (vendor === undefined) return core ? 'kvm, no vendor module' : 'not loaded';
  return `kvm_${vendor}${nested === undefined ? '' : `, nested guests ${nested ? 'on' : 'off'}`}`;
}

function drawKvm(
  page: Page,
  { apiVersion, limits, trial, capabilities }: KvmFacts,
  { module }: HostFacts,
): void {
  const { vcpus, recommendedVcpus, memorySlots, physicalBits } = limits;
  const bits = physicalBits === undefined ? '' : `, ${physicalBits} bits of guest-physical address`;
  page.row('API', `version ${apiVersion}`);
  page.row('limits', `${vcpus} vCPUs (${recommendedVcpus} advised), ${memorySlots} memory slots${bits}`);
  const tried = trial.ok
    ? `${page.paint('green', 'ran')}: out, hlt, in ${trial.ms.toFixed(1)} ms with making and closing it`
    : page.paint('red', trial.message);
  page.row('trial guest', tried);
  if (trial.ok) page.row('Linux guests', linuxText(module, page.paint));
  for (const [group, answers] of Object.entries(capabilities)) {
    // What is there comes first.
    const sorted = answers.toSorted((a, b) => Number(b.value > 0) - Number(a.value > 0));
    page.items(
      group,
      sorted.map((answer) => capabilityText(answer, page.paint)),
    );
  }
}

/** Whether `vmhatch boot` has a chance. */
function linuxText({ vendor }: HostFacts['module'], paint: Paint): string {
  if (vendor !== 'pvm') return paint('green', 'run');
  return `${paint('yellow', 'do not run')}: KVM-PVM refuses instructions that a stock kernel uses`;
}

function capabilityText({ name, value }: CapabilityAnswer, paint: Paint): string {
  return value > 0 ? `${paint('green', '✓')} ${name}` : paint('dim', `✗ ${name}`);
}

function drawFindings(page: Page, { remedies, verdict, headline }: Findings): void {
  for (const { title, steps } of remedies) {
    page.gap();
    page.prose(page.paint('bold', title));
    for (const step of steps) page.command(step);
  }
  page.gap();
  const colour = { ready: 'green', limited: 'yellow', unavailable: 'red' } as const;
  page.prose(`${page.paint([colour[verdict], 'bold'], verdict.toUpperCase())}: ${headline}`);
}
